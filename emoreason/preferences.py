"""Preference pairs from scored completions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Places of two completions of one record in the list they were given in, and by how much the first is better."""

    chosen: int
    rejected: int
    margin: float


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
