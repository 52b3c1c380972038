import pytest

from emoreason.faults import UserError
from emoreason.metrics.benchmarks import EMOREALM_TASKS, ca_mer_scores, emoprefer_scores, emorealm_scores, esj_scores, yes_no_scores

YES_NO = ["(A) Yes", "(B) No"]
SCENES = ["(A) A wide smile", "(B) Crossed arms", "(C) Raised fist"]


def test_esj_counts_give_ups_as_wrong():
    predicted = ["correct", "correct", None, "incorrect", "maybe", "correct"]
    gold = ["correct", "incorrect", "correct", "incorrect", "incorrect", None]
    found = esj_scores(predicted, gold, ["scene", "scene", "scene", "polarity", "polarity", "polarity"])
    # rows 1 and 4 of 5 are right, 1 and 2 are positive, 3 and 5 gave up
    assert {key: found[key] for key in ("accuracy", "positive_ratio", "give_up_ratio", "n", "skipped")} == pytest.approx(
        {"accuracy": 0.4, "positive_ratio": 0.4, "give_up_ratio": 0.4, "n": 5, "skipped": 1}
    )
    assert found["by_class"] == {
        "scene": pytest.approx({"accuracy": 1 / 3, "positive_ratio": 2 / 3, "give_up_ratio": 1 / 3, "n": 3}),
        "polarity": {"accuracy": 0.5, "positive_ratio": 0.0, "give_up_ratio": 0.5, "n": 2},
    }


def test_esj_gives_nothing_for_naming_both_verdicts():
    assert esj_scores(["correct or incorrect"], ["incorrect"])["accuracy"] == 0.0


def test_yes_no_by_hand():
    # on yes: 3 of 4; on no: 1 of 2; harmonic 2 * 0.75 * 0.5 / 1.25; yes said 4 of 6 times, once nothing
    found = yes_no_scores(["yes", "Yes.", "correct", None, "yes", "no"], ["yes", "yes", "yes", "yes", "no", "no"])
    assert found == pytest.approx({
        "accuracy": 4 / 6, "yes_accuracy": 0.75, "no_accuracy": 0.5, "harmonic_mean": 0.6, "yes_ratio": 4 / 6, "give_up_ratio": 1 / 6,
        "n": 6, "skipped": 0,
    })  # fmt: skip


def test_always_yes_does_not_win():
    always = yes_no_scores(["yes"] * 4, ["yes", "yes", "yes", "no"])
    assert (always["accuracy"], always["harmonic_mean"], always["yes_ratio"]) == (0.75, 0.0, 1.0)


def test_one_sided_gold_has_no_harmonic_mean():
    found = yes_no_scores(["yes", "no"], ["yes", None])
    assert (found["yes_accuracy"], found["no_accuracy"], found["harmonic_mean"], found["skipped"]) == (1.0, None, None, 1)


def test_emorealm_is_the_mean_of_five_tasks():
    # basic audio 1/2, basic video 1/1, agreement 1/2, stress audio 0/1, stress video 1/1: mean 3/5
    rows = [
        ("b", "B", "reasoning_basic_audio", SCENES), ("a", "B", "reasoning_basic_audio", SCENES),
        ("raised fist", "C", "reasoning_basic_video", SCENES),
        ("a", "A", "modality_agreement", YES_NO), ("yes", "B", "modality_agreement", YES_NO), (None, "B", "reasoning_stress_audio", YES_NO),
        ("a", "A", "reasoning_stress_video", ["(A) No", "(B) Yes, it is"]),
    ]  # fmt: skip
    found = emorealm_scores(*zip(*rows, strict=True))
    assert (found["average"], found["n"], found["skipped"]) == (pytest.approx(0.6), 7, 0)
    assert found["tasks"]["reasoning_basic_audio"] == {"accuracy": 0.5, "give_up_ratio": 0.0, "n": 2}
    agreement = found["tasks"]["modality_agreement"]
    assert (agreement["yes_accuracy"], agreement["no_accuracy"], agreement["yes_ratio"], agreement["n"]) == (1.0, 0.0, 1.0, 2)
    assert found["tasks"]["reasoning_stress_audio"]["give_up_ratio"] == 1.0
    assert found["tasks"]["reasoning_stress_video"]["yes_ratio"] == 0.0


def test_emorealm_without_a_task_has_no_average():
    found = emorealm_scores(["a", "a"], ["A", None], ["modality_agreement"] * 2, [YES_NO] * 2)
    assert (found["average"], found["n"], found["skipped"]) == (None, 1, 1)
    assert [found["tasks"][task]["n"] for task in EMOREALM_TASKS] == [0, 0, 1, 0, 0]


def test_an_article_is_no_choice():
    scores = emorealm_scores(["a smile, I think"], ["A"], ["reasoning_basic_video"], [SCENES])["tasks"]["reasoning_basic_video"]
    assert (scores["accuracy"], scores["give_up_ratio"]) == (0.0, 1.0)


def test_modality_bias_is_audio_minus_video():
    subsets = ["audio_aligned", "audio_aligned", "video_aligned", "video_aligned", "video_aligned", "video_aligned", "consistent", "consistent"]
    found = ca_mer_scores(["sad", "Happy", "sad", None, "x", "y", "sad", "sad"], ["sad", "happy", "sad", "sad", "sad", "sad", "sad", None], subsets)
    # audio 2/2, video 1/4, consistent 1/1
    assert found == {
        "video_aligned": {"accuracy": 0.25, "n": 4}, "audio_aligned": {"accuracy": 1.0, "n": 2}, "consistent": {"accuracy": 1.0, "n": 1},
        "modality_bias": 0.75, "n": 7, "skipped": 1,
    }  # fmt: skip
    assert ca_mer_scores(["sad"], ["sad"], ["audio_aligned"])["modality_bias"] is None


def test_emoprefer_by_hand():
    predicted = ["a1", "a1", "a2", "same", "A2.", "both", "a1"]
    gold = ["a1", "a2", "a2", "a1", "a2", "a2", None]
    swapped = ["a2", "a2", "a2", "same", "a1", "both", "a2"]
    found = emoprefer_scores(predicted, gold, swapped)
    # a1: 1 hit, named 2 + 2 times: 2/4; a2: 2 hits, 2 + 4: 4/6; waf (2 * 1/2 + 4 * 2/3) / 6 = 11/18
    # the same description both times: rows 1, 2 and 5; row 3 says a2 twice, row 4 chooses none
    assert found == pytest.approx({
        "accuracy": 0.5, "waf": 11 / 18, "tie_ratio": 1 / 6, "give_up_ratio": 1 / 6, "swap_consistency": 0.5, "n": 6, "skipped": 1,
    })  # fmt: skip
    assert emoprefer_scores(predicted, gold)["swap_consistency"] is None


@pytest.mark.parametrize("answer", ["a1", "a2", "same", "neither", None])
def test_a_judge_that_says_always_the_same_is_not_consistent(answer):
    assert emoprefer_scores([answer] * 2, ["a1", "a2"], [answer] * 2)["swap_consistency"] == 0.0


@pytest.mark.parametrize("score", [
    lambda answers, gold: esj_scores(answers, gold), yes_no_scores, emoprefer_scores,
    lambda answers, gold: emorealm_scores(answers, gold, ["modality_agreement"] * len(gold), [YES_NO] * len(gold)),
    lambda answers, gold: ca_mer_scores(answers, gold, ["consistent"] * len(gold)),
])  # fmt: skip
def test_no_row_is_none_and_unequal_lengths_are_refused(score):
    for empty in (score([], []), score(["a1"], [None])):
        assert empty["n"] == 0
        assert all(value is None for name, value in empty.items() if name not in ("n", "skipped") and not isinstance(value, dict))
    with pytest.raises(ValueError, match="1, 2"):
        score(["a1"], ["a1", "a2"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: esj_scores(["correct"], ["perhaps"]), "gold answer 'perhaps'; accepted: correct"),
        (lambda: emorealm_scores(["a"], ["A"], ["agreement"], [YES_NO]), "task 'agreement'; did you mean 'modality_agreement'"),
        (lambda: emorealm_scores(["a"], ["D"], ["modality_agreement"], [YES_NO]), "gold answer 'D' is none of the choices"),
        (lambda: emorealm_scores(["a"], ["A"], ["modality_agreement"], [SCENES]), "neither yes nor no"),
        (lambda: ca_mer_scores(["a"], ["a"], ["video-aligned"]), "subset 'video-aligned'; did you mean 'video_aligned'"),
        (lambda: emoprefer_scores(["a1"], ["same"]), "gold preference 'same'; accepted: a1, a2"),
    ],
)
def test_what_the_benchmark_does_not_have_is_named(call, message):
    with pytest.raises(UserError, match=message):
        call()
