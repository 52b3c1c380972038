"""FER+: two files in the same order of rows, votes, and the rules that make labels of them."""

PIXELS = " ".join(["7"] * 2304)
HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
VOTES = [
    ("Training", "fer0000000.png", "4,0,0,1,3,2,0,0,0,0"),  # 4 of 9 that count
    ("Training", "fer0000001.png", "6,0,1,1,0,0,0,0,2,0"),  # 6 of 8
    ("Training", "", "0,0,0,0,0,0,0,0,0,10"),
    ("PublicTest", "fer0000002.png", "0,1,0,0,0,0,0,0,8,1"),
    ("PrivateTest", "fer0000003.png", "0,4,0,0,0,0,0,1,4,1"),  # unknown wins too
    ("PrivateTest", "fer0000004.png", "0,5,5,0,0,0,0,0,0,0"),  # just half
    ("PrivateTest", "fer0000005.png", "1,1,1,1,1,1,1,1,1,1"),
]  # fmt: skip
NEW = HEADER + "".join(f"{usage},{name},{votes}\n" for usage, name, votes in VOTES)
OLD = "emotion,pixels,Usage\n" + "".join(f"0,{PIXELS},{usage}\n" for usage, _, _ in VOTES)
PICTURES = {f"FER2013{folder}/fer000000{number}.png": b"picture" for folder, number in [("Train", 0), ("Train", 1), ("Valid", 2), ("Test", 4)]}


def test_more_than_half_of_the_votes_that_count(convert) -> None:
    converted = convert("fer_plus", {"fer2013new.csv": NEW, "fer2013.csv": OLD})
    assert list(converted.records) == ["00001"]
    record = converted.records["00001"]
    assert (record.split, record.target.label) == ("train", "neutral")
    assert record.target.distribution == {"neutral": 6, "surprise": 1, "sadness": 1}
    assert (converted.out / record.media.images[0]).stat().st_size > 0 and record.media.images == ["media/train/00001.png"]
    assert converted.account["left_out"] == {"unknown or no face wins": 3, "no majority": 3}


def test_soft_keeps_distributions_without_a_majority(convert) -> None:
    records = convert("fer_plus", {"fer2013new.csv": NEW, "fer2013.csv": OLD}, "--rule", "soft").records
    assert {name: record.target.label for name, record in records.items()} == {"00000": None, "00001": "neutral", "00005": None, "00006": None}
    assert records["00005"].target.distribution == {"happiness": 5, "surprise": 5} and records["00005"].split == "test"


def test_pictures_of_the_own_script_are_found_by_name(convert) -> None:
    converted = convert("fer_plus", {"fer2013new.csv": NEW, **PICTURES}, "--rule", "soft", "--max-bad-share", "0.3")
    assert {name: record.media.images for name, record in converted.records.items()} == {
        "00000": ["media/FER2013Train/fer0000000.png"], "00001": ["media/FER2013Train/fer0000001.png"],
        "00005": ["media/FER2013Test/fer0000004.png"],
    }  # fmt: skip
    assert [fault["where"] for fault in converted.faults] == ["fer2013new.csv:8"]


def test_files_in_another_order_are_told(convert) -> None:
    shorter = OLD.rsplit("0,", 1)[0]
    converted = convert("fer_plus", {"fer2013new.csv": NEW, "fer2013.csv": shorter})
    assert converted.code == 2 and "fer2013new.csv and fer2013.csv differ in rows at fer2013new.csv:8" in converted.printed
    turned = "emotion,pixels,Usage\n" + "".join(f"0,{PIXELS},{usage}\n" for usage, _, _ in reversed(VOTES))
    converted = convert("fer_plus", {"fer2013new.csv": NEW, "fer2013.csv": turned})
    assert converted.code == 2 and "are the rows in order?" in converted.printed
