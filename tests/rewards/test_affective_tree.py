from math import exp

import pytest

from emoreason.completions import SECTIONS, Template
from emoreason.faults import UserError
from emoreason.rewards.affective_tree import affective_tree_reward

VIDEMO = Template(think="sections", answer="label", sections=SECTIONS["videmo"])
GOLD = {"attribute": "brows, lips, eyes", "expression": "frown; pressed lips", "emotion": "anger"}


def written(**sections):
    return "<think>" + "".join(f"<{name}>{text}</{name}>" for name, text in sections.items()) + "</think><answer>anger</answer>"


def score(completion, gold=GOLD, template=VIDEMO, **settings):
    return affective_tree_reward([completion], [template], [gold], **settings)[0]


@pytest.mark.parametrize(
    ("sections", "distance"),
    [
        (GOLD, 0),
        ({"attribute": "EYES;\n- lips\n* Brows.", "expression": "Pressed  lips、frown", "emotion": "anger"}, 0),  # order, case and marks aside
        ({**GOLD, "emotion": "fear"}, 1),  # rename anger
        ({**GOLD, "attribute": "brows, lips"}, 1),  # insert eyes
        ({**GOLD, "attribute": "brows, lips, eyes, nose"}, 1),  # delete nose
        ({**GOLD, "attribute": "chin, lips"}, 2),  # rename chin, insert the other
        ({**GOLD, "attribute": "brows, lips, eyes, eyes, eyes"}, 2),  # repeats are items
        ({**GOLD, "attribute": "brows, lips", "expression": "frown; pressed lips; eyes"}, 2),  # from one section to another: delete, insert
        ({"attribute": "brows, lips, eyes", "emotion": "anger"}, 3),  # insert the section expression and its two items
        ({"attribute": "brows, lips, eyes", "expression": ", ;", "emotion": "anger"}, 3),  # without items it is not there
        ({"emotion": "fear"}, 8),  # two sections, 3 + 2 items, one rename
    ],
)
def test_distance_by_hand(sections, distance):
    assert score(written(**sections)) == pytest.approx(exp(-0.1 * distance))
    assert score(written(**sections), decay=0.5) == pytest.approx(exp(-0.5 * distance))


def test_what_the_alphabet_says_does_not_matter():
    # {a, c} to {c, d} and to {b, c} is one rename each; an ordered tree of sorted leaves has 2 and 1
    gold = {"emotion": "a, c"}
    assert score(written(emotion="c, d"), gold) == score(written(emotion="b, c"), gold) == pytest.approx(exp(-0.1))


@pytest.mark.parametrize("completion", ["", "<answer>anger</answer>", "<think>x</think>", "<think><emotion>anger</think>", written(emotion=" , ")])
def test_no_section_is_0(completion):
    assert score(completion) == 0.0


def test_records_and_templates_without_sections_do_not_apply():
    assert score(written(**GOLD), gold={}) is None
    assert score(written(**GOLD), gold={"emotion": " ; "}) is None
    assert score(written(**GOLD), template=Template(think="free")) is None


def test_only_sections_of_the_template_count():
    assert score(written(emotion="anger"), gold={**GOLD, "scene": "a street"}, template=Template(think="sections", sections=("emotion",))) == 1.0
    assert score(written(emotion="anger"), gold={"scene": "a street"}, template=Template(think="sections", sections=("emotion",))) is None


@pytest.mark.parametrize("decay", [0, -0.1, float("nan"), float("inf")])
def test_a_wrong_decay_is_named(decay):
    with pytest.raises(UserError, match=f"decay is {decay}"):
        score("", decay=decay)


def test_a_hundred_thousand_items_are_counted():
    # 100,000 items of which one is right, then 99,999 to delete: exp(-9999.9) is 0 as a float
    assert score(written(emotion="anger, " + "x, " * 99_999), gold={"emotion": "anger"}) == 0.0


def test_empty_sections_and_dumping_every_item_do_not_win():
    right = score(written(attribute="brows, lips", expression="frown", emotion="anger"))
    assert right == pytest.approx(exp(-0.2))
    # one filler a section: 3 + 2 + 1
    filler = score(written(attribute="x", expression="x", emotion="x"))
    # all items of gold and nine more
    dump = score(written(**{name: f"{text}, nose, smile, fear" for name, text in GOLD.items()}))
    assert filler == pytest.approx(exp(-0.6)) and dump == pytest.approx(exp(-0.9))
    assert dump < filler < right
