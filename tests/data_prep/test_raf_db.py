"""RAF-DB: numbers from 1 in an order of their own, the typo in the list's name, names of aligned pictures."""

TREE = {
    "basic/EmoLabel/list_patition_label.txt": "train_00001.jpg 5\ntrain_00002.jpg\t4\ntest_0001.jpg 7\ntest_0002.jpg 0\nvalid_0001.jpg 1\r\n",
    "compound/EmoLabel/list_patition_label.txt": "train_00001.jpg 11\ntest_0001.jpg 1\n",
} | {f"{part}/Image/{folder}/{name}": b"picture"
     for part in ("basic", "compound") for folder, end in (("aligned", "_aligned.jpg"), ("original", ".jpg"))
     for name in (f"train_00001{end}", f"train_00002{end}", f"test_0001{end}", f"test_0002{end}")}  # fmt: skip


def test_numbers_start_at_1_with_surprise(convert) -> None:
    converted = convert("raf_db", TREE, "--max-bad-share", "0.5")
    records = converted.records
    assert {name: (record.split, record.target.label) for name, record in records.items()} == {
        "train_00001": ("train", "sadness"), "train_00002": ("train", "happiness"), "test_0001": ("test", "neutral"),
    }  # fmt: skip
    assert records["test_0001"].media.images == ["media/basic/Image/aligned/test_0001_aligned.jpg"] and records["test_0001"].dataset == "raf_db/basic"
    assert [(fault["where"].rpartition(":")[2], fault["reason"]) for fault in converted.faults] == [
        ("4", "a value is not accepted"), ("5", "picture is of no split"),
    ]  # fmt: skip


def test_the_compound_part_is_a_set_of_its_own(convert) -> None:
    records = convert("raf_db", TREE, "--part", "compound", "--faces", "original").records
    assert [(record.dataset, record.target.label, record.media.images[0]) for record in records.values()] == [
        ("raf_db/compound", "disgustedly surprised", "media/compound/Image/original/train_00001.jpg"),
        ("raf_db/compound", "happily surprised", "media/compound/Image/original/test_0001.jpg"),
    ]


def test_the_typo_may_be_mended(convert) -> None:
    tree = {"basic/EmoLabel/list_partition_label.txt": "train_00001.jpg 1\n", "basic/Image/aligned/train_00001_aligned.jpg": b"picture"}
    assert convert("raf_db", tree).records["train_00001"].target.label == "surprise"
