"""Which record is drawn when: weighted mixes in a fixed order, so that a run can be repeated and resumed."""

import random


def mix(sizes: list[int], weights: list[float], num_rows: int | None, seed: int) -> list[tuple[int, int]]:
    """`num_rows` draws of (source, record) in training order; every source is walked whole before it repeats.

    A source's share of the draws is its size times its weight. With `num_rows` None there are as many draws as records:
    one epoch when all weights are equal.
    """
    masses = [size * weight for size, weight in zip(sizes, weights, strict=True)]
    total = sum(sizes) if num_rows is None else num_rows
    draws = _largest_remainder(masses, total)
    generator = random.Random(seed)
    rows = []
    for source, (size, count) in enumerate(zip(sizes, draws, strict=True)):
        order: list[int] = []
        while len(order) < count:
            epoch = list(range(size))
            generator.shuffle(epoch)
            order += epoch
        # A random place in the whole order for each draw, kept sorted within the source so that epochs stay whole.
        places = sorted(generator.random() for _ in range(count))
        rows += [(place, source, record) for place, record in zip(places, order, strict=False)]
    return [(source, record) for _, source, record in sorted(rows)]


def _largest_remainder(masses: list[float], total: int) -> list[int]:
    """Whole numbers in proportion to `masses` that add up to `total`."""
    whole = sum(masses)
    exact = [total * mass / whole for mass in masses]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(masses)), key=lambda index: counts[index] - exact[index])
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts
