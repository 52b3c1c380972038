"""Preference pairs by hand."""

import re

import pytest
from conftest import TINY

from emoreason.completions import Template, parse_completion
from emoreason.cue_counts import CueCounts
from emoreason.faults import UserError
from emoreason.preferences import (
    Pair,
    Pairs,
    asked_modality,
    conflict_pairs,
    cue_pairs,
    exchanged_media,
    make_pairs,
    recorded_pairs,
    sampled_pairs,
    unsampled_pairs,
)
from emoreason.recipe_files import load_recipe
from emoreason.records import Media, Record, read_records


def places(texts: list[str], scores: list[float], min_margin: float, max_pairs: int) -> list[tuple[int, int]]:
    return [(pair.chosen, pair.rejected) for pair in make_pairs(texts, scores, min_margin, max_pairs)]


def test_the_widest_margin_comes_first() -> None:
    # Margins: c over b 2.0, c over a 1.5, c over d 1.0, d over b 1.0, a over b 0.5, d over a 0.5.
    texts, scores = ["a", "b", "c", "d"], [0.5, 0.0, 2.0, 1.0]
    assert make_pairs(texts, scores, 0.2, 1) == [Pair(chosen=2, rejected=1, margin=2.0)]


def test_a_text_is_chosen_once_and_rejected_once() -> None:
    texts, scores = ["a", "b", "c", "d"], [0.5, 0.0, 2.0, 1.0]
    # After c over b, c is not chosen and b not rejected again; what remains is d over a.
    assert places(texts, scores, 0.2, 10) == [(2, 1), (3, 0)]


def test_the_same_text_drawn_twice_is_one_text() -> None:
    assert places(["good", "good", "bad", "bad"], [1.0, 1.0, 0.0, 0.0], 0.2, 10) == [(0, 3)]


def test_a_text_is_never_paired_with_itself() -> None:
    assert places(["same", "same"], [1.0, 0.0], 0.2, 10) == []


@pytest.mark.parametrize(
    ("min_margin", "expected"),
    [(0.5, [(0, 1)]), (0.51, [])],
)
def test_a_margin_below_the_smallest_is_noise(min_margin: float, expected: list[tuple[int, int]]) -> None:
    assert places(["a", "b"], [0.75, 0.25], min_margin, 10) == expected


@pytest.mark.parametrize(("texts", "scores"), [([], []), (["a"], [1.0]), (["a", "b", "c"], [0.3, 0.3, 0.3])])
def test_nothing_to_choose_between_gives_no_pair(texts: list[str], scores: list[float]) -> None:
    assert make_pairs(texts, scores, 0.2, 10) == []


def test_negative_scores_rank_like_others() -> None:
    assert make_pairs(["a", "b"], [-2.0, -1.5], 0.2, 10) == [Pair(chosen=1, rejected=0, margin=0.5)]


def test_a_completion_that_could_not_be_scored_is_in_no_pair():
    assert make_pairs(["a", "b", "c"], [1.0, None, 0.0], 0.2, 5) == [Pair(0, 2, 1.0)]
    assert make_pairs(["a", "b"], [None, 1.0], 0.2, 5) == []


# Pairs as records.

LABEL, LIST = Template("free", "label"), Template("free", "list", confidence=True)


def a_record(name: str, label: str | None, cues: dict[str, list[str]], aligned: str | None = None, **more: object) -> Record:
    target = {"label": label, "label_space": "shaver_6_disgust_neutral", "cues": cues, **more.pop("target", {})}
    fields = {"dataset": "d", "split": "train", "group": f"group of {name}", "licence": "CC0-1.0", "source": "us", **more}
    return Record.model_validate({"id": name, "target": target, "aligned_modality": aligned, **fields})


def texts_of(pairs: Pairs) -> list[tuple[str, str, list[str]]]:
    return [(record.id, record.preference.chosen, record.preference.rejected) for record in pairs.records]


def test_samples_become_records_that_prefer() -> None:
    records = [a_record(name, "joy", {}) for name in ("x", "y")]
    pairs = sampled_pairs(records, [["a", "b", "c"], ["a", "b"]], [[0.0, 1.0, 2.0], [1.0, 1.1]], 0.5, 2)
    # c over a 2.0, then b over a is out, since a is rejected already, and c over b, since c is chosen already.
    assert texts_of(pairs) == [("x#samples1", "c", ["a"])]
    assert pairs.left_out == {"no two completions differ by pairs.min_margin": 1}
    assert (pairs.records[0].preference.chosen_by, pairs.records[0].preference.rejected_by) == ("samples", ["samples"])
    assert pairs.records[0].model_copy(update={"id": "x", "preference": None}) == records[0]


def test_several_views_of_a_record_are_ranked_together() -> None:
    records = [a_record(name, "joy", {}) for name in ("x", "y")]
    completions, totals = [["a", "b"], ["p", "q"], ["b", "c"], ["p", "q"]], [[0.0, 1.0], [1.0, 1.0], [1.0, 3.0], [1.0, 1.5]]
    pairs = sampled_pairs(records * 2, completions, totals, 0.5, 2)
    # x: c over a 3.0, then b over a and c over b are out; y: q, of its second view, over p.
    assert texts_of(pairs) == [("x#samples1", "c", ["a"]), ("y#samples1", "q", ["p"])]


def test_records_bring_their_own_preference() -> None:
    chosen = a_record("x", None, {}, preference={"chosen": "a1", "rejected": "a2", "chosen_by": "GPT", "rejected_by": ["us"]})
    pairs = recorded_pairs([a_record("y", "joy", {}), chosen])
    assert pairs == Pairs([chosen], {"no preference": 1})


AGREEING = [
    a_record("joy1", "joy", {"video": ["smile"], "audio": ["pitch high", "loud"]}),
    a_record("joy2", "joy", {"video": ["smile"], "audio": ["pitch high"]}),
    a_record("anger1", "anger", {"video": ["frown"], "audio": ["loud"]}),
]


@pytest.mark.parametrize(
    ("cues", "label"),
    [
        # P(joy) 2 of 3, P(anger) 1 of 3. Of `loud` joy has (1 + 1) / (2 + 2), anger (1 + 1) / (1 + 2): 2 x 1/2 above 1 x 2/3.
        ({"audio": ["loud"]}, "joy"),
        ({"audio": ["Loud.", "never seen"]}, "joy"),
        # Of `frown` joy has (0 + 1) / (2 + 2), anger (1 + 1) / (1 + 2): 2 x 1/4 below 1 x 2/3.
        ({"video": ["frown"]}, "anger"),
        # Together: (2 + 2) x 1/2 x 1/4 = 1/2 below (1 + 1) x 2/3 x 2/3 = 8/9.
        ({"audio": ["loud"], "video": ["frown"]}, "anger"),
        ({"audio": ["frown"]}, None),
        ({}, None),
    ],
)
def test_what_cues_speak_for(cues: dict[str, list[str]], label: str | None) -> None:
    assert CueCounts(AGREEING).likely_label(cues) == label


def test_cues_that_speak_for_two_emotions_alike_speak_for_none() -> None:
    counts = CueCounts([*AGREEING[1:], a_record("anger2", "anger", {"audio": ["pitch high"]})])
    assert counts.likely_label({"audio": ["pitch high"]}) == "anger"  # 2 x (1 + 1) / (2 + 2) above 1 x (1 + 1) / (1 + 2)
    level = [a_record("a", "joy", {"audio": ["loud"]}), a_record("b", "anger", {"audio": ["loud"]})]
    assert CueCounts(level).likely_label({"audio": ["loud"]}) is None


def test_a_cue_is_counted_only_where_the_label_follows_its_modality() -> None:
    counts = CueCounts([*AGREEING, *(a_record(f"c{n}", "anger", {"video": ["frown"], "audio": ["pitch high"]}, "video") for n in range(9))])
    assert counts.likely_label({"audio": ["pitch high"]}) == "joy"
    assert counts.likely_label({"video": ["smile"]}) == "joy"  # 2 x 3/4 above 10 x 1/12


def test_a_conflict_prefers_the_modality_that_is_asked_for() -> None:
    face = a_record("face", "anger", {"video": ["frown"], "audio": ["pitch high"]}, "video",
                    target={"reasoning": "Frown: anger. The voice is not; an ANGER, no angerous one"})  # fmt: skip
    voice = a_record("voice", "joy", {"video": ["frown"], "audio": ["pitch high"]}, "audio")
    pairs = conflict_pairs([*AGREEING, face, voice], LABEL)
    assert texts_of(pairs) == [
        ("face#conflict", "<think>Frown: anger. The voice is not; an ANGER, no angerous one</think><answer>anger</answer>",
         ["<think>Frown: joy. The voice is not; an joy, no angerous one</think><answer>joy</answer>"]),
        ("voice#conflict", "<think>frown; pitch high</think><answer>joy</answer>", ["<think>frown; pitch high</think><answer>anger</answer>"]),
    ]  # fmt: skip
    assert pairs.left_out == {"no aligned_modality": 3}


def test_votes_say_what_the_other_modality_shows_where_they_are_over_the_labels() -> None:
    votes = {"reasoning": "anger", "distribution": {"anger": 5, "sadness": 3, "joy": 1}}
    voted = a_record("x", "anger", {"audio": ["pitch high"]}, "video", target=votes)
    assert texts_of(conflict_pairs([*AGREEING, voted], LABEL))[0][2] == ["<think>sadness</think><answer>sadness</answer>"]
    level = {"reasoning": "anger", "distribution": {"anger": 5, "sadness": 1, "fear": 1}}
    by_cues = a_record("x", "anger", {"audio": ["pitch high"]}, "video", target=level)
    assert texts_of(conflict_pairs([*AGREEING, by_cues], LABEL))[0][2] == ["<think>joy</think><answer>joy</answer>"]
    other_space = {"reasoning": "anger", "distribution": {"negative": 2, "positive": 5}, "distribution_space": "sentiment_3"}
    by_cues = a_record("x", "anger", {"audio": ["pitch high"]}, "video", target=other_space)
    assert texts_of(conflict_pairs([*AGREEING, by_cues], LABEL))[0][2] == ["<think>joy</think><answer>joy</answer>"]


def test_several_answer_words_become_those_of_the_other_emotion() -> None:
    joys = [a_record(f"j{n}", "joy", {"audio": ["pitch high"]}, target={"labels": words}) for n, words in
            enumerate((["joy", "pride"], ["joy", "relief", "hope"], ["joy", "pride"]))]  # fmt: skip
    anger = a_record("x", "anger", {"audio": ["pitch high"], "video": ["frown"]}, "video", target={"labels": ["anger", "rage"]})
    (pair,) = texts_of(conflict_pairs([*joys, anger], LIST))
    assert pair[1:] == (
        "<think>pitch high; frown</think><answer>anger, rage</answer><confidence>0.90</confidence>",
        ["<think>pitch high; frown</think><answer>joy, pride</answer><confidence>0.90</confidence>"],
    )


def test_conflicts_that_give_no_pair_are_counted_by_reason() -> None:
    left_out = [
        a_record("a", None, {"audio": ["pitch high"]}, "video"),
        a_record("b", "anger", {"audio": ["unheard of"]}, "video"),
        a_record("c", "anger", {"video": ["frown"]}, "video"),
        a_record("d", "joy", {"audio": ["pitch high"]}, "video"),
        a_record("e", "anger", {"audio": ["pitch high"]}, "video", target={"reasoning": "an <answer> in it"}),
        a_record("f", "anger", {"audio": ["pitch high"]}, "video", split="test"),
    ]
    assert conflict_pairs([*AGREEING, *left_out], LABEL) == Pairs([], {
        "no aligned_modality": 3, "no label": 1, "nothing says what the other modality shows": 3,
        "the other modality's cues speak for the same emotion": 1, "its text breaks the template: <answer> stands 2 times": 1,
    })  # fmt: skip


def test_an_emotion_that_is_no_choice_cannot_be_rejected() -> None:
    choices = {"reasoning": "a frown", "label_space": "open", "choices": ["anger", "fear"]}
    asked = a_record("x", "anger", {"audio": ["pitch high"]}, "video", target=choices)
    assert conflict_pairs([*AGREEING, asked], Template("free", "choice")).left_out["its text breaks the template: <answer> is empty"] == 1


# What is asked for.

BOTH = {"video": ["smile"], "audio": ["loud"]}


@pytest.mark.parametrize(
    ("question", "cues", "aligned", "asked"),
    [
        ("Which emotion does the face show?", BOTH, None, "video"),
        ("What does the FACE show?", {"image": ["smile"], "text": ["a loss"]}, None, "image"),
        ("Which emotion does her voice carry?", BOTH, None, "audio"),
        ("Do face and voice agree?", BOTH, None, None),
        ("Which emotion is expressed?", BOTH, None, None),
        (None, BOTH, None, "audio"),
        ("Which emotion does the face show?", BOTH, "audio", "audio"),
        ("Which emotion does the face show?", {"audio": ["loud"]}, None, None),
        ("Do the words say so?", {"text": ["a loss"], "audio": ["loud"]}, None, "text"),
        ("Is it a surface?", BOTH, None, None),
    ],
)
def test_the_modality_that_is_asked_for(question: str | None, cues: dict, aligned: str | None, asked: str | None) -> None:
    assert asked_modality(a_record("x", "joy", cues, aligned, question=question), "And the voice?") == asked


PICTURE, OTHER_PICTURE = Media(images=["a.png"]), Media(images=["b.png"])
TRACK, OTHER_TRACK = Media(video="a.mp4", audio_in_video=True), Media(video="b.mp4", audio_in_video=True)
SPOKEN, OTHER_SPOKEN = Media(video="a.mp4", audio="a.wav"), Media(video="b.mp4", audio="b.wav")
FRAMES = Media(frames=["c0.png", "c1.png"], frames_fps=2, audio="c.wav")
SWAPPED = Media(video="a.mp4", audio_in_video=True, sound_track="b.mp4")


@pytest.mark.parametrize(
    ("mine", "other", "sense", "made"),
    [
        (PICTURE, OTHER_PICTURE, None, OTHER_PICTURE),
        (PICTURE, OTHER_PICTURE, "seen", OTHER_PICTURE),
        (PICTURE, OTHER_PICTURE, "heard", None),
        (PICTURE, OTHER_PICTURE, "read", None),
        (PICTURE, PICTURE, None, None),
        (PICTURE, Media(images=["b.png", "c.png"]), None, None),
        (PICTURE, Media(), None, None),
        (Media(), OTHER_PICTURE, None, None),
        (TRACK, OTHER_TRACK, None, OTHER_TRACK),
        (TRACK, OTHER_TRACK, "heard", SWAPPED),
        (TRACK, OTHER_TRACK, "seen", Media(video="b.mp4", audio_in_video=True, sound_track="a.mp4")),
        (TRACK, OTHER_SPOKEN, None, Media(video="b.mp4", audio_in_video=True, sound_track="b.wav")),
        (TRACK, FRAMES, None, None),
        (TRACK, FRAMES, "heard", Media(video="a.mp4", audio_in_video=True, sound_track="c.wav")),
        (TRACK, PICTURE, None, None),
        (SPOKEN, OTHER_SPOKEN, "heard", Media(video="a.mp4", audio="b.wav")),
        (SPOKEN, OTHER_TRACK, None, Media(video="b.mp4", audio="b.mp4")),
        (SPOKEN, SWAPPED, "heard", Media(video="a.mp4", audio="b.mp4")),
        (SPOKEN, FRAMES, "seen", Media(frames=["c0.png", "c1.png"], frames_fps=2, audio="a.wav")),
        (FRAMES, SPOKEN, "seen", Media(video="a.mp4", audio="c.wav")),
        (SWAPPED, Media(audio="d.wav"), "heard", Media(video="a.mp4", audio_in_video=True, sound_track="d.wav")),
        (Media(audio="a.wav"), Media(audio="d.wav"), "heard", Media(audio="d.wav")),
        (Media(video="a.mp4"), OTHER_TRACK, None, Media(video="b.mp4")),
    ],
)
def test_media_of_another_record_in_the_place_of_its_own(mine: Media, other: Media, sense: str | None, made: Media | None) -> None:
    assert exchanged_media(mine, other, sense) == made
    assert made is None or made.kinds == mine.kinds


# Cues.


def spoken(name: str, label: str, seen: list[str], heard: list[str], question: str | None, **more: object) -> Record:
    media = {"video": f"{name}.mp4", "audio_in_video": True}
    return a_record(name, label, {"video": seen, "audio": heard}, question=question, media=media, **more)


FACE, VOICE = "What does the face show?", "What does the voice carry?"
# Two of three show joy. `Smile` and `eyes bright` go with joy, `frown` with anger, `cat` with anger: 1 of 2 above 1 of 3.
FILMED = [
    spoken("a", "joy", ["Smile", "cat"], ["pitch high"], FACE, target={"reasoning": "Smile, cat and pitch high; so it is joy."}),
    spoken("b", "anger", ["frown", "cat"], ["loud"], VOICE),
    spoken("c", "joy", ["smile", "Eyes bright"], ["pitch high"], None),
]


def test_reasons_that_are_there_and_bear_on_the_emotion_are_preferred() -> None:
    pairs = cue_pairs(FILMED, LABEL, "Which emotion is expressed?", seed=0)
    a, b, c = (record.preference for record in pairs.records)
    assert [record.id for record in pairs.records] == ["a#cues", "b#cues", "c#cues"]
    # Asked about the face: its one cue that goes with joy, against the two that do not bear on it, and joy's cue that is not there.
    assert a.chosen == "<think>Smile; so it is joy</think><answer>joy</answer>"
    assert a.rejected[0] in [f"<think>{cue}; so it is joy</think><answer>joy</answer>" for cue in ("cat", "pitch high")]
    assert a.rejected[1:] == ["<think>Eyes bright; so it is joy</think><answer>joy</answer>"]
    # Asked about the voice, which has every cue of anger there is, so that the absent one is of joy.
    assert (b.chosen, b.rejected[1:]) == ("<think>loud</think><answer>anger</answer>", ["<think>pitch high</think><answer>anger</answer>"])
    assert b.rejected[0] in ["<think>frown</think><answer>anger</answer>", "<think>cat</think><answer>anger</answer>"]
    # Asked about both: everything bears on joy, so one cue is exchanged for one of anger's, of its own modality.
    assert c.chosen == "<think>smile; Eyes bright; pitch high</think><answer>joy</answer>"
    assert len(c.rejected) == 1 and c.rejected[0] in [
        f"<think>{cues}</think><answer>joy</answer>" for cues in (
            "frown; Eyes bright; pitch high", "cat; Eyes bright; pitch high", "smile; frown; pitch high", "smile; cat; pitch high",
            "smile; Eyes bright; loud",
        )
    ]  # fmt: skip
    assert pairs.left_out == {"irrelevant cue: all cues bear on the emotion": 1}


def test_what_is_asked_for_is_taken_from_another_record() -> None:
    a, b, c = (record.preference.rejected_media for record in cue_pairs(FILMED, LABEL, "Which emotion is expressed?", seed=0).records)
    assert a == Media(video="b.mp4", audio_in_video=True, sound_track="a.mp4"), "another face, the same voice"
    assert b in [Media(video="b.mp4", audio_in_video=True, sound_track=f"{name}.mp4") for name in "ac"], "another voice, the same face"
    assert c == Media(video="b.mp4", audio_in_video=True)


@pytest.mark.parametrize("seed", range(4))
def test_draws_depend_on_the_seed_alone(seed: int) -> None:
    first, again = (cue_pairs(FILMED, LABEL, "Which?", seed) for _ in range(2))
    assert first == again
    drawn = {tuple(cue_pairs(FILMED, LABEL, "Which?", other).records[2].preference.rejected) for other in range(20)}
    assert len(drawn) > 2


def test_media_come_from_another_group_and_show_another_emotion_where_it_is_asked_for() -> None:
    same_group = FILMED[1].model_copy(update={"group": FILMED[0].group})
    pairs = cue_pairs([FILMED[0], same_group, FILMED[2]], LABEL, "Which?", 0)
    assert pairs.records[0].preference.rejected_media is None
    assert pairs.left_out["other media: none of another group and label that could stand in"] == 1  # c has b, and b has c
    # What the face of a record shows that follows its voice is not known.
    follows_the_voice = FILMED[1].model_copy(update={"aligned_modality": "audio"})
    pairs = cue_pairs([FILMED[0], follows_the_voice, FILMED[2]], LABEL, "Which?", 0)
    assert [record.id for record in pairs.records if record.preference.rejected_media] == ["b#cues"]


def test_records_without_what_a_pair_needs_are_counted_by_reason() -> None:
    records = [
        a_record("a", None, {"video": ["smile"]}), a_record("b", "joy", {}), a_record("c", "joy", {"video": ["smile"]}),
        a_record("d", "joy", {"video": ["smile"]}), a_record("e", "fear", {"video": ["eyes wide"]}, split="test"),
    ]  # fmt: skip
    # Where all records show one emotion, no cue goes with it more often than another.
    assert cue_pairs(records, LABEL, "Which?", 0) == Pairs([], {"no label": 1, "no cues": 1, "no cue bears on the emotion": 3})
    few = [a_record("a", "joy", {"video": ["smile"]}), a_record("b", "anger", {"audio": ["loud"], "video": ["frown"]})]
    assert cue_pairs(few, LABEL, "Which?", 0).left_out == {
        "irrelevant cue: all cues bear on the emotion": 1, "other media: none of another group and label that could stand in": 2,
    }  # fmt: skip


def test_nothing_is_borrowed_across_splits() -> None:
    """On the faces of the tiny set, two splits in one call, which share neither pictures nor emoji."""
    records = [one for name in ("train_text", "calibration_text") for one in read_records(TINY / "data" / f"{name}.jsonl")]
    by_split = {split: [one for one in records if one.split == split] for split in ("train", "calibration")}
    pairs = cue_pairs(records, LIST, "What does the face show?", seed=1).records
    assert len(pairs) == len(records)
    for record, pair in zip(records, pairs, strict=True):
        donors = [one for one in by_split[record.split] if one.media == pair.preference.rejected_media]
        assert donors and all(one.group != record.group and one.target.label != record.target.label for one in donors)
        cues = {cue for one in by_split[record.split] for found in one.target.cues.values() for cue in found}
        said = {clause for text in pair.preference.rejected for clause in parse_completion(text, LIST).think.split("; ")}
        assert said <= cues | {record.target.label}
    alone = cue_pairs(by_split["calibration"], LIST, "What does the face show?", seed=1).records
    assert alone == [pair for pair in pairs if pair.split == "calibration"], "the other split changes nothing"


def test_samples_are_no_source_without_completions() -> None:
    with pytest.raises(ValueError, match="needs completions"):
        unsampled_pairs("samples", [], load_recipe(TINY / "stage3_dpo.yaml"))


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["pairs.sources=[]"], "pairs.sources: List should have at least 1 item"),
        (["pairs.sources=[cues, cues]"], "pairs: sources ['cues', 'cues'] name one twice"),
        (["pairs.sources=[cue]"], "pairs.sources[0]: Input should be 'samples', 'records', 'conflict' or 'cues'"),
        (["pairs.sources=records"], "pairs.sources: Input should be a valid list"),
        (["pairs={source: records}"], "pairs.source: unknown key; did you mean 'sources'?"),
        (["rewards=[]"], "pairs.sources has samples but there are no rewards to rank them"),
        (["pairs={sources: [samples], views: 2}", "augment=null"], "pairs.views is 2 but augment is null"),
        (["pairs.sources=[conflict]", "template.answer=verdict"], "pairs.sources has conflict but template.answer is verdict"),
        (["pairs.sources=[cues]", "template.think=none"], "pairs.sources has cues but template.think is none"),
    ],
)
def test_sources_that_make_no_sense_are_refused(overrides: list[str], fault: str) -> None:
    with pytest.raises(UserError, match=re.escape(fault)):
        load_recipe(TINY / "stage3_dpo.yaml", overrides)


def test_sources_are_mixed_and_need_no_rewards_where_nothing_is_sampled() -> None:
    recipe = load_recipe(TINY / "stage3_dpo.yaml", ["pairs.sources=[records, conflict, cues]", "rewards=[]"])
    assert recipe.pairs.sources == ["records", "conflict", "cues"]
