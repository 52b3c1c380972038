"""AffectNet: three layouts, numbers of no class, -2, numbers stored as text, boxes beyond the edge, folders by the alphabet."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"


def picture(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def npy(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(value))
    return file.getvalue()


CSV = {
    "training.csv": HEADER + "689/a1b2.jpg,10,20,200,60,1;2;3,1,0.785714,-0.055556\n" + "689/none.jpg,0,0,9,9,,8,-2,-2\n"
                             "12/c3.jpg,5,5,10,10,,7,-2,-2\n" + "12/d4.jpg,500,5,10,10,,0,0,0\n" + "12/e5.jpg,0,0,9,9,,11,0,0\n",
    "validation.csv": HEADER + "7/f6.jpg,0,0,50,50,,2,-0.5,0.25\n" + "7/g7.jpg,0,0,9,9,,10,-2,-2\n",
    **{f"Manually_Annotated_Images/{name}.jpg": picture(100, 80) for name in ("689/a1b2", "12/c3", "12/d4", "12/e5", "7/f6")},
}  # fmt: skip


def test_the_first_release(convert) -> None:
    converted = convert("affectnet", CSV, "--max-bad-share", "0.5")
    records = converted.records
    assert {name: (record.split, record.target.label) for name, record in records.items()} == {
        "689/a1b2": ("train", "happy"), "12/c3": ("train", "contempt"), "7/f6": ("val", "sad"),
    }  # fmt: skip
    happy = records["689/a1b2"]
    assert happy.person == (10, 20, 100, 80) and happy.media.images == ["media/Manually_Annotated_Images/689/a1b2.jpg"]
    assert (happy.target.vad.valence, happy.target.vad.arousal, happy.target.vad.scale) == (0.785714, -0.055556, (-1, 1))
    assert records["12/c3"].target.vad is None
    assert converted.account["left_out"] == {"none, uncertain or no face": 2}
    assert [fault["reason"] for fault in converted.faults] == ["box is outside of the picture", "a value is not accepted"]


def test_seven_classes_leave_contempt_out(convert) -> None:
    converted = convert("affectnet", CSV, "--classes", "7", "--max-bad-share", "0.6")
    assert {record.target.label_space for record in converted.records.values()} == {"affectnet_7"}
    assert converted.account["left_out"] == {"none, uncertain or no face": 2, "contempt, with --classes 7": 1}


def test_the_release_of_2021_stores_numbers_as_text_and_counts_anew_in_val(convert) -> None:
    tree = {f"{split}_set/{name}": content for split, label in (("train", "6"), ("val", 3)) for name, content in {
        "images/12.jpg": b"picture", "annotations/12_exp.npy": npy(label), "annotations/12_val.npy": npy("-0.603175"),
        "annotations/12_aro.npy": npy(0.5), "annotations/12_lnd.npy": b"landmarks are not read"}.items()}  # fmt: skip
    converted = convert("affectnet", tree | {"train_set/annotations/13_exp.npy": npy("1"), "train_set/images/13.jpg": b"picture"},
                        "--max-bad-share", "0.4")  # fmt: skip
    records = converted.records
    assert (records["train_12"].target.label, records["val_12"].target.label) == ("anger", "surprise")
    assert records["train_12"].target.vad.valence == -0.603175 and records["val_12"].media.images == ["media/val_set/images/12.jpg"]
    assert [fault["reason"] for fault in converted.faults] == ["annotation is not there"]
    assert converted.account["inputs"]["*_set/annotations/*.npy"]["files"] == 7


def test_no_pickle_is_run(convert) -> None:
    tree = {"train_set/annotations/1_exp.npy": npy({"a": print}), "train_set/images/1.jpg": b"picture"}
    converted = convert("affectnet", tree)
    assert converted.code == 2 and "which is no plain data" in converted.printed


@pytest.mark.parametrize(
    ("options", "labels"),
    [(["--order", "folders"], ["anger", "neutral"]), (["--order", "official"], ["neutral", "disgust"]),
     (["--order", "folders", "--classes", "7"], ["anger", "sad"])],
)  # fmt: skip
def test_numbered_folders_of_mirrors(convert, options: list[str], labels: list[str]) -> None:
    tree = {"train/0/a.jpg": b"picture", "val/5/b.jpg": b"picture"}
    assert [record.target.label for record in convert("affectnet", tree, *options).records.values()] == labels


def test_numbered_folders_need_the_order_and_words_do_not(convert) -> None:
    converted = convert("affectnet", {"train/0/a.jpg": b"picture"})
    assert converted.code == 2 and "folders 0 are numbers; say with --order whose" in converted.printed


def test_folders_named_by_words(convert) -> None:
    records = convert("affectnet", {"train/Happiness/a.jpg": b"picture", "test/Contempt/b.jpg": b"picture"}).records
    assert {name: (record.split, record.target.label) for name, record in records.items()} == {
        "train/Happiness/a": ("train", "happy"), "test/Contempt/b": ("test", "contempt"),
    }  # fmt: skip
