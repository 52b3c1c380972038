"""FER2013: pixels in a csv that become pictures, and mirrors whose folders are numbered by the alphabet."""

import numpy as np
from PIL import Image

DARK, RAMP = " ".join(["0"] * 2304), " ".join(str(value % 256) for value in range(2304))
CSV = "emotion,pixels,Usage\n" + "".join(
    f"{emotion},{pixels},{usage}\n"
    for emotion, pixels, usage in [(0, DARK, "Training"), (6, RAMP, "PublicTest"), (3, RAMP, "PrivateTest"), (7, RAMP, "Training"),
                                   (4, "1 2 3", "Training"), (4, RAMP.replace("255", "256"), "Training"), (4, RAMP, "Test")]
)  # fmt: skip


def test_pixels_become_pictures_beside_the_records(convert) -> None:
    converted = convert("fer2013", {"fer2013.csv": CSV}, "--max-bad-share", "0.6")
    records = converted.records
    assert {name: (record.split, record.target.label) for name, record in records.items()} == {
        "00000": ("train", "angry"), "00001": ("val", "neutral"), "00002": ("test", "happy"),
    }  # fmt: skip
    assert records["00001"].media.images == ["media/val/00001.png"]
    pixels = np.array(Image.open(converted.out / "media/val/00001.png"))
    assert pixels.shape == (48, 48) and pixels.dtype == np.uint8 and (pixels[0, 1], pixels[1, 0], pixels[5, 16]) == (1, 48, 0)
    assert sorted(path.name for path in converted.out.glob("media/*/*")) == ["00000.png", "00001.png", "00002.png"]
    assert [fault["reason"] for fault in converted.faults] == [
        "a value is not accepted", "pixels do not fill the picture", "pixels are no grey values", "unknown Usage",
    ]  # fmt: skip
    assert not any(path.name.startswith(".tmp") for path in converted.out.iterdir()) and not (converted.out.parent / "source/media").exists()


def test_the_file_of_the_contest_has_blanks_in_its_header(convert) -> None:
    converted = convert("fer2013", {"icml_face_data.csv": f"emotion, Usage, pixels\n0,Training,{DARK}\n"})
    assert converted.records["00000"].target.label == "angry"


def test_folders_named_by_words_or_by_numbers_of_the_alphabet(convert, tmp_path) -> None:
    words = {"train/angry/a.jpg": b"x", "train/surprised/b.jpg": b"x", "validation/neutral/c.png": b"x", "test/sad/a.jpg": b"x"}
    labels = {name: (record.split, record.target.label) for name, record in convert("fer2013", words).records.items()}
    assert labels == {"train/angry/a": ("train", "angry"), "train/surprised/b": ("train", "surprise"),
                      "validation/neutral/c": ("val", "neutral"), "test/sad/a": ("test", "sad")}  # fmt: skip


def test_numbered_folders_need_the_order(convert) -> None:
    tree = {"train/4/a.jpg": b"x", "train/6/b.jpg": b"x"}
    converted = convert("fer2013", tree)
    assert converted.code == 2 and "folders 4, 6 are numbers; say with --order whose" in converted.printed
    assert [record.target.label for record in convert("fer2013", tree, "--order", "folders").records.values()] == ["neutral", "surprise"]
    assert [record.target.label for record in convert("fer2013", tree, "--order", "official").records.values()] == ["sad", "neutral"]


def test_a_folder_without_either_is_told(convert) -> None:
    converted = convert("fer2013", {"readme.txt": "x"})
    assert converted.code == 2 and "neither fer2013.csv nor train/<class>/<picture>" in converted.printed


def test_pictures_are_never_written_through_the_link_of_an_earlier_conversion(convert, tmp_path) -> None:
    converted = convert("fer2013", {"train/angry/a.jpg": b"x"})
    assert (converted.out / "media").is_symlink()
    source = tmp_path / "source"
    (source / "fer2013.csv").write_text(CSV.rsplit("4,1 2 3", 1)[0].replace(f"7,{RAMP},Training\n", ""))
    before = sorted(source.rglob("*"))
    converted = convert("fer2013", source, "--copy-media")
    assert converted.code == 0 and not (converted.out / "media").is_symlink() and sorted(source.rglob("*")) == before
    assert convert("fer2013", source).code == 0 and len(list(converted.out.glob("media/*/*.png"))) == 3
