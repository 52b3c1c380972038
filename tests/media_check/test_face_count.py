"""Faces by OpenCV: a stand-in says how often it is asked and of what; where it is installed, a portrait has a face."""

import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from emoreason.faults import UserError
from emoreason.media_check import faces as face_count
from emoreason.media_check.faces import FaceCount, check_faces


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes that a stand-in for OpenCV was asked about; it finds as many faces as the first pixel is bright."""
    shapes = []

    def detect(grey: np.ndarray, **settings: object) -> list:
        shapes.append(grey.shape)
        return [(0, 0, 30, 30)] * int(grey[0, 0])

    cascade = SimpleNamespace(detectMultiScale=detect)
    cv2 = SimpleNamespace(
        COLOR_RGB2GRAY=0, INTER_AREA=0, data=SimpleNamespace(haarcascades=""), CascadeClassifier=lambda path: cascade, equalizeHist=lambda grey: grey,
        cvtColor=lambda pixels, code: pixels[..., 0], resize=lambda grey, size, fx, fy, interpolation: grey[:: round(1 / fy), :: round(1 / fx)],
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    return shapes


def test_faces_are_counted_over_pictures(asked: list) -> None:
    faces = FaceCount()
    for num in (1, 0, 3, 0):
        faces.add(np.full((40, 60, 3), num, np.uint8))
    assert (faces.most, faces.share, asked) == (3, 0.5, [(40, 60)] * 4)


def test_large_pictures_are_looked_at_small(asked: list) -> None:
    FaceCount().add(np.zeros((1280, 960, 3), np.uint8))
    assert asked == [(640, 480)]


def test_no_look_no_share(asked: list) -> None:
    assert FaceCount().share == 0.0


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, emoreason, tmp_path: Path) -> None:
    monkeypatch.setattr(face_count.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="not installed; pip install 'opencv-python-headless"):
        check_faces()
    code, _, err = emoreason("media", tmp_path / "a.jsonl", "--faces")
    assert code == 2 and "--faces looks for faces with OpenCV" in err


def test_an_opencv_without_its_cascades_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_count.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(__version__="5.0.0"))
    with pytest.raises(UserError, match=r"OpenCV 5\.0\.0 brings no face cascade"):
        check_faces()


def test_a_portrait_has_a_face() -> None:
    pytest.importorskip("cv2", reason="OpenCV is optional")
    faces = FaceCount()
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as portrait:
        faces.add(np.asarray(portrait.convert("RGB")))
    faces.add(np.full((200, 200, 3), 128, np.uint8))
    assert (faces.most, faces.share) == (1, 0.5)
