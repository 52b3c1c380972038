import csv
from pathlib import Path

import pytest

import emoreason
from emoreason.faults import UserError
from emoreason.valence import UNIT, VAD, Lexicon, Scale, load_nrc_vad, rescale, vad_distance, vad_of_words, vader_lexicon, valence_of_words

TABLE = Path(emoreason.__file__).parent / "tables" / "vader_lexicon.csv"
SAM = Scale(1, 9)

# Three entries in the two forms of the lexicon; the numbers are made up.
VERSION_1 = "Word\tValence\tArousal\tDominance\nhappy\t0.9\t0.7\t0.6\nsad\t0.1\t0.3\t0.2\na lot\t0.5\t0.4\t0.5\n"
VERSION_2 = "term\tvalence\tarousal\tdominance\nhappy\t0.8\t0.4\t0.2\nsad\t-0.8\t-0.4\t-0.6\nfed up\t-0.6\t0.2\t-0.2\n"


@pytest.fixture
def nrc_file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / f"nrc_{len(list(tmp_path.iterdir()))}.txt"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (2.8, Scale(-4, 4), UNIT, 0.85),  # 6.8 / 8
        (7.5, SAM, UNIT, 0.8125),  # 6.5 / 8
        (5, SAM, Scale(-1, 1), 0.0),  # the middle
        (-0.5, Scale(-1, 1), SAM, 3.0),  # a quarter of the way: 1 + 8 / 4
        (0.0, UNIT, SAM, 1.0),
        (9, SAM, Scale(1, 5), 5.0),
    ],
)
def test_a_rating_keeps_its_share_of_the_way(value, source, target, expected):
    assert rescale(value, source, target) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.9, 9.1, -7.5, float("nan"), float("inf")])
def test_a_rating_outside_its_scale_is_refused_and_not_clipped(value):
    with pytest.raises(UserError, match="is outside its scale from 1 to 9; correct the rating or the scale"):
        rescale(value, SAM, UNIT)


def test_a_rating_that_rounding_carried_over_the_end_is_on_the_end():
    assert rescale(0.1 + 0.2, Scale(0.0, 0.3), UNIT) == 1.0  # 0.30000000000000004


@pytest.mark.parametrize(("low", "high"), [(1, 1), (9, 1), (float("nan"), 1), (0, float("inf"))])
def test_a_scale_without_length_is_refused(low, high):
    with pytest.raises(UserError, match="accepted: two finite numbers, the lower one first"):
        Scale(low, high)


def test_distance_of_valence_alone_is_the_difference():
    # joy in VADER: (2.8 + 4) / 8 = 0.85; 3 of 1..9: 2 / 8 = 0.25; arousal is on one side only
    assert vad_distance(VAD(2.8, scale=Scale(-4, 4)), VAD(3, 8, scale=SAM)) == pytest.approx(0.6)


def test_distance_over_three_dimensions():
    first, second = VAD(0.9, 0.5, 0.2), VAD(0.4, 0.2, 0.6)
    # differences 0.5, 0.3, 0.4: sqrt((0.25 + 0.09 + 0.16) / 3) = sqrt(0.5 / 3) = 0.408248
    assert vad_distance(first, second) == pytest.approx(0.408248, abs=1e-6)
    # the same points on other scales: 1 + 8 * v, and 2 * v - 1
    assert vad_distance(VAD(8.2, 5.0, 2.6, SAM), VAD(-0.2, -0.6, 0.2, Scale(-1, 1))) == pytest.approx(0.408248, abs=1e-6)


def test_distance_over_the_two_dimensions_that_both_have():
    # differences 0.6, 0.8: sqrt((0.36 + 0.64) / 2) = 0.707107
    assert vad_distance(VAD(0.8, 0.1, 0.3), VAD(0.2, 0.9)) == pytest.approx(0.707107, abs=1e-6)


def test_distance_is_0_to_itself_and_1_across_the_cube():
    assert vad_distance(VAD(3, 4, 5, SAM), VAD(3, 4, 5, SAM)) == 0.0
    assert vad_distance(VAD(1, 1, 1, SAM), VAD(1, 1, 1)) == pytest.approx(1.0)


def test_a_point_outside_its_scale_has_no_distance():
    with pytest.raises(UserError, match=r"rating 7.5 is outside its scale from 0.0 to 1.0"):
        vad_distance(VAD(7.5), VAD(0.5))


def test_vader_values_in_their_scale():
    vader = vader_lexicon()
    assert (vader.name, vader.scale) == ("VADER", Scale(-4, 4))
    assert vader.valence("joy") == 2.8
    assert vader.get("sadness") == VAD(-1.9, scale=Scale(-4, 4))
    assert vader.valence("fed up") == -1.8
    assert vader.valence("neutral") is None and vader.get("") is None
    assert vader_lexicon() is vader


@pytest.mark.parametrize(("word", "valence"), [("JOY.", 2.8), ("  Joy ", 2.8), ("fed   up!", -1.8), (":)", 2.0), (":D", 2.3), ("d", None)])
def test_words_are_found_in_any_case_with_or_without_punctuation(word, valence):
    assert vader_lexicon().valence(word) == valence


def test_of_words_that_stand_twice_the_last_row_in_lower_case_counts():
    assert vader_lexicon().valence("ok") == 1.2  # 1.6, then 1.2
    assert vader_lexicon().valence(":p") == 1.0  # :p is 1.0 and :P 1.4


def test_the_table_holds_all_of_vader_and_its_licence():
    lines = TABLE.read_text(encoding="utf-8").split("\n")
    notice = [line for line in lines if line.startswith("#")]
    assert notice == lines[: len(notice)]
    assert {"# Copyright (c) 2016 C.J. Hutto", "# The MIT License (MIT)"} <= set(notice)
    assert any("permission notice shall be included in all" in line for line in notice)
    rows = list(csv.DictReader(lines[len(notice) :]))
    assert list(rows[0]) == ["word", "valence", "sd"] and len(rows) == 7520
    assert all(-4 <= float(row["valence"]) <= 4 and float(row["valence"]) != 0 and 0 <= float(row["sd"]) <= 2.5 for row in rows)


def test_version_1_rates_from_0_to_1_and_version_2_from_minus_1(nrc_file):
    first, second = load_nrc_vad(nrc_file(VERSION_1)), load_nrc_vad(str(nrc_file(VERSION_2)))
    assert first.scale == Scale(0, 1) and second.scale == Scale(-1, 1)
    assert first.get("Happy.") == VAD(0.9, 0.7, 0.6, Scale(0, 1))
    assert second.get("sad") == VAD(-0.8, -0.4, -0.6, Scale(-1, 1))
    assert second.get("fed up") == VAD(-0.6, 0.2, -0.2, Scale(-1, 1))
    assert first.get("joy") is None


@pytest.mark.parametrize(
    "text",
    [
        VERSION_2.split("\n", 1)[1],  # no header
        VERSION_2.replace("\n", "\r\n"),
        "\ufeff" + VERSION_2,
        VERSION_2.strip(),
        VERSION_2.replace("\n", "\n\n"),
    ],
    ids=["no header", "windows", "byte order mark", "no last newline", "blank lines"],
)
def test_files_that_differ_in_form_read_the_same(nrc_file, text):
    assert load_nrc_vad(nrc_file(text)).ratings == load_nrc_vad(nrc_file(VERSION_2)).ratings
    assert len(load_nrc_vad(nrc_file(text)).ratings) == 3


def test_words_that_a_table_reader_takes_for_missing_are_words(nrc_file):
    assert load_nrc_vad(nrc_file("null\t0.2\t0.3\t0.4\nnan\t0.5\t0.5\t0.5\n")).valence("nan") == 0.5


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        ("joy,0.9,0.8,0.7\n", 1, "joy,0.9,0.8,0.7"),
        ("Word\tValence\njoy\t0.9\n", 1, r"Word\tValence"),  # the file of one dimension
        (VERSION_1 + "joy\tgood\t0.2\t0.3\n", 5, r"joy\tgood\t0.2\t0.3"),
        (VERSION_1 + "joy\t0.2\t0.3\n", 5, r"joy\t0.2\t0.3"),
        (VERSION_1 + "joy\t0.2\t0.3\t0.4\tgioia\n", 5, r"joy\t0.2\t0.3\t0.4\tgioia"),  # another language's file
        (VERSION_1 + "joy\t8.2\t5.5\t7.4\n", 5, r"joy\t8.2\t5.5\t7.4"),  # another lexicon's scale
        (VERSION_1 + "joy\tnan\t0.1\t0.1\n", 5, r"joy\tnan"),
        (VERSION_1 + "\t0.1\t0.1\t0.1\n", 5, r"0.1\t0.1"),
    ],
)
def test_another_kind_of_file_is_refused_with_its_line(nrc_file, text, line, shown):
    path = nrc_file(text)
    with pytest.raises(UserError) as raised:
        load_nrc_vad(path)
    assert raised.value.faults[0].startswith(f"{path}:{line}: ")
    assert shown in raised.value.faults[0]
    assert "accepted: term, valence, arousal and dominance, separated by tabs" in raised.value.faults[0]


def test_of_many_wrong_lines_the_first_are_named_and_the_rest_counted(nrc_file):
    with pytest.raises(UserError) as raised:
        load_nrc_vad(nrc_file("no entry\n" * 1000))
    assert len(raised.value.faults) == 6 and raised.value.faults[-1].endswith("995 more lines are no entries")


@pytest.mark.parametrize("text", ["", "\n\n", "term\tvalence\tarousal\tdominance\n"])
def test_a_file_without_entries_is_refused(nrc_file, text):
    with pytest.raises(UserError, match="holds no entries; accepted: term"):
        load_nrc_vad(nrc_file(text))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.txt: cannot be read: No such file"):
        load_nrc_vad(tmp_path / "none.txt")
    with pytest.raises(UserError, match="cannot be read"):
        load_nrc_vad(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\t0.1\t0.1\t0.1\n")
    with pytest.raises(UserError, match="not UTF-8 text"):
        load_nrc_vad(tmp_path / "latin.txt")


def test_mean_over_the_words_that_are_known():
    # (2.8 + -1.9) / 2 = 0.45
    assert valence_of_words(["Joy.", "blorb", "sadness"], vader_lexicon()) == pytest.approx(0.45)
    assert valence_of_words(["blorb", "", "\ud800", "x" * 100_000], vader_lexicon()) is None
    assert valence_of_words([], vader_lexicon()) is None


def test_mean_point_is_in_the_lexicons_scale(nrc_file):
    lexicon = load_nrc_vad(nrc_file(VERSION_2))
    # happy 0.8 0.4 0.2 and sad -0.8 -0.4 -0.6: 0, 0, -0.2
    mean = vad_of_words(["happy", "sad"], lexicon)
    assert mean.values == pytest.approx((0.0, 0.0, -0.2)) and mean.scale == Scale(-1, 1)
    assert vad_of_words(["joy"], vader_lexicon()) == VAD(2.8, scale=Scale(-4, 4))


def test_a_rating_of_0_is_known():
    assert Lexicon("own", Scale(-1, 1), {"calm": (0.0,)}).valence("calm") == 0.0
