"""Does the reasoning draw on every modality that has cues, or on the one that the record follows?"""

from statistics import fmean

from emoreason.completions import Template, completion_text, parse_completion
from emoreason.faults import UserError
from emoreason.metrics.cues import MAX_STATEMENTS, Similarity, cue_credits, load_similarity, statements


def modality_consistency_reward(
    completions: list,
    template: list[Template],
    cues: list[dict[str, list[str]]],
    aligned_modality: list[str | None],
    *,
    floor: float = 0.5,
    similarity: str | None = None,
    **kwargs,
) -> list[float | None]:
    """Mean over the modalities with cues of the mean credit of their cues, matched one to one with statements of the reasoning; in [0, 1].

    A statement serves one cue of one modality, for a credit of relu(s - floor) / (1 - floor) (see `metrics.cues.cue_credits`), so with
    two modalities one of them alone earns at most a half, however many cues it has. Where the modalities conflict
    (`aligned_modality` is given), that one's mean is the value. What the reasoning denies matches no cue that asserts it.

    It is recall: more statements cost nothing up to the first 64, which alone are compared. Give `cue_coverage_reward` or
    `length_penalty_reward` beside it. `similarity` is the address `package.module:name` of a `metrics.cues.Similarity` for
    paraphrases, else shared stems count. 0.0 without readable reasoning; None where the record, or its aligned modality, has no
    cues, or the template no reasoning.

    Raises:
        UserError: `floor` is not in [0, 1), or no function is at `similarity`.

    Source: a "rubric perception" reward in public code around MoSEAR (arXiv 2508.01181), known to us at second hand: the best
    cosine of a cue above a floor of 0.5, mean a modality, mean over modalities. One to one, so that a sentence that fits all cues
    counts once, and what a conflict does are ours; CA-MER has the conflicts.

    >>> form, cues = [Template("free")] * 2, [{"image": ["brows lowered"], "audio": ["voice trembles"]}] * 2
    >>> modality_consistency_reward(["<think>Brows lowered.</think>"] * 2, form, cues, [None, "image"])
    [0.5, 1.0]
    """
    if not 0 <= floor < 1:
        raise UserError(f"modality_consistency_reward: floor is {floor}; accepted: from 0 to below 1")
    measure = load_similarity(similarity)
    rows = zip(completions, template, cues, aligned_modality, strict=True)
    return [_score(completion_text(text), form, wanted, aligned, floor, measure) for text, form, wanted, aligned in rows]


def _score(
    text: str, template: Template, cues: dict[str, list[str]], aligned: str | None, floor: float, similarity: Similarity
) -> float | None:
    modalities = sorted(cues) if aligned is None else [aligned]
    wanted = [(modality, statement) for modality in modalities for cue in cues.get(modality, ()) for statement in statements(cue)]
    if not wanted or template.think == "none":
        return None
    stated = statements(parse_completion(text, template).think or "")[:MAX_STATEMENTS]
    credits = cue_credits(stated, [statement for _, statement in wanted], similarity=similarity, floor=floor)
    by_modality: dict[str, list[float]] = {}
    for (modality, _), credit in zip(wanted, credits, strict=True):
        by_modality.setdefault(modality, []).append(credit)
    return fmean(map(fmean, by_modality.values()))
