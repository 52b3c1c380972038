"""Action units in text, the emotions that they make up, and the tables of detectors. No outcome is read off the code: all by hand."""

import subprocess
import sys
import time

import pytest

from emoreason.action_units import (
    MERR_PROTOTYPES,
    PROTOTYPES,
    ActionUnit,
    AUFrame,
    asserted_action_units,
    emotions_of,
    facs,
    mean_action_units,
    parse_action_units,
    peak_frame,
    read_au_csv,
    unknown_action_units,
)
from emoreason.faults import UserError
from emoreason.mentions import Finder


def numbers(text):
    return [unit.number for unit in parse_action_units(text)]


def intensities(text):
    return [(unit.number, unit.intensity) for unit in parse_action_units(text)]


def statuses(text):
    return [(unit.number, unit.status) for unit in parse_action_units(text)]


# The table


def test_the_table_holds_what_facs_holds():
    assert sorted(facs()) == [*range(1, 3), *range(4, 40), *range(41, 47), *range(51, 59), *range(61, 65)]
    assert (facs()[12].code, facs()[12].name, facs()[12].muscles) == ("AU12", "Lip corner puller", ("zygomaticus major",))
    assert facs()[4].muscles == ("depressor glabellae", "depressor supercilii", "corrugator supercilii")
    assert all(unit.name for unit in facs().values())


@pytest.mark.parametrize("unit", [unit for unit in facs().values() if unit.name != "Slit"], ids=lambda unit: unit.code)
def test_every_name_is_found_in_prose_save_slit(unit):
    assert numbers(f"One sees: {unit.name}.") == [unit.number]


# Codes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AU12", [12]),
        ("AU 12", [12]),
        ("au-12", [12]),
        ("AU04", [4]),
        ("AU_6", [6]),
        ("FACS AU 12.", [12]),
        ("action unit 12", [12]),
        ("AU6, AU12", [6, 12]),
        ("AUs 6, 12 and 25", [6, 12, 25]),
        ("AUs 6, 12, and 25 are active", [6, 12, 25]),
        ("AUs: [6, 12]", [6, 12]),
        ("Action Units 1, 4 or 15", [1, 4, 15]),
        ("au6+12", [6, 12]),
        ("AU1+2+4", [1, 2, 4]),
        ("AU6 + AU12", [6, 12]),
        ("AU6/12", [6, 12]),
        ("AU6 and 12 are active", [6, 12]),
        ("AU6 and 12.", [6, 12]),
        ("(AU6, 12)", [6, 12]),
        ("AU1-2", [1, 2]),
        ("AU 25-27", [25, 26, 27]),
        ("AU25–27", [25, 26, 27]),
        ("AU1-4", [1, 2, 4]),  # there is no 3
        ("AU4-12", [4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("AU12-25", [12, 25]),  # too wide to be meant: its ends only
        ("AU12-6", [12, 6]),
        ("AU46-50", [46]),  # 50 is none of FACS
        ("R12A", [12]),
        ("R12A+R14A", [12, 14]),
        ("AU R12", [12]),
        ("脸上有AU12和AU6", [12, 6]),
    ],
)
def test_codes_and_lists(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(
    "text",
    ["AUDIO 12", "AU$12", "auburn", "EAU12", "BEAU 12", "AU99", "AU3", "AU0", "AU120", "AU 2024", "AU12.5", "AU12x", "AU12_r", "12C", "R12", "R12F",
     "AU", "AUs", "AU twelve", "au revoir 12", "xAU12", "AU12%", "", "R99A"],
)  # fmt: skip
def test_what_is_no_code(text):
    assert parse_action_units(text) == []


@pytest.mark.parametrize("text", ["AU6 and 12 wrinkles", "AU6, 12 times", "AU6, 12%", "AU6, 1998", "AU6: 2, 4", "AU6, 12.5 and", "AU6-like 12"])
def test_numbers_behind_a_code_that_are_no_units(text):
    assert numbers(text) == [6]


def test_one_is_never_found_in_twelve():
    assert asserted_action_units("AU12") == {"AU12": None}
    assert asserted_action_units("AU1, AU12, AU2") == {"AU1": None, "AU12": None, "AU2": None}


def test_a_mention_says_where_it_stands():
    text = "See AUs 6, 12C."
    assert parse_action_units(text) == [ActionUnit(6, None, None, "asserted", 4, 9), ActionUnit(12, 3.0, None, "asserted", 11, 14)]
    assert (text[4:9], text[11:14]) == ("AUs 6", "12C")
    assert parse_action_units("AU12")[0].code == "AU12"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AU12A AU6e", [(12, 1.0), (6, 5.0)]),
        ("AUs 6, 12C and 25", [(6, None), (12, 3.0), (25, None)]),
        ("AU12 (intensity 3)", [(12, 3.0)]),
        ("AU12 (intensity: C)", [(12, 3.0)]),
        ("AU12 (3)", [(12, 3.0)]),
        ("AU12 (B) and AU6", [(12, 2.0), (6, None)]),
        ("AU12 (2.5/5)", [(12, 2.5)]),
        ("AU12: 2.5", [(12, 2.5)]),
        ("AU12: C, AU6: B", [(12, 3.0), (6, 2.0)]),
        ("AU12=3", [(12, 3.0)]),
        ("AU6: 2, AU12: 3.", [(6, 2.0), (12, 3.0)]),
        ("AU6 (2), 12 (3)", [(6, 2.0), (12, 3.0)]),
        ("AU6 at level B", [(6, 2.0)]),
        ("AU6 with an intensity of 3.5", [(6, 3.5)]),
        ("AU6, intensity 4", [(6, 4.0)]),
        ("R12A", [(12, 1.0)]),
        ("Cheek Raiser: 2.5; Lip Corner Puller (level D)", [(6, 2.5), (12, 4.0)]),
        ("lip corner puller (AU12): 3", [(12, None), (12, 3.0)]),
        ("- **AU12 (Lip Corner Puller)**: intensity 3\n- **AU6**: 2.0", [(12, None), (12, 3.0), (6, 2.0)]),
        ('{"AU12": 3.0, "AU6": null}', [(12, 3.0), (6, None)]),
        # Not on the scale from 0 to 5, or no intensity at all.
        ("AU12: 7", [(12, None)]),
        ("AU12: 85%", [(12, None)]),
        ("AU12 (3/10)", [(12, None)]),
        ("AU12: A smile", [(12, None)]),
        ("AU12: 2 lips", [(12, None)]),
        ("AU12 at a level", [(12, None)]),
        ("AU12 with intensity a bit high", [(12, None)]),
    ],
)
def test_intensities(text, expected):
    assert intensities(text) == expected


@pytest.mark.parametrize(
    ("text", "side"),
    [("R12A", "right"), ("AU L12", "left"), ("AU12R", "right"), ("left AU12", "left"), ("right-sided AU12", "right"), ("AU12 on the left", "left"),
     ("AU12 (right)", "right"), ("the left lip corner is pulled up", "left"), ("unilateral AU12", None), ("AU12", None)],
)  # fmt: skip
def test_sides(text, side):
    assert [(unit.number, unit.side) for unit in parse_action_units(text)] == [(12, side)]


# Prose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lip corners are pulled up.", [12]),
        ("corners of the mouth slightly raised", [12]),
        ("upturned lip corners", [12]),
        ("The corners of her mouth are drawn downward", [15]),
        ("inner brows raised", [1]),
        ("raised outer eyebrows", [2]),
        ("raised eyebrows", [1, 2]),
        ("She raises her eyebrows", [1, 2]),
        ("a deeply furrowed brow, brows lowered", [4, 4]),
        ("Eyebrows are deeply furrowed", [4]),
        ("cheeks raised, eyes narrowed", [6, 7]),
        ("wide-open eyes, jaw dropped", [5, 26]),
        ("his nose is wrinkled", [9]),
        ("lips tightly pressed", [24]),
        ("mouth wide open", [27]),
        ("eyes closed and head turned to the left", [43, 51]),
        # What the units add up to is no unit, and neither are other uses of the words.
        ("a smile, a frown", []),
        ("the brow of the hill", []),
        ("chin up", []),
    ],
)
def test_names_in_prose(text, expected):
    assert numbers(text) == expected


def test_a_unit_that_is_named_twice_is_there_twice():
    assert numbers("lip corner puller (AU12)") == [12, 12]
    assert asserted_action_units("lip corner puller (AU12)") == {"AU12": None}


# Negation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no AU4", [(4, "negated")]),
        ("AU4 is absent", [(4, "negated")]),
        ("AU4: absent", [(4, "negated")]),
        ("AU4 (absent)", [(4, "negated")]),
        ("without AU9", [(9, "negated")]),
        ("AU4 is not visible", [(4, "negated")]),
        ("neither AU4 nor AU9", [(4, "negated"), (9, "negated")]),
        ("no AUs 4, 7 and 9", [(4, "negated"), (7, "negated"), (9, "negated")]),
        ("no AU4+7", [(4, "negated"), (7, "negated")]),
        ("AUs 4 and 7 are absent", [(4, "negated"), (7, "negated")]),
        ("AU12 but no AU6", [(12, "asserted"), (6, "negated")]),
        ("no lowered brows", [(4, "negated")]),
        ("no brow lowerer (AU4)", [(4, "negated"), (4, "negated")]),
        ("The brows are not lowered (AU4), the lips part (AU25).", [(4, "negated"), (25, "asserted"), (25, "asserted")]),
        ("No raised eyebrows.", [(1, "negated"), (2, "negated")]),
        ("AU4 (brow lowerer) is absent", [(4, "negated"), (4, "negated")]),
        ("not angry (AU4, AU7 and AU23)", [(4, "negated"), (7, "negated"), (23, "negated")]),
        ("not angry (AU12 is clear)", [(12, "asserted")]),
        ("AU4: 0", [(4, "negated")]),
        ("AU4 (intensity 0) and AU12", [(4, "negated"), (12, "asserted")]),
        ("perhaps AU4", [(4, "hedged")]),
        ("Is it AU4?", [(4, "hedged")]),
    ],
)
def test_negated_and_hedged_units(text, expected):
    assert statuses(text) == expected


def test_asserted_units_have_their_highest_intensity():
    text = "AU12, then AU12B, then AU12D, AU6; perhaps AU25, no AU4, AU9: 0, AU12C"
    assert asserted_action_units(text) == {"AU12": 4.0, "AU6": None}
    assert asserted_action_units("AU12C, AU12") == {"AU12": 3.0}
    assert asserted_action_units("No AU4. AU4!") == {"AU4": None}
    assert asserted_action_units("") == {}


def test_unknown_units_are_named_for_linting():
    assert unknown_action_units("AU99 and AU12, AUs 3, 4 and 40, AU99, AU120") == ["AU99", "AU3", "AU40", "AU120"]
    assert unknown_action_units("AU12 R3B") == []


@pytest.mark.parametrize(
    "text",
    ["AU1+" * 25_000, "(" * 100_000, "AU12 (intensity " * 6_000, "AU 1" + "9" * 100_000, "AUs 6, " + "7, " * 33_000, "AU12" + " " * 100_000,
     "(AU1111111111111111111111111111111111111111111)" * 2_000, "brows are slightly " * 5_000, "left " * 20_000, "\ud800\x00AU１２" * 10_000],
)  # fmt: skip
def test_time_is_linear(text):
    start = time.process_time()
    parse_action_units(text)
    assert time.process_time() - start < 2.5


# Emotions


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ("6 12", ("happiness", 1.0)),
        ("1 4 15", ("sadness", 1.0)),
        ("1 2 5 26", ("surprise", 1.0)),
        ("1 2 4 5 7 20 26", ("fear", 1.0)),
        ("4 5 7 23", ("anger", 1.0)),
        ("4 7 24", ("anger", 1.0)),  # a variant: 4+5+7+24 without 5
        ("9 15 16", ("disgust", 1.0)),
        ("12 14", ("contempt", 1.0)),
        ("6 15", ("sadness", 0.5)),  # 6+15 (54 64): 2 of 4
        ("6 15 54 64", ("sadness", 1.0)),
    ],
)
def test_the_prototype_of_each_emotion_is_found(codes, best):
    assert emotions_of({f"AU{code}": None for code in codes.split()})[0] == best


def test_every_emotion_is_in_its_own_first_prototype():
    for emotion, (first, *_) in PROTOTYPES.items():
        assert emotion in dict(emotions_of(dict.fromkeys(first.required)))


def test_a_required_unit_that_is_missing_excludes():
    assert emotions_of({"AU6": None}) == []
    assert emotions_of({"AU12": None}) == [("happiness", 1.0)]  # 12C, unrated
    assert emotions_of({}) == []


def test_minimum_intensities_hold_where_they_are_rated():
    # 12 alone is happiness from C on
    assert emotions_of({"AU12": 3.0}) == [("happiness", 1.0)]
    assert emotions_of({"AU12": 2.5}) == []
    assert emotions_of({"AU6": 1.0, "AU12": 1.0}) == [("happiness", 1.0)]
    # 5B+26
    assert emotions_of({"AU5": 2.0, "AU26": 1.0}) == [("surprise", 1.0)]
    assert emotions_of({"AU5": 1.0, "AU26": 1.0}) == []
    # rated 0 is absent
    assert emotions_of({"AU6": 0.0, "AU12": 2.0}) == []


def test_more_units_win_among_equal_shares():
    found = emotions_of(dict.fromkeys(["AU26", "AU20", "AU7", "AU5", "AU4", "AU2", "AU1"]))
    assert found[0] == ("fear", 1.0)  # seven units, surprise has four of them
    assert ("surprise", 1.0) in found
    # 6+12 and 12+14 have two each: in the order of the table
    assert [emotion for emotion, _ in emotions_of(dict.fromkeys(["AU14", "AU12", "AU6"]))] == ["happiness", "contempt"]


def test_the_order_of_the_units_does_not_matter():
    codes = [f"AU{number}" for number in (1, 2, 4, 5, 7, 9, 12, 14, 15, 20, 23, 26)]
    assert emotions_of(dict.fromkeys(codes)) == emotions_of(dict.fromkeys(codes[::-1]))


def test_the_rules_of_merr():
    assert {emotion: [set(one.required) for one in variants] for emotion, variants in MERR_PROTOTYPES.items()} == {
        "happiness": [{"AU6", "AU12"}], "sadness": [{"AU1", "AU4", "AU15"}], "surprise": [{"AU5", "AU26"}], "anger": [{"AU4", "AU5", "AU7", "AU23"}],
    }  # fmt: skip
    assert emotions_of({"AU12": 5.0}, MERR_PROTOTYPES) == []
    assert emotions_of({"AU5": None, "AU26": None, "AU6": None, "AU12": None}, MERR_PROTOTYPES) == [("happiness", 1.0), ("surprise", 1.0)]


# Tables of detectors; the headers are true, the rows are made up.

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


def test_phrases_belong_to_units_that_share_them_on_purpose():
    shared: dict[str, list[int]] = {}
    for unit in facs().values():
        for phrase in unit.phrases:
            shared.setdefault(phrase, []).append(unit.number)
    assert {tuple(owners) for owners in shared.values() if len(owners) > 1} == {(1, 2)}
    assert all(len(Finder([phrase]).find(f"{phrase}.")) == 1 for phrase in list(shared)[::500])


def test_importing_is_light():
    code = "import sys, emoreason.action_units; print(sorted({'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
