"""What holds for any text a model may write and any labels a record may have: nothing raises, time is linear, gold is best."""

import functools
import gc
import importlib
import itertools
import math
import re
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoreason.action_units import MAX_INTENSITY, facs, parse_action_units
from emoreason.completions import SECTIONS, TAGS, VERDICTS, Template, normalise_word, parse_completion, render
from emoreason.emotions import LABEL_SPACES
from emoreason.mentions import Finder, Scope
from emoreason.metrics.sets import LENGTH_PENALTIES, set_f1
from emoreason.metrics.wheel import wheel_f
from emoreason.reward_contract import sample_rows
from emoreason.stated_confidence import read_confidence
from emoreason.wheels import emotion_mentions, own_wheels

REPEATABLE = settings(derandomize=True, max_examples=100, deadline=None)
STATUSES = ("asserted", "hedged", "negated")
VOCABULARY = own_wheels().vocabulary

THINKING = [("none", (), False), *(("free", (), prefilled) for prefilled in (False, True)),
            *(("sections", names, prefilled) for names in SECTIONS.values() for prefilled in (False, True))]  # fmt: skip
TEMPLATES = [
    Template(think, answer, confidence, sections, prefilled)
    for (think, sections, prefilled), answer, confidence in itertools.product(
        THINKING, ("none", "label", "list", "choice", "verdict"), (False, True)
    )
]

REWARDS = {
    path.stem: getattr(importlib.import_module(f"emoreason.rewards.{path.stem}"), f"{path.stem}_reward")
    for path in sorted((Path(__file__).parents[1] / "rewards").glob("[!_]*.py"))
}
KINDS = {columns["id"]: columns for _, columns in sample_rows([""])}
"""{sample record: its columns}."""


def scores(name: str, texts: list[str], rows: list[dict], **kwargs) -> list[float | None]:
    """The values of a reward, each text with the columns of its record."""
    return REWARDS[name](texts, **{column: [row[column] for row in rows] for column in rows[0]}, **kwargs)


def one_score(name: str, text: str, columns: dict, **kwargs) -> float | None:
    """The value of a reward for one text with these columns, those not given being a sample record's."""
    return scores(name, [text], [KINDS["annotated"] | columns], **kwargs)[0]


# Texts ----------------------------------------------------------------------------------------------------------------------------------

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates and control characters, too
NAMES = [*TAGS, *dict.fromkeys(itertools.chain(*SECTIONS.values()))]
UNITS_IN_TEXT = "AU12|AU4C|au-06|AU 1|AU99|AU0|AU1234|AUs 6, 12 and 25|AU25-27|AU1+2|AU1-46|R12A|L4|U10|AU12R|action unit 9|AU|AUs: 1".split("|")
INTENSITIES = ["+", " (intensity 3)", ": 2.5", "=C", " at level B", " on the right", " (5/5)", ", intensity 9", ": 0", "E", "-27", " (80%)"]
PIECES = {
    "tags": [f"<{slash}{spelled}>" for name in NAMES for slash in ("", "/") for spelled in (name, name.upper())],
    "broken tags": ["<", ">", "</", "<think", "answer>", "< answer >", "<ſections>", "<thinK>", "<think/>", "<b>"],
    "between": [" ", " ", ", ", ". ", "; ", "\n", "", ",", "/", " and ", "，", "、", ":", "?", "(", ")", " - ", "’", "'", "*", "\x00", "\u2028"],
    "numbers": "0 1 .8 0,85 80% 8/10 7-8/10 5/0 1e999 -3 1,000 0.8.1 ½ ² ٨٥٪ ८ １ e 1e 99999999999999999999 %".split(),
    "units": UNITS_IN_TEXT,
    "rated units": [before + unit + intensity for before in ("", "left ") for unit in UNITS_IN_TEXT for intensity in INTENSITIES],
    "phrases of units": [phrase for unit in facs().values() for phrase in unit.phrases[:2]],
    "emotions": VOCABULARY,
    "negators": "not|no|never|without|nothing but|n't|isn't|free of|rather than|not only|neither|far from|is absent|are not seen|lack of".split("|"),
    "hedges": "may|perhaps|if|whether|unless|could be|is possible|but|because|she|the|suggests".split("|"),
    "answers": [*VERDICTS, "A", "(b)", "C.", "d)", "very high", "almost certain", "confidence", "about", "out of"],
    "odd": ["İstanbul", "ŉ", "ﬁ", "ΐ", "K", "\ud800", "\u202e", "微笑", "😀", "\x1f", "{}", "%s", "\\"],
}
PIECE = st.one_of(*map(st.sampled_from, PIECES.values()), st.text(max_size=4))
SOUP = st.builds(str.join, st.sampled_from(["", " "]), st.lists(PIECE, max_size=16))
FRAMED = st.builds("<think>{}</think><answer>{}</answer><confidence>{}</confidence>".format, SOUP, SOUP, SOUP)
TEXTS = st.one_of(ANYTHING, SOUP, FRAMED)


# 1. Nothing that a model writes raises --------------------------------------------------------------------------------------------------


@REPEATABLE
@given(TEXTS)
def test_any_text_is_parsed_in_any_template(text):
    for template in TEMPLATES:
        parsed = parse_completion(text, template)
        assert set(parsed.sections) <= set(template.sections) and all(parsed.sections.values())
        assert parsed.confidence is None or (template.confidence and 0 <= parsed.confidence <= 1)
        assert all(word and word == normalise_word(word) for word in parsed.answers)
        assert len(set(parsed.answers)) == len(parsed.answers) and (len(parsed.answers) <= 1 or template.answer == "list")
        assert parsed.think is None or template.think != "none"
        if not parsed.problems:  # then all of the template is there
            assert bool(parsed.think) == (template.think != "none")
            assert bool(parsed.answers) == (template.answer != "none")
            assert (parsed.confidence is not None) == template.confidence
            assert list(parsed.sections) == list(template.sections)


@REPEATABLE
@given(TEXTS)
def test_any_text_is_searched_for_emotions(text):
    end = 0
    for mention in emotion_mentions(text):
        assert end <= mention.start < mention.end <= len(text)  # in order, none overlapping
        assert mention.term in VOCABULARY and mention.status in STATUSES
        end = mention.end


@REPEATABLE
@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_any_text_is_searched_for_any_terms(text, terms):
    mentions = Finder(terms).find(text)
    assert all(mention.term in terms and 0 <= mention.start < mention.end <= len(text) and mention.status in STATUSES for mention in mentions)
    found = Finder([text]).find(text)  # a text is found in itself, if it has a word
    assert [mention.term for mention in found] == [text] * bool(Scope(text).words)


@REPEATABLE
@given(TEXTS, st.data())
def test_any_place_of_any_text_has_a_status(text, data):
    scope = Scope(text)
    for _ in range(5):
        start = data.draw(st.integers(0, len(text)))
        assert scope.status(start, data.draw(st.integers(start, len(text)))) in STATUSES


@REPEATABLE
@given(TEXTS)
def test_any_text_is_searched_for_action_units(text):
    start = 0
    for unit in parse_action_units(text):
        assert start <= unit.start < unit.end <= len(text)
        assert unit.number in facs() and unit.side in ("left", "right", None) and unit.status in STATUSES
        assert unit.intensity is None or 0 <= unit.intensity <= MAX_INTENSITY
        start = unit.start


@REPEATABLE
@given(TEXTS)
def test_any_text_states_a_confidence_or_the_reason_why_not(text):
    value, why = read_confidence(text)
    assert 0 <= value <= 1 if value is not None else why


@settings(REPEATABLE, max_examples=150)
@given(TEXTS)
def test_any_text_is_scored_by_any_reward(text):
    for name in REWARDS:
        values = scores(name, [text] * len(KINDS), list(KINDS.values()))
        assert len(values) == len(KINDS), name
        assert all(value is None or math.isfinite(value) for value in values), name


# 2. Time is linear in the length --------------------------------------------------------------------------------------------------------

SMALL, LARGE = 100_000, 1_000_000
MAX_SECONDS = 5.0
HOSTILE = {
    # {name: (the sample record whose template it suits, what stands before, what is repeated, # being its number, what stands behind)}
    "tags": ("annotated", "", "<think></confidence><answer>a</answer><confidence>", ""),
    "sections": ("sections", "<think>", "<attribute>a</attribute><emotion>", "</think><answer>joy</answer>"),
    "items": ("sections", "<think><attribute>", "brow #; ", "</attribute></think><answer>joy</answer>"),
    "answers": ("annotated", "<think>x</think><answer>", "word # and joy, a/", "</answer><confidence>1</confidence>"),
    "prose": ("annotated", "<think>", "In frame # no AU4, perhaps fear, but lip corners raised: joy. ", "</think><answer>joy</answer>"),
    "one sentence": ("annotated", "<think>", "neither frame # nor the AU6 and not her joy ", "</think><answer>joy</answer>"),
    "brackets": ("annotated", "<think>", "the face: AU1 (intensity ", "</think><answer>joy</answer>"),
    "a number": ("annotated", "<think>x</think><answer>joy</answer><confidence>", "1", "</confidence>"),
    "blanks": ("verdict", "<think>x</think><answer>no", " ", "joy</answer>"),
}
WHOLE, PROSE = ("tags", "sections", "items", "answers", "prose", "blanks"), ("prose", "one sentence", "brackets", "a number", "blanks")
TIMED = {
    # {name: (of a text and the columns of a record, the hostile texts that it is given)}
    "parse_completion": (lambda text, columns: parse_completion(text, columns["template"]), tuple(HOSTILE)),
    "emotion_mentions": (lambda text, columns: emotion_mentions(text), PROSE),
    "parse_action_units": (lambda text, columns: parse_action_units(text), PROSE),
    "read_confidence": (lambda text, columns: read_confidence(text), PROSE),
    **{name: (functools.partial(one_score, name), WHOLE) for name in REWARDS},
}


@functools.cache
def hostile_text(name: str, length: int) -> str:
    """Of about this length."""
    _, before, repeated, behind = HOSTILE[name]
    return before + "".join(repeated.replace("#", str(number)) for number in range(length // len(repeated))) + behind


def seconds(name: str, hostile: str, length: int) -> float:
    """Processor time."""
    timed, text, columns = TIMED[name][0], hostile_text(hostile, length), KINDS[HOSTILE[hostile][0]]
    start = time.process_time()
    timed(text, columns)
    return time.process_time() - start


@pytest.fixture
def without_garbage_collection():
    """Its passes over all that lives are not the time of the text, and there are more of them for a longer one."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMED)
def test_time_is_linear(name, without_garbage_collection):
    for hostile in TIMED[name][1]:
        small = min(seconds(name, hostile, SMALL) for _ in range(2))  # the first reads tables
        assert small < MAX_SECONDS / 5, hostile  # or the next would take for ever
        # A little more than 10 times as much, for what no longer fits into caches.
        assert seconds(name, hostile, LARGE) < min(14 * small + 0.2, MAX_SECONDS), hostile


# 3. A record's own labels are the best answer, in any order ------------------------------------------------------------------------------

SEPARATORS = ",;/\n，、；<>"
ARBITRARY_WORD = st.text(st.characters(exclude_categories=(), exclude_characters=SEPARATORS), min_size=1, max_size=12).map(normalise_word)
# What one item of an answer can be; `and` separates two, but in the labels of a label space.
LABEL = st.one_of(
    st.sampled_from(VOCABULARY),
    st.sampled_from([label for labels in LABEL_SPACES.values() for label in labels]),
    ARBITRARY_WORD.filter(lambda word: word and "and" not in word.split()),
)
LABELS = st.lists(LABEL, min_size=1, max_size=6)
UNITS = st.dictionaries(
    st.sampled_from([f"AU{number}" for number in facs()]), st.one_of(st.none(), st.integers(0, 5).map(float)), max_size=8
)
LEVEL = st.sampled_from(["inner", "middle"])
PENALTY = st.sampled_from(list(LENGTH_PENALTIES))
LIST = Template(think="free", answer="list", confidence=True)


def answer(labels: list[str]) -> str:
    return render(LIST, "seen", labels, 0.5)


@REPEATABLE
@given(st.lists(st.one_of(st.text(max_size=10), st.sampled_from(VOCABULARY)), min_size=1, max_size=6), LEVEL, st.randoms(use_true_random=False))
def test_words_are_the_best_answer_to_themselves(words, level, random):
    shuffled = random.sample(words, len(words))
    named = any(map(normalise_word, words))
    assert own_wheels().set_f1(shuffled + words[:1], words, level) == (1.0 if named else None)
    assert set_f1(shuffled + words[:1], words) == (1.0 if named else None)


@REPEATABLE
@given(LABELS, LEVEL, PENALTY, st.randoms(use_true_random=False))
def test_labels_are_the_best_answer_to_themselves(labels, level, length_penalty, random):
    text = answer(random.sample(labels, len(labels)))
    assert one_score("emotion_set", text, {"template": LIST, "labels": labels}, length_penalty=length_penalty) == 1.0
    assert one_score("emotion_wheel", text, {"template": LIST, "labels": labels}, length_penalty=length_penalty, level=level) == 1.0
    assert one_score("emotion_label", answer(labels), {"template": LIST, "label": labels[0]}) == 1.0


@REPEATABLE
@given(UNITS, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_a_records_units_are_the_best_to_cite(units, rescale, intensity, random):
    cited = [code if rated is None else f"{code} (intensity {rated:g})" for code, rated in random.sample(list(units.items()), len(units))]
    text = render(LIST, f"The face shows {', '.join(cited) or 'nothing'}.", ["joy"], 0.5)
    assert one_score("au_label", text, {"template": LIST, "action_units": units}, rescale=rescale, intensity=intensity) == 1.0


@REPEATABLE
@given(st.lists(LABELS, min_size=1, max_size=5), LEVEL)
def test_the_corpus_score_of_gold_against_itself_is_1(rows, level):
    found = wheel_f([row[::-1] for row in rows], rows, own_wheels(), level)
    assert (found["f"], found["precision"], found["recall"], found["mean_set_f1"]) == (1.0, 1.0, 1.0, 1.0)
    assert (found["n"], found["skipped"]) == (len(rows), 0)


# 4. The order of rows does not matter, nor that of words ---------------------------------------------------------------------------------

ROWS = st.lists(st.tuples(LABELS, LABELS, UNITS, UNITS), min_size=1, max_size=4)


@REPEATABLE
@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows, random):
    def values(rows: list[tuple]) -> list[tuple]:
        texts = [render(LIST, f"There is {', '.join(cited)}.", words, 0.5) for words, _, cited, _ in rows]
        records = [KINDS["annotated"] | {"template": LIST, "labels": labels, "action_units": units} for _, labels, _, units in rows]
        plain = [(set_f1(words, labels), own_wheels().set_f1(words, labels)) for words, labels, _, _ in rows]
        return list(zip(plain, *(scores(name, texts, records) for name in ("emotion_set", "emotion_wheel", "au_label")), strict=True))

    order = random.sample(range(len(rows)), len(rows))
    other = [tuple(_shuffled(part, random) for part in rows[index]) for index in order]
    expected = values(rows)
    assert values(other) == [expected[index] for index in order]
    corpus, again = (wheel_f([row[0] for row in some], [row[1] for row in some], own_wheels()) for some in (rows, other))
    assert corpus == again


def _shuffled(part: list | dict, random: Random) -> list | dict:
    items = list(part.items() if isinstance(part, dict) else part)
    random.shuffle(items)
    return type(part)(items)


# 5. What is written in a template is read from it ----------------------------------------------------------------------------------------

PLAIN = st.one_of(ANYTHING, st.lists(st.one_of(*(st.sampled_from(pieces) for kind, pieces in PIECES.items() if kind != "tags"))).map("".join))
# Text that quotes no tag, of which `<think` and `>` may make one.
PLAIN = PLAIN.filter(lambda text: text.strip() and not re.search(f"</?(?:{'|'.join(NAMES)})>", text, re.IGNORECASE | re.ASCII))
ANSWERS = {
    "none": st.just([]),
    "label": st.lists(LABEL, min_size=1, max_size=1),
    "list": LABELS,
    "choice": st.lists(st.sampled_from([*"abcdefgh", *VOCABULARY]), min_size=1, max_size=1),
    "verdict": st.sampled_from([["correct"], ["incorrect"]]),
}


@settings(REPEATABLE, max_examples=200)
@given(st.sampled_from(TEMPLATES), st.floats(0, 1), st.data())
def test_what_is_rendered_is_parsed_again(template, confidence, data):
    think, answers = data.draw(PLAIN), data.draw(ANSWERS[template.answer])
    sections = {name: data.draw(PLAIN) for name in template.sections}
    parsed = parse_completion(render(template, think, answers, confidence, sections), template)
    assert parsed.problems == []
    assert parsed.answers == list(dict.fromkeys(map(normalise_word, answers)))
    assert parsed.confidence == (round(confidence, 2) if template.confidence else None)
    assert parsed.sections == {name: text.strip() for name, text in sections.items()}
    assert template.think != "free" or parsed.think == think.strip()


# 6. F1 of sets --------------------------------------------------------------------------------------------------------------------------

F1S = {"words": set_f1, "inner ring": own_wheels().set_f1, "middle ring": functools.partial(own_wheels().set_f1, level="middle")}


@pytest.mark.parametrize("f1", F1S.values(), ids=list(F1S))
@REPEATABLE
@given(LABELS, LABELS)
def test_f1_is_symmetric_and_from_0_to_1(f1, one, other):
    assert f1(one, other) == f1(other, one)
    assert 0 <= f1(one, other) <= 1
    assert f1([], one) == 0.0 and f1(one, []) is None


@pytest.mark.parametrize("f1", F1S.values(), ids=list(F1S))
@REPEATABLE
@given(LABELS, LABELS, LABELS)
def test_a_wrong_word_never_raises_f1(f1, predicted, gold, more):
    for word in more:  # wrong is a word that earns nothing alone
        assert f1([word], gold) or f1([*predicted, word], gold) <= f1(predicted, gold)


@pytest.mark.parametrize("name", ["emotion_set", "emotion_wheel"])
@REPEATABLE
@given(LABELS, LABELS, LABELS, PENALTY)
def test_a_wrong_word_never_raises_a_reward(name, predicted, gold, more, length_penalty):
    def value(words: list[str]) -> float:
        return one_score(name, answer(words), {"template": LIST, "labels": gold}, length_penalty=length_penalty)

    for word in more:
        assert value([word]) or value([*predicted, word]) <= value(predicted)
