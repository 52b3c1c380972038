"""AIPsy-Affect: pairs in one group, neutral twins that name the other's emotion, hard newlines, domains that nobody wrote."""

import io
from typing import Any

import pyarrow
from pyarrow import parquet

ROWS = {
    "clinical": [["B-rage-d1-v1", "rage", "peak", 1, "Financial betrayal", "N-rage-d1-c1", 6, "The account was empty.\nHe sat\ndown."]],
    "neutral": [
        ["N-rage-d1-c1", "rage", "none", 1, "Financial betrayal", "B-rage-d1-v1", 5, "The account had grown."],
        ["N-grief-d2-c1", "neutral", "none", 2, "Work", None, 3, "They met at nine."],
    ],
    "moderate": [["M-terror-d1-v1", "Terror", "moderate", 1, "Financial betrayal", None, 3, "The bill came."],
                 ["M-terror-d1-v2", "boredom", "moderate", 1, "Financial betrayal", None, 3, "The bill came."]],
    "complex_neutral": [["C-001", "neutral", "none", None, None, None, 4, "The lathe turned slowly."]],
}  # fmt: skip
COLUMNS = ("id", "emotion", "intensity", "domain", "domain_label", "matched_control_id", "word_count", "text")


def packed(rows: list[list[Any]]) -> bytes:
    table = pyarrow.table({name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)})
    content = io.BytesIO()
    parquet.write_table(table, content)
    return content.getvalue()


TREE = {f"data/{name}.parquet": packed(rows) for name, rows in ROWS.items()}


def test_a_story_and_its_twin_are_one_group_with_labels_of_their_own(convert) -> None:
    records = convert("aipsy_affect", TREE, "--max-bad-share", "0.5").records
    story, twin = records["B-rage-d1-v1"], records["N-rage-d1-c1"]
    assert story.group == twin.group == "B-rage-d1-v1"
    assert (story.target.label, twin.target.label, records["N-grief-d2-c1"].target.label) == ("rage", "neutral", "neutral")
    assert twin.attributes == {"condition": "neutral", "intensity": "none", "domain": "Financial betrayal",
                               "twin": "B-rage-d1-v1", "twin_emotion": "rage"}  # fmt: skip
    assert records["C-001"].attributes == {"condition": "complex_neutral", "intensity": "none"}
    assert records["M-terror-d1-v1"].target.label == "terror" and records["M-terror-d1-v1"].group == "M-terror-d1-v1"


def test_hard_newlines_become_blanks_and_other_words_are_bad(convert) -> None:
    converted = convert("aipsy_affect", TREE)
    assert converted.records["B-rage-d1-v1"].text == "The account was empty. He sat down."
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [("data/moderate.parquet: row 2", "label is not of aipsy_8_neutral")]
    assert converted.code == 1 and converted.account["splits"] == {"all": 5}


def test_a_file_that_is_missing_is_named(convert) -> None:
    converted = convert("aipsy_affect", {"data/clinical.parquet": TREE["data/clinical.parquet"]})
    assert converted.code == 2 and "no data/neutral.parquet nor neutral.parquet" in converted.printed
