import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.rewards.modality_consistency import modality_consistency_reward

FREE = Template(think="free", answer="label")
CUES = {"video": ["brows lowered", "lips pressed"], "audio": ["voice trembles"]}


def score(think, cues=CUES, aligned=None, template=FREE, **settings):
    return modality_consistency_reward([f"<think>{think}</think>"], [template], [cues], [aligned], **settings)[0]


def test_mean_over_modalities_of_their_mean():
    assert score("Brows lowered, lips pressed. The voice trembles.") == 1.0
    # video 1/2, audio 1: not 2 of 3 cues
    assert score("Brows lowered. The voice trembles.") == pytest.approx(0.75)
    # {brow, lower, deep} and {brow, lower}: s = 0.8, credit 0.6; video (0.6 + 0) / 2, audio 0
    assert score("Brows deeply lowered.") == pytest.approx(0.15)
    # credit (0.8 - 0.75) / 0.25 = 0.2
    assert score("Brows deeply lowered.", floor=0.75) == pytest.approx(0.05)
    assert score("She is here.") == 0.0


def test_in_a_conflict_the_aligned_modality_decides_alone():
    think = "Brows lowered. Lips pressed."
    assert score(think, aligned="video") == 1.0
    assert score(think, aligned="audio") == 0.0
    assert score(think) == 0.5
    assert score(think, cues={"video": ["brows lowered"], "audio": []}, aligned="audio") is None
    assert score(think, aligned="text") is None


def test_modalities_without_cues_do_not_weigh():
    assert score("Brows lowered.", cues={"video": ["brows lowered"], "audio": [], "text": ["..."]}) == 1.0


def test_records_without_cues_and_templates_without_reasoning_do_not_apply():
    assert score("Brows lowered.", cues={}) is None
    assert score("Brows lowered.", cues={"video": []}) is None
    assert score("Brows lowered.", template=Template(think="none")) is None


@pytest.mark.parametrize("completion", ["", "<answer>anger</answer>", "<think>Brows lowered.", "Brows lowered."])
def test_reasoning_that_cannot_be_read_is_0(completion):
    assert modality_consistency_reward([completion], [FREE], [CUES], [None]) == [0.0]


def test_a_denied_cue_does_not_count():
    assert score("The voice never trembles.") == 0.0
    assert score("Brows not lowered. The voice trembles.") == pytest.approx(0.5)


def always_alike(a, b):
    return [[1.0] * len(b) for _ in a]


def test_a_similarity_by_address():
    address = f"{always_alike.__module__}:{always_alike.__name__}"
    # three statements, three cues
    assert score("One sign. Another sign. A third sign.", similarity=address) == 1.0
    with pytest.raises(UserError, match="has no function 'nothing'"):
        score("One sign.", similarity="math:nothing")


def test_a_wrong_floor_is_named():
    with pytest.raises(UserError, match=r"floor is -0.1; accepted: from 0 to below 1"):
        score("", floor=-0.1)


def test_one_modality_alone_does_not_win():
    cues = {"video": ["brows lowered", "lips pressed", "jaw clenched", "fists closed"], "audio": ["voice trembles"]}
    only_video = "Brows lowered. Lips pressed. Jaw clenched. Fists closed."
    assert score(only_video, cues=cues) == pytest.approx(0.5)
    assert score(only_video * 4, cues=cues) == pytest.approx(0.5)
    # two of five cues, one a modality: (1/4 + 1) / 2
    assert score("Brows lowered. The voice trembles.", cues=cues) == pytest.approx(0.625)


def test_one_statement_for_all_modalities_does_not_win():
    cues = {"video": ["sad face"], "audio": ["sad voice"]}
    # {sad, face, voic} is 0.8 from either, credit 0.6, but serves one of them: 0.6 / 2
    assert score("A sad face with a sad voice.", cues=cues) == pytest.approx(0.3)
    assert score("Sad face. Sad voice.", cues=cues) == 1.0
    # what stands behind 64 statements is not compared
    assert score("Nothing here. " * 64 + "Sad face. Sad voice.", cues=cues) == 0.0
