"""DISFA: a file for each unit and person, frames from 1 and pictures from 0, folds by people."""

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def labels(person: str, intensities: dict[int, list[int]]) -> dict[str, str]:
    return {
        f"ActionUnit_Labels/{person}/{person}_au{unit}.txt": "".join(
            f"{frame},{value}\n" for frame, value in enumerate(intensities.get(unit, [0, 0, 0, 0]), start=1)
        )
        for unit in UNITS
    }


TREE = {
    **labels("SN001", {2: [1, 2, 0, 0], 12: [5, 0, 3, 0]}), **labels("SN013", {}), **labels("SN029", {26: [0, 0, 0, 2]}),
    **{f"img/{person}/{number}.png": b"picture" for person in ("SN001", "SN013", "SN029") for number in (0, 1, 2, 3)},
}  # fmt: skip


def test_units_of_a_frame_are_merged_and_its_picture_is_one_before(convert) -> None:
    records = convert("disfa", TREE).records
    assert len(records) == 12 and list(records)[:2] == ["SN001_1", "SN001_2"]
    assert records["SN001_1"].media.images == ["media/img/SN001/0.png"] and records["SN029_4"].media.images == ["media/img/SN029/3.png"]
    assert records["SN001_1"].target.action_units == {"AU12": 5} and records["SN001_2"].target.action_units == {"AU2": 2}
    assert records["SN001_4"].target.action_units == {} and records["SN029_4"].target.action_units == {"AU26": 2}
    assert records["SN001_1"].attributes == {"frame": 1, "coded_units": [f"AU{unit}" for unit in UNITS]}


def test_folds_hold_people(convert) -> None:
    assert {(record.group, record.fold, record.split) for record in convert("disfa", TREE, "--fold", "2").records.values()} == {
        ("SN001", 1, "train"), ("SN013", 2, "test"), ("SN029", 3, "train"),
    }  # fmt: skip


def test_options_of_frames_and_units(convert) -> None:
    converted = convert("disfa", TREE, "--every", "2", "--present-from", "1", "--units", "12", "2", "--first-picture", "1", "--missing-media", "keep")
    record = converted.records["SN001_1"]
    assert record.target.action_units == {"AU2": 1, "AU12": 5} and record.media.images == ["media/img/SN001/1.png"]
    assert record.attributes["coded_units"] == ["AU2", "AU12"]
    assert converted.account["left_out"] == {"between every so many frames": 6}
    assert "'0'; accepted: a whole number from 1 on" in convert("disfa", TREE, "--every", "0").printed


def test_gaps_and_bad_lines_are_told(convert) -> None:
    tree = TREE | {"ActionUnit_Labels/SN001/SN001_au4.txt": "1,0\n2,6\nx,1\n3,2\n"}
    del tree["ActionUnit_Labels/SN001/SN001_au9.txt"], tree["img/SN013/2.png"]
    converted = convert("disfa", tree, "--max-bad-share", "0.5")
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("ActionUnit_Labels/SN001/SN001_au4.txt:2", "intensity is no such number"),
        ("ActionUnit_Labels/SN001/SN001_au4.txt:3", "frame is no such number"),
        ("ActionUnit_Labels/SN013: frame 3", "image is not there"),
    ]  # fmt: skip
    coded = {name: set(record.attributes["coded_units"]) for name, record in converted.records.items()}
    assert "AU9" not in coded["SN001_1"] and "AU4" not in coded["SN001_2"] and "AU4" in coded["SN001_3"]
    assert converted.account["not_there"] == ["ActionUnit_Labels/SN001/SN001_au9.txt"]
