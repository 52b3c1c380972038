"""Emotion wheels: our own from tables, the official ones from a folder, one code to score with either."""

import csv
import os
from pathlib import Path

import pytest
from openpyxl import Workbook

from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError
from emoreason.mer_wheels import official_list
from emoreason.wheels import DEFAULT_WHEELS, emotion_mentions, emotion_words, find_wheels, official_wheels, own_wheels

# What the official files of 2025 give for these words on wheels 1 to 5, inner ring.
OFFICIAL_2025 = {
    "happy": ("happy", "happy", "joyful", "joy", "powerful"),
    "joy": ("happy", "happy", "joyful", "joy", "powerful"),
    "happiness": ("happy", "happy", "joyful", "joy", "powerful"),
    "excited": ("surprised", "happy", "joyful", "genius", "joyful"),
    "anxiety": ("scared", "fearful", "scared", "fear", "scared"),
    "fearful": ("scared", "fearful", "scared", "fear", "scared"),
    "worried": ("scared", "fearful", "scared", "fear", "scared"),
    "fear": ("scared", "happy", "joyful", "genius", "joyful"),
    "embarrassment": ("sad", "sad", "sad", "disgust", "sad"),
    "confusion": ("surprised", "surprised", "scared", "sad", "scared"),
    "doubt": ("mad", "angry", "mad", "anger", "mad"),
    "calm": ("happy", "happy", "peaceful", "joy", "peaceful"),
    "neutral": (None, None, None, None, None),
    "awe": ("surprised", "surprised", None, "genius", None),
    "relief": ("happy", None, None, "joy", None),
    "surprise": ("surprised", "surprised", "powerful", "fear", None),
    "disgust": ("disgusted", "disgusted", None, "disgust", None),
    "angry": ("mad", "angry", "mad", "anger", "mad"),
    "anger": ("mad", "angry", "mad", "anger", "mad"),
    "sad": ("sad", "sad", "sad", "sad", "sad"),
    "sadness": ("sad", "sad", "sad", "sad", "sad"),
    "frustrated": ("sad", "sad", "mad", "sad", "mad"),
    "contempt": (None, "angry", None, None, None),
    "contentment": ("happy", None, None, None, None),
}


def write_sheet(path: Path, rows: list[list]) -> None:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def write_folder(folder: Path, forms: dict[str, str], synonyms: dict[str, list[str]], wheels: list[list[list]]) -> Path:
    """A folder with the official layout: blank cells repeat, runs 2 to 8 repeat run 1, the lists are spelled like Python's."""
    folder.mkdir()
    with (folder / "format.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([["name", "format"], *forms.items()])
    header = [f"{kind}_run{run}" for run in range(1, 9) for kind in ("word", "synonym")]
    write_sheet(folder / "synonym.xlsx", [header, *([word, str(others)] * 8 for word, others in synonyms.items())])
    for number, rows in enumerate(wheels, start=1):
        write_sheet(folder / f"wheel{number}.xlsx", [["level1", "level2", "level3"], *rows])
    return folder


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory):
    """A few rows with the traps of the real files: a form of two words, a word of level 1, a blank cell, capitals and blanks."""
    wheel = [
        ["Scared", "fearful", "worried "],
        [None, None, "anxious"],
        ["Happy", "powerful", "fearless"],
        [None, "content", "pleased"],
        ["angry", "mad", "furious"],
    ]
    other = [["fear", "scared", "fearful"], ["joy", "happy", "powerful"]]
    forms = {"fearless": "fear,fearlessly", "fearful": "fear,fearfully,afraid", "happy": "happiness,happily", "mad": "madly", "furious": "fury"}
    synonyms = {"fearful": ["afraid"], "fearless": ["brave"], "happy": ["glad"], "mad": ["angry"], "furious": ["raging"]}
    folder = tmp_path_factory.mktemp("official") / "emotion_wheel"
    return official_wheels(write_folder(folder, forms, synonyms, [wheel, other, wheel, other, wheel]))


def test_the_alphabetically_first_word_that_a_wheel_has_decides(official):
    # fear leads to fearful and fearless; of these wheel 1 has both, and fearful comes first
    assert official.clusters("fear") == ("scared", "fear", "scared", "fear", "scared")
    # fearlessly leads to fearless alone, which wheel 2 does not have
    assert official.clusters("fearlessly") == ("happy", None, "happy", None, "happy")
    assert official.clusters(" FEAR ") == official.clusters("fear")


def test_a_word_of_level_1_counts_at_level_2_as_the_first_of_its_children(official):
    assert official.clusters("happy", "middle") == ("content", "happy", "content", "happy", "content")
    assert official.clusters("fury", "middle") == ("mad", None, "mad", None, "mad")


def test_the_official_wheels_drop_what_they_do_not_have(official):
    assert official.clusters("neutral") == (None,) * 5
    assert official.set_f1(["happy"], ["neutral"]) is None
    assert official.set_f1(["happy", "bittersweet", "neutral"], ["happiness"]) == 1.0
    assert official.set_f1([], ["happiness"]) == 0.0
    # a synonym that is no base word in format.csv has no way in
    assert not official.knows("brave")


def test_an_official_folder_of_unknown_files_says_so(official):
    assert "unknown version" in official.source


def test_a_folder_that_is_not_one_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no format.csv, synonym.xlsx, wheel1.xlsx"):
        official_wheels(tmp_path)
    folder = write_folder(tmp_path / "one", {"happy": "joy"}, {"happy": []}, [[["a", "b", "c"]]] * 5)
    (folder / "wheel3.xlsx").write_text("no zip file")
    with pytest.raises(UserError, match=r"wheel3.xlsx: no readable xlsx file"):
        official_wheels(folder)
    folder = write_folder(tmp_path / "two", {"happy": "joy"}, {"happy": []}, [[["a", "b", "c"]]] * 5)
    (folder / "format.csv").write_text("word,forms\nhappy,joy\n")
    with pytest.raises(UserError, match=r"columns are word, forms; accepted: name, format"):
        official_wheels(folder)


@pytest.mark.skipif("EMOREASON_OFFICIAL_WHEELS" not in os.environ, reason="the files are under an agreement; the variable names their folder")
def test_golden_vectors_of_the_official_files():
    wheels = official_wheels(Path(os.environ["EMOREASON_OFFICIAL_WHEELS"]))
    expected = OFFICIAL_2025 | ({"fear": OFFICIAL_2025["fearful"]} if "2026" in wheels.source else {})
    assert {word: wheels.clusters(word) for word in expected} == expected


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory):
    """Official wheels that give the golden vectors: a base word for each vector, under its own cluster on each wheel."""
    forms: dict[str, list[str]] = {}
    bases: dict[tuple, str] = {}
    for word, vector in OFFICIAL_2025.items():
        if any(vector):
            forms.setdefault(bases.setdefault(vector, f"base {len(bases)}"), []).append(word)
    # Each wheel holds its base words below the cluster that the vector names.
    wheels = [[[vector[number], f"{vector[number]} middle", base] for vector, base in bases.items() if vector[number]] for number in range(5)]
    folder = tmp_path_factory.mktemp("golden") / "emotion_wheel"
    return official_wheels(write_folder(folder, {base: ",".join(words) for base, words in forms.items()}, {base: [] for base in forms}, wheels))


@pytest.mark.parametrize(("word", "clusters"), OFFICIAL_2025.items())
def test_golden_vectors_go_through_the_loader(golden, word, clusters):
    assert golden.clusters(word) == clusters


def test_scores_on_the_golden_vectors(golden):
    assert golden.set_f1(["joy"], ["happy"]) == 1.0
    # in the files of 2025 fear is scared on wheel 1 only
    assert golden.set_f1(["fear"], ["worried"]) == pytest.approx(1 / 5)
    # p = {happy, mad}, g = {happy}, F1 = 2/3 on each of the five wheels
    assert golden.set_f1(["happiness", "angry"], ["joy"]) == pytest.approx(2 / 3)
    # contempt is on wheel 2 alone, as angry
    assert golden.set_f1(["angry"], ["contempt"]) == 1.0
    assert golden.set_f1(["contempt"], ["angry"]) == pytest.approx(1 / 5)
    assert golden.set_f1(["surprise"], ["neutral"]) is None


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("['happy', 'proud']", ["happy", "proud"]),
        ("[happy, proud]", ["happy", "proud"]),
        ("happy,proud", ["happy", "proud"]),
        ('["happy", "proud"]', ["happy", "proud"]),
        ("[]", []),
        ("", []),
        ("['don't care']", ["don", "t care"]),
    ],
)
def test_cells_are_split_as_the_official_code_does(cell, words):
    assert official_list(cell) == words


def test_own_wheels_know_every_label_of_the_usual_sets_on_every_wheel():
    wheels = own_wheels()
    for space in ("ekman_6_neutral", "mikels_8", "mer_6", "shaver_6_disgust_neutral"):
        for label in LABEL_SPACES[space]:
            assert wheels.knows(label), label
    assert len(wheels.vocabulary) >= 2000
    assert wheels.names == DEFAULT_WHEELS


@pytest.mark.parametrize(
    ("one", "other"),
    [("furious", "angry"), ("happy", "joy"), ("terrified", "fear"), ("sadness", "sad"), ("heart-broken", "heartbroken"), ("Disgusted.", "disgust"),
     ("worried", "worry")],
)
def test_forms_and_shades_of_one_emotion_are_one_on_the_inner_ring(one, other):
    assert own_wheels().set_f1([one], [other]) == 1.0


def test_opposites_share_nothing():
    for one, other in [("joy", "sadness"), ("anger", "joy"), ("neutral", "sadness"), ("fear", "joy"), ("neutral", "joy")]:
        assert own_wheels().set_f1([one], [other]) == 0.0, (one, other)


def test_neutral_is_a_class_of_its_own():
    assert own_wheels().set_f1(["neutral"], ["neutral"]) == 1.0
    assert own_wheels().clusters("neutral") == ("neutral",) * len(DEFAULT_WHEELS)


def test_f1_by_hand():
    wheels = own_wheels(("parrott",))
    # p = {anger, joy}, g = {anger}: 2 * 1 / (2 + 1)
    assert wheels.set_f1(["rage", "furious", "happy"], ["angry"]) == pytest.approx(2 / 3)
    assert wheels.set_f1([], ["angry"]) == 0.0
    assert wheels.set_f1(["angry"], []) is None


def test_words_outside_of_the_vocabulary_cost_precision_and_match_themselves():
    wheels = own_wheels()
    assert wheels.set_f1(["angry", "blorbful"], ["angry"]) == pytest.approx(2 / 3)
    assert wheels.set_f1(["Blorbful!"], ["blorbful"]) == 1.0
    assert wheels.set_f1(["joy"], ["blorbful"]) == 0.0
    # one of two gold words is found, and nothing else: 2 * 1 / (1 + 2)
    assert wheels.set_f1(["blorbful"], ["blorbful", "joy"]) == pytest.approx(2 / 3)


def test_order_and_repeats_do_not_matter():
    wheels = own_wheels()
    assert wheels.set_f1(["joy", "fear", "joy"], ["sad", "happy"]) == wheels.set_f1(["fear", "joy"], ["happy", "sad", "sad"])


def test_f1_is_that_of_the_counts():
    wheels = own_wheels()
    predicted, gold = ["anxious", "proud", "blorbful"], ["worried", "grateful"]
    counts = wheels.overlaps(predicted, gold)
    assert wheels.set_f1(predicted, gold) == pytest.approx(sum(2 * one.shared / (one.num_predicted + one.num_gold) for one in counts) / len(counts))


def test_an_unknown_wheel_is_refused():
    with pytest.raises(UserError, match=r"unknown wheel 'parot'; did you mean 'parrott'\?"):
        find_wheels(["parot"])
    assert find_wheels() is own_wheels()
    assert find_wheels(["ekman"]).names == ("ekman",)


def test_emotion_words_of_free_text():
    text = "She looks worried, perhaps sad, but not angry; no sign of fear. Her relief is clear. Worried eyes."
    assert [(mention.term, mention.status) for mention in emotion_mentions(text)] == [
        ("worried", "asserted"), ("sad", "hedged"), ("angry", "negated"), ("fear", "negated"), ("relief", "asserted"), ("worried", "asserted"),
    ]  # fmt: skip
    assert emotion_words(text) == ["worried", "relief"]
    assert emotion_words("") == []
    assert emotion_words("The scene is composed of three faces; the content moved her.") == []
