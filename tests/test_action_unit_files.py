"""Tables of detectors; the headers are true, the rows are made up."""

import pytest

from emoreason.action_unit_files import AUFrame, mean_action_units, peak_frame, read_au_csv
from emoreason.faults import UserError

OPENFACE = """frame, face_id, timestamp, confidence, success, AU06_r, AU12_r, AU06_c, AU12_c, AU28_c
1, 0, 0.000, 0.98, 1, 1.00, 2.00, 1, 1, 0
2, 0, 0.033, 0.95, 1, 3.00, 2.50, 1, 1, 0
3, 0, 0.067, 0.30, 1, 5.00, 5.00, 1, 1, 1
4, 0, 0.100, 0.00, 0, 5.00, 5.00, 0, 0, 0
5, 0, 0.133, 0.90, 1, nan, 0.50, 0, 0, 0
"""


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "units.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_openface(write):
    frames = read_au_csv(write(OPENFACE))
    assert frames[0] == AUFrame(1, 0.0, 0.98, True, 0, {"AU6": 1, "AU12": 1, "AU28": 0}, {"AU6": 1.0, "AU12": 2.0}, {})
    assert [frame.success for frame in frames] == [True, True, True, False, True]
    assert frames[4].intensity == {"AU12": 0.5}


@pytest.mark.parametrize(("old", "new"), [(", ", ","), (", ", " , "), ("\n", "\r\n"), ("\n", "\n\n"), ("frame", "\ufeffframe")])
def test_blanks_line_ends_and_byte_order_marks_do_not_matter(write, old, new):
    assert read_au_csv(write(OPENFACE.replace(old, new))) == read_au_csv(write(OPENFACE))


def test_openface_of_single_images_has_neither_frames_nor_success(write):
    (frame,) = read_au_csv(write("face, confidence, AU12_r, AU12_c\n0, 0.95, 1.5, 1\n"))
    assert frame == AUFrame(0, None, 0.95, None, 0, {"AU12": 1}, {"AU12": 1.5}, {})


@pytest.mark.parametrize("ending", ["intensity", "intensities"])
def test_libreface(write, ending):
    frames = read_au_csv(write(f",frame_idx,frame_time_in_ms,au_1,au_12,au_1_{ending},au_25_{ending}\n0,7,280.0,0,1,0.25,3.5\n1,8,320.0,1,1,,\n"))
    assert frames[0] == AUFrame(7, 0.28, None, None, None, {"AU1": 0, "AU12": 1}, {"AU1": 0.25, "AU25": 3.5}, {})
    assert (frames[1].frame, frames[1].timestamp, frames[1].intensity) == (8, 0.32, {})


def test_py_feat_has_probabilities_and_paths_in_any_encoding(write):
    text = "frame,FaceScore,AU01,AU12,happiness,input\n0.0,0.99,0.2,0.5,0.9,C:\\Vidéos\\a.mp4\n1.0,nan,nan,nan,nan,C:\\Vidéos\\a.mp4\n"
    frames = read_au_csv(write(text, "cp1252"))
    assert frames == [AUFrame(0, None, 0.99, None, None, {"AU1": 0, "AU12": 1}, {}, {"AU1": 0.2, "AU12": 0.5}), AUFrame(1)]
    assert peak_frame(frames).frame == 0
    assert mean_action_units(frames) == {}
    assert mean_action_units(frames, of="probability") == {"AU1": 0.2, "AU12": 0.5}


def test_mean_and_peak_leave_lost_and_unsure_faces_out(write):
    frames = read_au_csv(write(OPENFACE))
    # frames 1, 2, 5: AU6 (1 + 3) / 2, AU12 (2 + 2.5 + 0.5) / 3
    assert mean_action_units(frames) == pytest.approx({"AU6": 2.0, "AU12": 5 / 3})
    assert mean_action_units(frames, of="occurrence") == pytest.approx({"AU6": 2 / 3, "AU12": 2 / 3, "AU28": 0.0})
    # sums 3, 5.5, 0.5; frame 3 has 10 but is unsure, frame 4 is lost
    assert peak_frame(frames).frame == 2
    assert peak_frame(frames, min_confidence=0.0).frame == 3
    assert peak_frame(frames, min_confidence=0.99) is None
    assert mean_action_units(frames, min_confidence=0.99) == {}
    assert peak_frame([]) is None


def test_the_first_of_equal_peaks_counts():
    frames = [AUFrame(number, intensity={"AU6": 1.0, "AU12": 2.0}) for number in (4, 5)]
    assert peak_frame(frames).frame == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,valence\n1,0.5\n", r"no columns of action units, but frame, valence; accepted: tables of OpenFace .*LibreFace .*py-feat"),
        ("", r"the file is empty; accepted"),
        ("frame,AU03_r\n1,0.5\n", r"columns AU03_r: FACS has no such action units"),
        ("frame,AU12_r\n1,0.5\n2,high\n", r"units.csv:3: AU12_r is 'high'; accepted: a number, or nan"),
        ("frame,AU12\n1,3.0\n", r"units.csv:2: AU12 is '3.0'; accepted: a number from 0 to 1, or nan"),
        ("frame,AU12_r\n1,inf\n", r"AU12_r is 'inf'"),
        ("frame,AU12_r\n" + "1,x\n" * 9, r"4 more cells"),
    ],
)
def test_faults_say_what_is_accepted(write, text, message):
    with pytest.raises(UserError, match=message):
        read_au_csv(write(text))


def test_a_missing_file_is_the_users_fault(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_au_csv(tmp_path / "none.csv")
