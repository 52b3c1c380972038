import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.rewards.cue_coverage import cue_coverage_reward

FREE = Template(think="free", answer="label")
CUES = {"video": ["brows lowered", "lips pressed", "jaw clenched"], "audio": ["voice trembles"]}
VERBATIM = "Brows lowered. Lips pressed. Jaw clenched. Voice trembles."


def score(think, cues=CUES, template=FREE, **settings):
    return cue_coverage_reward([f"<think>{think}</think><answer>anger</answer>"], [template], [cues], **settings)[0]


def test_all_cues_and_nothing_else_is_1():
    assert score(VERBATIM) == 1.0
    assert score("Her brows are lowered, lips pressed and jaw clenched, and the voice is trembling.") == 1.0
    assert score("lips pressed, jaw clenched", cues={"video": ["lips pressed, jaw clenched"]}) == 1.0


def test_f1_by_hand():
    # T = K = 2 of M = 4, U = 1: 2 * 2 / (2 + 0.5 + 4)
    assert score("Brows lowered. Lips pressed. This points to anger.") == pytest.approx(4 / 6.5)
    # plain F1 of precision 2/3 and recall 2/4
    assert score("Brows lowered. Lips pressed. This points to anger.", prose_weight=1) == pytest.approx(4 / 7)
    assert score("Brows lowered. Lips pressed. This points to anger.", prose_weight=0) == pytest.approx(4 / 6)
    # {brow, lower, deep} and {brow, lower}: s = 0.8, credit 0.6, or 0.2 above 0.75; K = 1, U = 0, M = 4
    assert score("Brows deeply lowered.") == pytest.approx(1.2 / 5)
    assert score("Brows deeply lowered.", floor=0.75) == pytest.approx(0.4 / 5)


def test_a_denied_cue_does_not_count():
    # U = 1, K = 0
    assert score("No tears.", cues={"video": ["tears"]}) == 0.0
    assert score("Her eyes show no tears.", cues={"video": ["tears in her eyes"]}) == 0.0
    assert score("Tears in her eyes.", cues={"video": ["no tears in her eyes"]}) == 0.0
    assert score("Without any tears.", cues={"video": ["no tears"]}, floor=0.0) > 0
    assert score("There may be tears.", cues={"video": ["tears"]}, floor=0.0) > 0


def test_records_without_cues_and_templates_without_reasoning_do_not_apply():
    assert score(VERBATIM, cues={}) is None
    assert score(VERBATIM, cues={"video": [], "audio": ["..."]}) is None
    assert score(VERBATIM, template=Template(think="none")) is None


@pytest.mark.parametrize("completion", ["", "<answer>anger</answer>", f"<think>{VERBATIM}", VERBATIM, "<think> </think>"])
def test_reasoning_that_cannot_be_read_is_0(completion):
    assert cue_coverage_reward([completion], [FREE], [CUES]) == [0.0]


def test_section_tags_are_no_text():
    template = Template(think="sections", sections=("face", "voice"))
    assert score("<face>Brows lowered; lips pressed; jaw clenched</face><voice>Voice trembles</voice>", template=template) == 1.0


def same_meaning(a, b):
    """A similarity of the user's: the first letters."""
    return [[1.0 if one[0].lower() == other[0].lower() else 0.0 for other in b] for one in a]


def test_a_similarity_by_address():
    address = f"{same_meaning.__module__}:{same_meaning.__name__}"
    assert score("Between the eyes a furrow.", cues={"video": ["brows lowered"]}) == 0.0
    assert score("Between the eyes a furrow.", cues={"video": ["brows lowered"]}, similarity=address) == 1.0
    # it says 1.0, but what is denied is denied
    assert score("Both brows are not low.", cues={"video": ["brows low"]}, similarity=address) == 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"floor": 1.0}, "floor is 1.0"), ({"prose_weight": 1.5}, "prose_weight is 1.5"), ({"similarity": "no_such:f"}, "No module named 'no_such'")],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        score(VERBATIM, **settings)


HONEST = "The woman faces the camera. Her brows are lowered. The lips are pressed. The voice trembles. Together this reads as anger."
GENERIC = (
    "A wide smile. Raised brows. Wide eyes. Tears. Crossed arms. A loud voice. A low voice. A trembling voice. Open mouth. Pressed lips. "
    "Lowered brows. Clenched fists. A nod. A shrug. Looking down. Looking away. "
    "Leaning forward. Leaning back. A sigh. A laugh. Fast speech. Slow speech. A pause."
)


def test_silence_repetition_and_dumping_every_cue_do_not_win():
    # K = T = 3, U = 2: 6 / (3 + 1 + 4)
    assert score(HONEST) == pytest.approx(0.75)
    # K = T = 1, U = 9: 2 / (1 + 4.5 + 4)
    assert score("Brows lowered. " * 10) == pytest.approx(2 / 9.5)
    assert score("Brows lowered.") == pytest.approx(2 / 5)
    # 23 statements, the same three cues among them: 6 / (3 + 10 + 4)
    assert score(GENERIC) == pytest.approx(6 / 17)
    assert score("I look at everything and conclude.") == 0.0
    # one statement of all the words of four cues has one match at best: {8 stems}, s = 4 / 10 is below the floor
    assert score("brows lowered lips pressed jaw clenched voice trembles") == 0.0
    # 64 wrong ones first: only the first 64 can match, and those behind still weigh
    assert score("Arms crossed. " * 64 + VERBATIM) == 0.0
    assert score(VERBATIM + " Arms crossed." * 96) == pytest.approx(8 / (4 + 48 + 4))


def test_padding_with_prose_loses_slowly():
    values = [score(VERBATIM + " The scene says more." * num) for num in (0, 2, 8)]
    # 8 / (4 + 4), 8 / (4 + 1 + 4), 8 / (4 + 4 + 4)
    assert values == pytest.approx([1.0, 8 / 9, 2 / 3])
