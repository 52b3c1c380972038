"""EMOTIC: MATLAB structs of one or several, votes, NaN, boxes beyond the edge, spellings, and the csv that others write."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

NAN = float("nan")


def struct(**fields: Any) -> np.ndarray:
    value = np.empty((1, 1), dtype=[(name, object) for name in fields])
    for name, content in fields.items():
        value[name][0, 0] = content
    return value


def several(*structs: np.ndarray) -> np.ndarray:
    return np.concatenate(structs, axis=1)


def words(*names: str) -> np.ndarray:
    value = np.empty((1, len(names)), dtype=object)
    value[0, :] = names
    return value


def points(valence: float, arousal: float, dominance: float) -> np.ndarray:
    return struct(valence=valence, arousal=arousal, dominance=dominance)


def person(box: list[float], names: list[str], *vad: float) -> np.ndarray:
    return struct(body_bbox=np.array([box], float), annotations_categories=struct(categories=words(*names)), annotations_continuous=points(*vad),
                  gender="Male", age="Adult")  # fmt: skip


def judged(votes: list[list[str]], combined: list[str], *vad: float) -> np.ndarray:
    return struct(
        body_bbox=np.array([[10, 10, 40, 60]], float), annotations_categories=several(*(struct(categories=words(*vote)) for vote in votes)),
        combined_categories=words(*combined), annotations_continuous=several(*(points(*vad) for _ in votes)), combined_continuous=points(*vad),
        gender="Female", age="Kid",
    )  # fmt: skip


def picture(name: str, people: np.ndarray, folder: str = "mscoco/images", width: int = 100, height: int = 80) -> np.ndarray:
    return struct(filename=name, folder=folder, image_size=struct(n_col=width, n_row=height), original_database=struct(name="mscoco"), person=people)


def saved(**splits: np.ndarray) -> bytes:
    file = io.BytesIO()
    savemat(file, splits)
    return file.getvalue()


def image(width: int = 100, height: int = 80) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


IMAGES = {f"emotic/mscoco/images/{name}.jpg": image() for name in "abcde"} | {"emotic/mscoco/images/small.jpg": image(50, 40)}
TRAIN = several(
    picture("a.jpg", several(person([-5.2, 10, 140, 79], ["Disquietment", "Doubt/Confusion", "Disquietment"], 3, 7, 5),
                             person([1, 2, 30, 40], ["Peace"], NAN, NAN, NAN))),
    picture("b.jpg", person([200, 1, 300, 40], ["Peace"], 5, 5, 5)),
    picture("c.jpg", person([1, 1, 30, 40], ["Bliss"], 5, 5, 5)),
    picture("small.jpg", person([1, 1, 30, 40], ["Pain"], 5, 5, 5)),
)  # fmt: skip
MAT = saved(
    train=TRAIN,
    val=picture("d.jpg", judged([["Peace"], ["Peace", "Esteem"], ["Esteem", "Yearning"]], ["Peace", "Esteem", "Yearning"], 6.33, 2.0, 7.5)),
    test=several(picture("e.jpg", judged([["Pain"]], ["Pain"], 2, 8, NAN)), picture("e.jpg", judged([["Pain"]], ["Pain"], 2, 8, 3))),
)  # fmt: skip


@pytest.mark.parametrize("name", ["Annotations/Annotations.mat", "CVPR17_Annotations.mat"])
def test_people_of_the_structs(convert, name: str) -> None:
    converted = convert("emotic", {name: MAT, **IMAGES}, "--max-bad-share", "0.6")
    records = converted.records
    assert sorted(records) == ["test_1_1", "test_2_1", "train_1_1", "train_1_2", "val_1_1"]
    first, second = records["train_1_1"], records["train_1_2"]
    assert first.target.labels == ["disquietment", "doubt/confusion"] and first.target.label is None
    assert first.person == (0, 10, 100, 79) and first.group == second.group == "mscoco/images/a.jpg"
    assert first.target.vad.model_dump() == {"valence": 3, "arousal": 7, "dominance": 5, "scale": (1, 10)} and first.target.distribution is None
    assert second.target.vad is None and second.target.labels == ["peace"]
    assert first.attributes == {"gender": "Male", "age": "Adult", "database": "mscoco"}
    assert [(fault["where"].partition(": ")[2], fault["reason"]) for fault in converted.faults] == [
        ("train(2).person(1)", "box is outside of the picture"), ("train(3).person(1)", "label is not of emotic_26"),
        ("train(4).person(1)", "picture is not of the annotated size"),
    ]  # fmt: skip


def test_votes_of_val_and_test(convert) -> None:
    records = convert("emotic", {"Annotations.mat": MAT, **IMAGES}, "--max-bad-share", "0.6").records
    judged_by_three = records["val_1_1"]
    assert judged_by_three.target.labels == ["peace", "esteem", "yearning"] and judged_by_three.attributes["annotators"] == 3
    assert judged_by_three.target.distribution == {"peace": 2, "esteem": 2, "yearning": 1}
    assert judged_by_three.target.vad.valence == 6.33
    assert records["test_1_1"].target.vad.dominance is None and records["test_2_1"].target.vad.dominance == 3


def test_the_csv_of_others(convert) -> None:
    header = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age\n"
    rows = (
        '0,mscoco/images,a.jpg,"[100, 80]","[1, 2, 30, 400]","[\'Disquitement\', \'Doubt/Confusion\']","[5.0, 3.0, 9.0]",Male,Adult\n'
        '1,mscoco/images,b.jpg,"[np.int64(100), np.int64(80)]","[1, 2, 30, 40]","[\'Peace\']","[np.float64(5.0), nan, 9.0]",Female,Teenager\n'
    )
    tree = {f"emotic_pre/{split}.csv": header + rows for split in ("train", "val", "test")}
    records = convert("emotic", tree | IMAGES).records
    assert sorted(records) == [f"{split}_{number}" for split in ("test", "train", "val") for number in (0, 1)]
    assert records["val_0"].target.labels == ["disquietment", "doubt/confusion"] and records["val_0"].person == (1, 2, 30, 80)
    assert records["val_0"].target.vad.arousal == 3 and records["val_1"].target.vad is None and records["val_1"].person == (1, 2, 30, 40)


def test_a_file_without_a_split_and_a_person_without_a_box_are_told(convert) -> None:
    converted = convert("emotic", {"Annotations.mat": saved(train=TRAIN, val=TRAIN), **IMAGES})
    assert converted.code == 2 and "Annotations.mat: no 'test' in it, but train, val" in converted.printed
    bare = picture("a.jpg", struct(gender="Male", age="Adult"))
    converted = convert("emotic", {"Annotations.mat": saved(train=bare), **IMAGES}, "--split", "train")
    assert converted.code == 2 and "no 'body_bbox'" in converted.printed
    converted = convert("emotic", {"Annotations.mat": saved(train=np.ones((1, 2))), **IMAGES}, "--split", "train")
    assert converted.code == 2 and "train(1): a float64 where a struct is expected" in converted.printed
