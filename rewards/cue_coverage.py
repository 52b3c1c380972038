"""Does the reasoning state the record's cues, and little else?"""

from emoreason.completions import Template, completion_text, parse_completion
from emoreason.faults import UserError
from emoreason.metrics.cues import MAX_STATEMENTS, Similarity, cue_credits, load_similarity, statements


def cue_coverage_reward(
    completions: list,
    template: list[Template],
    cues: list[dict[str, list[str]]],
    *,
    floor: float = 0.5,
    prose_weight: float = 0.5,
    similarity: str | None = None,
    **kwargs,
) -> list[float | None]:
    """F1 of the statements of the reasoning, matched one to one, against all cues of the record; in [0, 1].

    2 T / (K + prose_weight x U + M): M cues, K statements matched with one, U matched with none, T the credits of the K pairs,
    relu(s - floor) / (1 - floor) each (see `metrics.cues.cue_credits`). At `prose_weight` 1 it is plain F1, which counts each sentence
    that connects or concludes as a false cue; at 0 it is about recall, and a list of everything ever seen wins. At a half,
    prose costs a little and a guess at a cue the same, which pays only where it is right more often than F1 / (4 - F1), and a cue
    that is said again is prose. What the reasoning denies matches no cue that asserts it, what it calls possible does.

    Cues and reasoning are cut into statements alike. The first 64 of the reasoning can match, all others are prose. `similarity` is
    the address `package.module:name` of a `metrics.cues.Similarity` for paraphrases, else shared stems count. 0.0 without
    readable reasoning; None where the record has no cues or the template no reasoning.

    Raises:
        UserError: `floor` is not in [0, 1), `prose_weight` not in [0, 1], or no function is at `similarity`.

    Source: ours, from EmoCue-360 (XEmoGPT, arXiv 2602.05496), whose scores have no floor and let one statement serve many cues.

    >>> form, cues = [Template("free")] * 2, [{"image": ["brows lowered", "lips pressed"]}] * 2
    >>> cue_coverage_reward(["<think>Her brows are lowered. This means anger.</think>", "<think>Brows not lowered.</think>"], form, cues)
    [0.5714285714285714, 0.0]
    """
    if not (0 <= floor < 1 and 0 <= prose_weight <= 1):
        raise UserError(f"cue_coverage_reward: floor is {floor} and prose_weight is {prose_weight}; "
                        "accepted: a floor from 0 to below 1 and a prose_weight from 0 to 1")
    measure = load_similarity(similarity)
    rows = zip(completions, template, cues, strict=True)
    return [_score(completion_text(text), form, wanted, floor, prose_weight, measure) for text, form, wanted in rows]


def _score(
    text: str, template: Template, cues: dict[str, list[str]], floor: float, prose_weight: float, similarity: Similarity
) -> float | None:
    wanted = [statement for modality in sorted(cues) for cue in cues[modality] for statement in statements(cue)]
    if not wanted or template.think == "none":
        return None
    stated = statements(parse_completion(text, template).think or "")
    credits = [credit for credit in cue_credits(stated[:MAX_STATEMENTS], wanted, similarity=similarity, floor=floor) if credit]
    return 2 * sum(credits) / (len(credits) + prose_weight * (len(stated) - len(credits)) + len(wanted))
