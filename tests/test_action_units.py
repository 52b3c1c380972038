"""Action units in text. No outcome is read off the code: all by hand."""

import subprocess
import sys
import time

import pytest

from emoreason.action_units import ActionUnit, asserted_action_units, facs, parse_action_units, unknown_action_units
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
