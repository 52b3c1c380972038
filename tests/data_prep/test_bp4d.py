"""BP4D: 9 is unknown and never absent, tasks, folds by people, zeros in names, and pictures of BP4D+ that count from 0."""

HEADER = "0,1,2,4,6,7,9,10,12,14,15,17,23,24\n"
TREE = {
    "AUCoding/AU_OCC/F001_T1.csv": HEADER + "9,1,0,0,1,9,1,0,1,0,0,0,0,9\n" + "10,9,9,9,9,9,1,9,9,9,9,9,9,9\n" + "11,0,0,0,0,0,0,0,0,0,0,0,0,0\n",
    "AUCoding/AU_OCC/M015_T6.csv": HEADER + "2440,0,0,1,0,0,0,0,0,0,0,0,0,0\n" + "2441,0,2,1,0,0,0,0,0,0,0,0,0,0\n",
    "2D+3D/F001/T1/009.jpg": b"picture", "2D+3D/F001/T1/010.jpg": b"picture", "2D+3D/F001/T1/011.jpg": b"picture",
    "img/M015/T6/2440.jpg": b"picture", "img/M015/T6/2441.jpg": b"picture",
}  # fmt: skip


def test_unknown_is_not_absent(convert) -> None:
    converted = convert("bp4d", TREE, "--max-bad-share", "0.5")
    records = converted.records
    assert sorted(records) == ["F001_T1_11", "F001_T1_9", "M015_T6_2440"]
    first = records["F001_T1_9"]
    assert first.target.action_units == {"AU1": None, "AU6": None, "AU12": None}
    assert first.attributes == {"frame": 9, "task": "T1", "elicited": "happiness",
                                "coded_units": ["AU1", "AU2", "AU4", "AU6", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23"]}  # fmt: skip
    assert records["F001_T1_11"].target.action_units == {} and len(records["F001_T1_11"].attributes["coded_units"]) == 12
    assert records["M015_T6_2440"].target.action_units == {"AU4": None} and records["M015_T6_2440"].attributes["elicited"] == "pain"
    assert converted.account["left_out"] == {"no unit was judged": 1}
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("AUCoding/AU_OCC/M015_T6.csv:3", "a unit is neither 0, 1 nor 9"),
    ]  # fmt: skip


def test_pictures_with_zeros_or_without_and_folds_of_people(convert) -> None:
    records = convert("bp4d", TREE, "--fold", "3", "--max-bad-share", "0.5").records
    assert records["F001_T1_9"].media.images == ["media/2D+3D/F001/T1/009.jpg"]
    assert records["M015_T6_2440"].media.images == ["media/img/M015/T6/2440.jpg"]
    assert {(record.group, record.fold, record.split) for record in records.values()} == {("F001", 1, "train"), ("M015", 3, "test")}


def test_intensities_of_five_units(convert) -> None:
    tree = TREE | {
        "AUCoding/AU_INT/AU06/F001_T1_AU06.csv": "9,3\n10,9\n11,0\n", "AUCoding/AU_INT/AU12/F001_T1_AU12.csv": "9,9\n10,x\n11,0\n",
    }  # fmt: skip
    converted = convert("bp4d", tree, "--max-bad-share", "0.5")
    assert converted.records["F001_T1_9"].target.action_units == {"AU1": None, "AU6": 3, "AU12": None}
    assert converted.records["F001_T1_11"].target.action_units == {}
    assert converted.faults[0]["where"] == "AUCoding/AU_INT/AU12/F001_T1_AU12.csv:2"


def test_other_units_and_fewer_frames(convert) -> None:
    converted = convert("bp4d", TREE, "--units", "9", "12", "--every", "10")
    assert {name: record.target.action_units for name, record in converted.records.items()} == {"F001_T1_10": {"AU9": None}, "M015_T6_2440": {}}
    assert converted.records["F001_T1_10"].attributes["coded_units"] == ["AU9"]


def test_pictures_of_bp4d_plus_count_from_0(convert) -> None:
    tree = {"AUCoding/AU_OCC/F080_T7.csv": HEADER + "1,1,0,0,0,0,0,0,0,0,0,0,0,0\n", "2D+3D/F080/T7/0000.jpg": b"picture"}
    record = convert("bp4d", tree, "--set", "bp4d_plus").records["F080_T7_1"]
    assert record.media.images == ["media/2D+3D/F080/T7/0000.jpg"] and (record.dataset, record.split, record.fold) == ("bp4d_plus", "all", None)
    converted = convert("bp4d", tree)
    assert converted.code == 2 and "give --set bp4d_plus" in converted.printed


def test_each_of_the_41_is_in_one_fold(convert) -> None:
    tree = {f"AUCoding/AU_OCC/{sex}{number:03d}_T1.csv": HEADER + "1" + ",0" * 13 + "\n"
            for sex, last in (("F", 23), ("M", 18)) for number in range(1, last + 1)}  # fmt: skip
    records = convert("bp4d", tree, "--missing-media", "keep").records
    assert len(records) == 41 and sorted(record.fold for record in records.values()) == [1] * 14 + [2] * 14 + [3] * 13
