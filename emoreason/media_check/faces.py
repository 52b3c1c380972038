"""Faces in pictures, by OpenCV where it is installed; a quick look, not a measurement."""

import importlib.util

import numpy as np

from emoreason.faults import UserError

MAX_SIDE = 640
"""Larger pictures are scaled down before faces are looked for."""


def check_faces() -> None:
    """Raises: UserError: there is no OpenCV with its frontal-face cascade."""
    how = "pip install 'opencv-python-headless>=4.8,<5'"
    if importlib.util.find_spec("cv2") is None:
        raise UserError(f"--faces looks for faces with OpenCV, which is not installed; {how}")
    import cv2

    if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
        raise UserError(f"--faces: OpenCV {cv2.__version__} brings no face cascade; {how}")


class FaceCount:
    """Faces over the frames that are added: Haar cascades (Viola and Jones 2001) as OpenCV ships them, frontal faces alone."""

    def __init__(self):
        import cv2

        self._cv2 = cv2
        self._cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")
        self.most = self._num_looks = self._num_with = 0

    def add(self, pixels: np.ndarray) -> None:
        """Look at one picture, uint8 (height, width, 3) in RGB."""
        cv2 = self._cv2
        grey = cv2.equalizeHist(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))
        if max(grey.shape) > MAX_SIDE:
            scale = MAX_SIDE / max(grey.shape)
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        num = len(self._cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24)))
        self.most = max(self.most, num)
        self._num_looks += 1
        self._num_with += num > 0

    @property
    def share(self) -> float:
        """Of the pictures that were looked at, those with a face."""
        return self._num_with / self._num_looks if self._num_looks else 0.0
