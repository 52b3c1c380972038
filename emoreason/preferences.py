"""Preference pairs as records: each holds, in `preference`, a better answer, worse ones, and perhaps media that make it wrong.

Four sources, each a function from records to `Pairs`:

    samples   `sampled_pairs`   the model's own completions, best against worst by reward
    records   `recorded_pairs`  the records' own, such as EmoPrefer's two descriptions of a clip
    conflict  `conflict_pairs`  where modalities conflict, what the one asked for shows against what the other one shows
    cues      `cue_pairs`       reasons that are there and bear on the emotion against reasons that do not, or are not there

What is counted over other records, and what is borrowed from them, stays within a split.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from emoreason.completions import Template, normalise_word, parse_completion, render
from emoreason.cue_counts import CueCounts
from emoreason.prompts import gold_answers, target_text
from emoreason.recipe import DpoRecipe, PairSource
from emoreason.records import Media, Preference, Record, Target

STATED_CONFIDENCE = 0.9
"""Where the template states a confidence, what answers written here state, both sides alike: right ones learn it, wrong ones lose it."""

Item, Found = TypeVar("Item"), TypeVar("Found")

_SENSES = {"image": "seen", "video": "seen", "visual": "seen", "face": "seen", "audio": "heard", "acoustic": "heard", "voice": "heard"}
_ASKING = {
    "seen": "face faces facial gesture gestures gaze posture".split(),
    "heard": "voice voices vocal tone intonation prosody hear heard".split(),
    "read": "words text transcript wording".split(),
}


@dataclass(frozen=True)
class Pair:
    """Places of two completions of one record in the list they were given in, and by how much the first is better."""

    chosen: int
    rejected: int
    margin: float


@dataclass(frozen=True)
class Pairs:
    """What one source gave."""

    records: list[Record]
    """Each with a preference, in the order given; ids are those of the records they come from, with `#` and the source."""
    left_out: dict[str, int]
    """{what could not be made, and why: for how many records}."""


def no_pairs(source: PairSource, pairs: Pairs) -> str:
    """A fault that names the source which gave no pair, and why, the most frequent reason first."""
    reasons = [f"{why} ({count})" for why, count in sorted(pairs.left_out.items(), key=lambda item: (-item[1], item[0]))]
    hint = "; lower it, raise sampling.temperature or num_completions, or give harder records" if source == "samples" else ""
    return f"pairs.sources: {source} gives no pair: {', '.join(reasons)}{hint}"


def make_pairs(texts: list[str], scores: list[float | None], min_margin: float, max_pairs: int) -> list[Pair]:
    """Up to `max_pairs` pairs with distinct texts, the widest margins first, each text at most once on each side.

    Pairs with a margin below `min_margin` teach noise and are left out; a record whose completions score alike has none.
    A completion with the score None could not be scored and is in no pair.
    """
    order = sorted((index for index, score in enumerate(scores) if score is not None), key=lambda index: -scores[index])
    candidates = [
        Pair(best, worst, scores[best] - scores[worst])
        for best in order for worst in reversed(order) if scores[best] - scores[worst] >= min_margin and texts[best] != texts[worst]
    ]  # fmt: skip
    pairs, chosen, rejected = [], set(), set()
    for pair in sorted(candidates, key=lambda pair: -pair.margin):
        if len(pairs) < max_pairs and texts[pair.chosen] not in chosen and texts[pair.rejected] not in rejected:
            pairs.append(pair)
            chosen.add(texts[pair.chosen])
            rejected.add(texts[pair.rejected])
    return pairs


def sampled_pairs(
    records: Iterable[Record], completions: Iterable[list[str]], totals: Iterable[list[float | None]], min_margin: float, max_pairs: int
) -> Pairs:
    """`make_pairs` of each record's completions and their total rewards, which come in the order of the records.

    Those of one record, as of several views of it, may stand in several places; they are ranked together.
    """
    pools: dict[str, tuple[Record, list[str], list[float | None]]] = {}
    for record, texts, scores in zip(records, completions, totals, strict=True):
        _, pooled_texts, pooled_scores = pools.setdefault(record.id, (record, [], []))
        pooled_texts += texts
        pooled_scores += scores
    found, left_out = [], Counter()
    for record, texts, scores in pools.values():
        pairs = make_pairs(texts, scores, min_margin, max_pairs)
        found += [_preferring(record, "samples", texts[pair.chosen], [texts[pair.rejected]], place) for place, pair in enumerate(pairs, start=1)]
        left_out["no two completions differ by pairs.min_margin"] += not pairs
    return Pairs(found, dict(+left_out))


def recorded_pairs(records: Iterable[Record]) -> Pairs:
    """The records that have a preference, as they are."""
    records = list(records)
    found = [record for record in records if record.preference]
    return Pairs(found, dict(+Counter({"no preference": len(records) - len(found)})))


def conflict_pairs(records: Iterable[Record], template: Template) -> Pairs:
    """For each record with an `aligned_modality`: its target as the model should write it, against the same text about another emotion.

    That emotion is what the other modalities show: the runner-up of `target.distribution` where the votes are over the label space,
    else what their cues say (`cue_counts.CueCounts.likely_label`). In the rejected text it stands wherever the label stood, in the answer
    and in the reasoning, so that nothing but the emotion tells the two apart. Several answer words become those that records of
    that emotion mostly have.

    Source: the records are CA-MER's (MoSEAR, arXiv 2508.01181); the local edit is EAPO's emotion flip; their sum is ours.
    """
    return _for_each(records, partial(_conflict_pair, template=template))


def cue_pairs(records: Iterable[Record], template: Template, question: str, seed: int) -> Pairs:
    """For each record with cues: reasons that bear on its emotion, against the same with one of them exchanged.

    A cue bears on the emotion where its modality is asked for (by `aligned_modality`, else by the words of the question, else all
    are) and where it goes with the label more often than chance within the split. The chosen reasoning is those cues, and the last
    clause of the record's own reasoning where that names the label. Rejected, each where it can be made: one cue exchanged for
    a cue of this record that does not bear on the emotion; one exchanged for a cue of the same modality that this record does not
    have, typical of the label, else of another one. The rejected media are those of another record of the split, of another
    group and label: its voice where the voice is asked for, its pictures or clip where the face is, else all of them.

    Draws depend on the seed and the record's id alone. `question` is what a record without one of its own is asked.

    Source: AVEm-DPO (AVERE, arXiv 2602.07054) has the two kinds of rejected answers and the media by modality; there a language
    model writes the texts.
    """
    return _for_each(records, partial(_cue_pair, template=template, question=question, seed=seed))


def unsampled_pairs(source: PairSource, records: Iterable[Record], recipe: DpoRecipe) -> Pairs:
    """What a source other than `samples` gives under this recipe."""
    template = recipe.template.build()
    match source:
        case "records":
            return recorded_pairs(records)
        case "conflict":
            return conflict_pairs(records, template)
        case "cues":
            return cue_pairs(records, template, recipe.prompt.question, recipe.seed)
    raise ValueError(f"source {source!r} needs completions")


def asked_modality(record: Record, question: str) -> str | None:
    """The modality that is asked for, by its name among the record's cues; None where the question means all of them.

    It is `aligned_modality`, else the one whose words (`face`, `voice`, `transcript`, ...) the question has, and no other's.
    """
    if record.aligned_modality is not None:
        return record.aligned_modality
    said = set(re.findall(r"[a-z]+", (record.question or question).casefold()))
    senses = [sense for sense, words in _ASKING.items() if not said.isdisjoint(words)]
    names = [name for name in record.target.cues if len(senses) == 1 and sense_of(name) == senses[0]]
    return names[0] if len(names) == 1 else None


def sense_of(modality: str) -> str:
    """`seen`, `heard` or `read`, by the name of a modality."""
    return _SENSES.get(modality, "read")


def exchanged_media(mine: Media, other: Media, sense: str | None) -> Media | None:
    """`mine` with what is seen, or heard, or both (None), taken from `other`; None where that changes nothing or cannot be.

    The kinds of media stay as they are, since one prompt is asked of both. A sound may come out of a clip.
    """
    seen, heard = (other if sense in (None, one) else mine for one in ("seen", "heard"))
    sound = None
    if mine.audio or mine.audio_in_video:
        sound = heard.audio or heard.sound_track or (heard.video if heard.audio_in_video else None)
        if sound is None or (mine.audio_in_video and seen.video is None):
            return None
    if len(seen.images) != len(mine.images) or bool(seen.video or seen.frames) != bool(mine.video or mine.frames):
        return None
    made = Media(
        images=seen.images, video=seen.video, frames=seen.frames, frames_fps=seen.frames_fps, audio=sound if mine.audio else None,
        audio_in_video=mine.audio_in_video, sound_track=sound if mine.audio_in_video and sound != seen.video else None,
    )  # fmt: skip
    return None if made == mine else made


def _for_each(records: Iterable[Record], make: Callable[[Record, CueCounts, Counter[str]], Record | None]) -> Pairs:
    """`make` of each record with the counts of its split; it gives a pair or None, and counts what it cannot make."""
    records, by_split = list(records), defaultdict(list)
    for record in records:
        by_split[record.split].append(record)
    counts = {split: CueCounts(found) for split, found in by_split.items()}
    left_out: Counter[str] = Counter()
    made = [make(record, counts[record.split], left_out) for record in records]
    return Pairs([pair for pair in made if pair is not None], dict(+left_out))


def _preferring(
    record: Record, source: PairSource, chosen: str, rejected: list[str], place: int | None = None, rejected_media: Media | None = None
) -> Record:
    name = source if place is None else f"{source}{place}"
    preference = Preference(chosen=chosen, rejected=rejected, rejected_media=rejected_media, chosen_by=source, rejected_by=[source] * len(rejected))
    return record.model_copy(update={"id": f"{record.id}#{name}", "preference": preference})


def _conflict_pair(record: Record, counts: CueCounts, left_out: Counter[str], template: Template) -> Record | None:
    if record.aligned_modality is None or record.target.label is None:
        left_out["no aligned_modality" if record.aligned_modality is None else "no label"] += 1
        return None
    emotion = _other_emotion(record, counts)
    if emotion is None or emotion == record.target.label:
        left_out["nothing says what the other modality shows" if emotion is None else "the other modality's cues speak for the same emotion"] += 1
        return None
    chosen, rejected = (_written(one, template) for one in (record, _about(record, emotion, counts.words_of(emotion))))
    for text in (chosen, rejected):
        if problems := parse_completion(text, template).problems:
            left_out[f"its text breaks the template: {problems[0]}"] += 1
            return None
    return _preferring(record, "conflict", chosen, [rejected])


def _other_emotion(record: Record, counts: CueCounts) -> str | None:
    target = record.target
    if target.distribution and target.distribution_space in (None, target.label_space):
        votes = sorted((count, label) for label, count in target.distribution.items() if label != target.label and count)
        if votes and (len(votes) == 1 or votes[-1][0] > votes[-2][0]):
            return votes[-1][1]
    return counts.likely_label({modality: cues for modality, cues in target.cues.items() if modality != record.aligned_modality})


def _about(record: Record, emotion: str, words: list[str]) -> Record:
    """The record with another emotion in the place of its label."""
    target = record.target
    exchange = partial(_named(target.label).sub, lambda _: emotion)
    return record.model_copy(update={"target": target.model_copy(update={
        "label": emotion, "labels": words if target.labels else [], "reasoning": target.reasoning and exchange(target.reasoning),
        "sections": {name: exchange(text) for name, text in target.sections.items()},
    })})  # fmt: skip


def _named(label: str) -> re.Pattern[str]:
    """Finds the label as a whole word."""
    return re.compile(rf"(?<!\w){re.escape(label)}(?!\w)", re.IGNORECASE)


def _written(record: Record, template: Template) -> str:
    think_from = "reasoning" if record.target.reasoning else "cues"
    return target_text(record, template, think_from, STATED_CONFIDENCE if template.confidence else None)


def _cue_pair(record: Record, counts: CueCounts, left_out: Counter[str], template: Template, question: str, seed: int) -> Record | None:
    target, asked = record.target, asked_modality(record, question)
    if target.label is None or not any(target.cues.values()):
        left_out["no label" if target.label is None else "no cues"] += 1
        return None
    cues = [(modality, cue) for modality, found in target.cues.items() for cue in found]
    bearing = [one for one in cues if asked in (None, one[0]) and counts.goes_with(*one, target.label)]
    if not bearing:
        left_out["no cue bears on the emotion"] += 1
        return None
    generator = random.Random(f"{seed}:{record.id}")
    reasons = [cue for _, cue in bearing]
    idle = [cue for modality, cue in cues if (modality, cue) not in bearing and cue not in reasons]
    exchanges = [(generator.randrange(len(bearing)), generator.choice(idle))] if idle else []
    left_out["irrelevant cue: all cues bear on the emotion"] += not idle
    place = generator.randrange(len(bearing))
    absent = _absent_cue(bearing[place][0], target, counts, generator)
    exchanges += [(place, absent)] if absent else []
    left_out["absent cue: the record has all that are known of the modality"] += absent is None
    media = _other_media(record, asked, counts.records, generator)
    left_out["other media: none of another group and label that could stand in"] += media is None
    if not exchanges:
        return None
    texts = [_with_reasons(record, one, template) for one in (reasons, *([*reasons[:at], new, *reasons[at + 1 :]] for at, new in exchanges))]
    if problems := [problem for text in texts for problem in parse_completion(text, template).problems]:
        left_out[f"its text breaks the template: {problems[0]}"] += 1
        return None
    return _preferring(record, "cues", texts[0], texts[1:], rejected_media=media)


def _absent_cue(modality: str, target: Target, counts: CueCounts, generator: random.Random) -> str | None:
    """A cue of the modality that the record does not have, typical of its label where there is one, else of another."""
    listed = {normalise_word(cue) for found in target.cues.values() for cue in found}
    typical, foreign = counts.typical_cues(modality, target.label)
    missing = (_first(cues, generator, lambda cue: None if normalise_word(cue) in listed else cue) for cues in (typical, foreign))
    return next((cue for cue in missing if cue is not None), None)


def _other_media(record: Record, asked: str | None, records: list[Record], generator: random.Random) -> Media | None:
    """The record's media with what is asked for taken from a record of another group whose own shows another emotion."""

    def stand_in(other: Record) -> Media | None:
        shows_another = other.target.label not in (None, record.target.label) and other.aligned_modality in (None, asked)
        return exchanged_media(record.media, other.media, asked and sense_of(asked)) if other.group != record.group and shows_another else None

    return _first(records, generator, stand_in)


def _first(items: Sequence[Item], generator: random.Random, take: Callable[[Item], Found | None]) -> Found | None:
    """What `take` gives of the first item, from a random place on and around, of which it gives something."""
    start = generator.randrange(len(items)) if items else 0
    return next((found for step in range(len(items)) if (found := take(items[(start + step) % len(items)])) is not None), None)


def _with_reasons(record: Record, cues: list[str], template: Template) -> str:
    closing = _closing(record)
    think = "; ".join([*cues, closing] if closing else cues)
    return render(template, think, gold_answers(record, template), STATED_CONFIDENCE if template.confidence else None)


def _closing(record: Record) -> str:
    """The last clause of the reasoning where it names the label and no cue; else nothing."""
    clauses = re.split(r"[;:.\n]\s*", (record.target.reasoning or "").strip(" .\n"))
    said = normalise_word(clauses[-1])
    has_cue = any(normalise_word(cue) in said for cues in record.target.cues.values() for cue in cues)
    return clauses[-1] if _named(record.target.label).search(said) and not has_cue else ""
