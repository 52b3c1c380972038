"""Tables of detectors: leading blanks, lost and doubtful frames, several faces, three kinds of tables."""

OPENFACE = (
    "frame, face_id, timestamp, confidence, success, AU01_r, AU06_r, AU12_r, AU01_c, AU12_c, AU28_c\n"
    "1, 0, 0.000, 0.98, 1, 0.10, 0.50, 0.40, 0, 0, 1\n"
    "2, 0, 0.040, 0.97, 1, 0.20, 2.50, 5.30, 0, 1, 1\n"
    "3, 0, 0.080, 0.60, 1, 5.00, 5.00, 5.00, 1, 1, 1\n"
    "4, 0, 0.120, 0.98, 0, 5.00, 5.00, 5.00, 1, 1, 1\n"
    "4, 1, 0.120, 0.98, 1, 4.00, 4.00, 4.00, 1, 1, 1\n"
)
LIBREFACE = "frame_idx,frame_time_in_ms,au_1,au_12,au_12_intensity,au_25_intensity\n0,0.0,0,1,1.5,0.4\n1,40.0,0,0,0.2,3.5\n"
PY_FEAT = "FaceScore,AU01,AU12,AU43,frame\n0.99,0.2,0.7,0.1,0\n0.99,0.9,0.8,0.5,1\n"


def test_the_peak_of_the_main_face(convert) -> None:
    tree = {"anna/take_1.csv": "\ufeff" + OPENFACE, "anna/take_1.mp4": b"clip"}
    record = convert("openface_csv", tree, "--group", "folder").records["anna/take_1"]
    assert record.target.action_units == {"AU6": 2.5, "AU12": 5, "AU28": None}
    assert record.attributes == {"frames": 4, "peak_frame": 2, "peak_seconds": 0.04, "confidence": 0.97,
                                 "found_units": ["AU1", "AU6", "AU12", "AU28"]}  # fmt: skip
    assert (record.media.video, record.group, record.split) == ("media/anna/take_1.mp4", "anna", "all")


def test_options_of_confidence_and_intensity(convert) -> None:
    tree = {"take_1.csv": OPENFACE, "take_1.mp4": b"clip"}
    record = convert("openface_csv", tree, "--min-confidence", "0.5").records["take_1"]
    assert record.attributes["peak_frame"] == 3 and record.group == "take_1"
    record = convert("openface_csv", tree, "--min-intensity", "3").records["take_1"]
    assert record.target.action_units == {"AU12": 5, "AU28": None}
    converted = convert("openface_csv", tree, "--min-confidence", "0.99")
    assert converted.code == 2 and "1 left out: no usable frame" in converted.printed


def test_libreface_and_py_feat(convert) -> None:
    records = convert("openface_csv", {"a.csv": LIBREFACE, "processed/b.csv": PY_FEAT, "a.avi": b"clip", "b.mkv": b"clip"}).records
    assert records["a"].target.action_units == {"AU25": 3.5} and records["a"].attributes["peak_seconds"] == 0.04
    assert records["processed/b"].target.action_units == {"AU1": None, "AU12": None, "AU43": None}
    assert records["processed/b"].media.video == "media/b.mkv"


def test_pictures_other_tables_and_missing_clips(convert) -> None:
    other = "AU01_r,AU03_r,confidence\n1,2,0.99\n"
    tree = {"a.csv": LIBREFACE, "a.png": b"picture", "labels.csv": "name,label\na,happy\n", "openface3.csv": other, "c.csv": PY_FEAT}
    converted = convert("openface_csv", tree, "--kind", "image", "--max-bad-share", "0.8")
    assert converted.records["a"].media.images == ["media/a.png"] and list(converted.records) == ["a"]
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("c.csv: table", "image is not there"), ("labels.csv: table", "no table of action units"),
        ("openface3.csv: table", "no table of action units"),
    ]  # fmt: skip
    assert converted.faults[1]["found"].startswith("labels.csv: no columns of action units")
    assert "FACS has no such action units" in converted.faults[2]["found"]
