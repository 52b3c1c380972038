"""Pairs of media that are alike, out of two collections of fingerprints.

Pictures and clips: every pair, by exclusive or and a count of bits, in blocks that stay in the processor's cache. That is quadratic, at
about a nanosecond a pair: 100 000 x 10 000 pictures take seconds. Clips are compared with those alone that last as long.

Sounds: an index of the 32-bit words of one side, sorted; each word of the other side is looked up. That is O((n + m) log n) for n and m words,
and a comparison for each offset that a common word proposes.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from emoreason.leaks.fingerprints import MIN_DEVIATION, MIN_STEPS, Fingerprint

MAX_BITS = 8
"""Of 64, by which a picture may differ. JPEG, WebP and halves of the size change 0 to 7."""
MIN_CORRELATION = 0.995
"""Of thumbnails. Encoded again or resized they keep 0.996; 7 of the 234 270 pairs of drawn faces that differ have more, which differ in the
curve of a mouth or in the lids."""
MIN_CLIP_CORRELATION = 0.98
"""Of the thumbnails of two clips on average; their frames need not be of the same moment by one frame."""
MAX_ERROR_RATE = 0.2
"""Of the bits of two sounds; Opus of 16 kbit/s makes 0.11. Of 126 sentences by espeak-ng, some in one voice a little faster, no pair is alike."""
MAX_LENGTH_RATIO = 1.05
"""Of two clips; what is encoded again may lose its last frames."""
MAX_OCCURRENCES = 256
"""Of a word in the index; more frequent ones tell nothing apart and are skipped, as stop words are."""
MAX_CANDIDATES = 64
"""Sounds, each at an offset, that are compared with one sound, those with most words in common first."""
_BLOCK = 1 << 18
"""Pairs that are compared at once, 2 MiB of words."""

Pairs = list[tuple[int, int, float]]
"""(place in the first collection, place in the second, how far they are apart)"""


def num_bits(words: np.ndarray) -> np.ndarray:
    """How many bits are set in each uint64."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    return bits_by_halving(words)  # numpy before 2.0


def bits_by_halving(words: np.ndarray) -> np.ndarray:
    """The same by adding up neighbours: of 1, 2, 4 bits, then of all bytes by one product."""
    ones, twos, fours, bytes_ = (np.uint64(int(pattern * 8, 16)) for pattern in ("55", "33", "0f", "01"))
    with np.errstate(over="ignore"):
        words = words - ((words >> np.uint64(1)) & ones)
        words = (words & twos) + ((words >> np.uint64(2)) & twos)
        return ((((words + (words >> np.uint64(4))) & fours) * bytes_) >> np.uint64(56)).astype(np.uint8)


def near_words(first: np.ndarray, second: np.ndarray, at_most: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of uint64 words that differ in at most so many bits, as (places in `first`, places in `second`, bits), block by block."""
    width = min(len(first), 1 << 13) or 1
    height = max(1, _BLOCK // width)
    for top in range(0, len(second), height):
        for left in range(0, len(first), width):
            bits = num_bits(second[top : top + height, None] ^ first[None, left : left + width])
            rows, columns = np.nonzero(bits <= at_most)
            yield columns + left, rows + top, bits[rows, columns]


def near_pictures(first: Sequence[Fingerprint], second: Sequence[Fingerprint], at_most: int = MAX_BITS, mirrored: bool = False) -> Pairs:
    """Pairs of pictures within so many bits whose thumbnails agree; with `mirrored` those too of which one is the other's mirror image."""
    if not first or not second:
        return []
    words = np.array([one.pictures[0] for one in first])
    thumbnails = [_normalised(np.stack([one.thumbnails[0] for one in side])) for side in (first, second)]
    found: dict[tuple[int, int], float] = {}
    for swapped in (False, True)[: 1 + mirrored]:
        others = np.array([(one.mirrored if swapped else one.pictures)[0] for one in second])
        turned = thumbnails[1][:, :, ::-1] if swapped else thumbnails[1]
        for columns, rows, bits in near_words(words, others, at_most):
            for part in range(0, len(columns), 4096):
                chosen = slice(part, part + 4096)
                agree = (thumbnails[0][columns[chosen]] * turned[rows[chosen]]).mean(axis=(1, 2)) >= MIN_CORRELATION
                for place in np.flatnonzero(agree) + part:
                    found.setdefault((int(columns[place]), int(rows[place])), float(bits[place]))
    return [(*pair, bits) for pair, bits in sorted(found.items())]


def _normalised(thumbnails: np.ndarray) -> np.ndarray:
    """float32, with mean 0 and deviation 1 each, so that brightness and contrast do not count."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=(-2, -1), keepdims=True)
    return values / np.maximum(values.std(axis=(-2, -1), keepdims=True), 1e-6)


def near_clips(first: Sequence[Fingerprint], second: Sequence[Fingerprint], at_most: int = MAX_BITS, mirrored: bool = False) -> Pairs:
    """Pairs of clips that last as long within 5 % and whose frames differ in at most so many bits on average, their thumbnails agreeing.

    Frames of one colour do not count; half of the frames must be left. Where both have a sound and the sounds differ, the clips do.
    """
    found: Pairs = []
    for num_frames in {len(clip.pictures) for clip in first} & {len(clip.pictures) for clip in second}:
        places = sorted((place for place, clip in enumerate(first) if len(clip.pictures) == num_frames), key=lambda place: first[place].seconds)
        lengths = np.array([first[place].seconds for place in places])
        words = np.stack([first[place].pictures for place in places])
        shown = np.stack([_shown(first[place]) for place in places])
        for place, clip in enumerate(second):
            if len(clip.pictures) == num_frames:
                low = np.searchsorted(lengths, clip.seconds / MAX_LENGTH_RATIO - 1e-6)
                high = np.searchsorted(lengths, clip.seconds * MAX_LENGTH_RATIO + 1e-6, side="right")
                rows = _near_frames(words[low:high], shown[low:high], clip, at_most, mirrored)
                candidates = ((places[low + row], bits, swapped) for row, bits, swapped in rows)
                found += [(other, place, bits) for other, bits, swapped in candidates if _agree(first[other], clip, swapped)]
    best: dict[tuple[int, int], float] = {}
    for other, place, bits in found:
        best[other, place] = min(bits, best.get((other, place), bits))
    return [(*pair, bits) for pair, bits in sorted(best.items())]


def _near_frames(words: np.ndarray, shown: np.ndarray, clip: Fingerprint, at_most: int, mirrored: bool) -> Iterator[tuple[int, float, bool]]:
    """(row, mean bits, whether mirrored) of the clips, one a row, whose frames are near."""
    both = shown & _shown(clip)
    counts = both.sum(axis=1)
    for swapped in (False, True)[: 1 + mirrored]:
        bits = num_bits(words ^ (clip.mirrored if swapped else clip.pictures))
        mean = (bits * both).sum(axis=1) / np.maximum(counts, 1)
        for row in np.flatnonzero((2 * counts >= len(clip.pictures)) & (mean <= at_most)):
            yield int(row), float(mean[row]), swapped


def _agree(one: Fingerprint, other: Fingerprint, swapped: bool) -> bool:
    shown = _shown(one) & _shown(other)
    turned = other.thumbnails[..., ::-1] if swapped else other.thumbnails
    correlations = (_normalised(one.thumbnails) * _normalised(turned)).mean(axis=(1, 2))
    return bool(correlations[shown].mean() >= MIN_CLIP_CORRELATION) and not sounds_differ(one, other)


def _shown(clip: Fingerprint) -> np.ndarray:
    return clip.thumbnails.std(axis=(1, 2)) >= MIN_DEVIATION


def sounds_differ(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether both have a sound, and the two are alike at no offset up to half a second."""
    if not len(one.sound) or not len(other.sound):
        return False
    return all(error_rate(one, other, offset) > MAX_ERROR_RATE for offset in range(-21, 22))


def error_rate(one: Fingerprint, other: Fingerprint, offset: int) -> float:
    """Share of the bits that differ where both are heard, when `one` begins so many steps before `other`; 1 where too little overlaps."""
    start, other_start = max(offset, 0), max(-offset, 0)
    length = min(len(one.sound) - start, len(other.sound) - other_start)
    if length <= 0:
        return 1.0
    mine, theirs = slice(start, start + length), slice(other_start, other_start + length)
    both = one.heard[mine] & other.heard[theirs]
    if both.sum() < max(MIN_STEPS, min(one.heard.sum(), other.heard.sum()) / 2):
        return 1.0
    differing = (one.sound[mine] ^ other.sound[theirs])[both].astype(np.uint64)
    return float(num_bits(differing).sum()) / (32 * int(both.sum()))


def near_sounds(first: Sequence[Fingerprint], second: Sequence[Fingerprint], advance: Callable[[], None] = lambda: None) -> Pairs:
    """Pairs of sounds that are one recording, or of which one holds half of the other or more, with their bit error rate."""
    owners = np.repeat(np.arange(len(first), dtype=np.int32), [len(one.sound) for one in first])
    steps = np.concatenate([np.arange(len(one.sound), dtype=np.int32) for one in first] or [np.zeros(0, np.int32)])
    words = np.concatenate([one.sound for one in first] or [np.zeros(0, np.uint32)])
    heard = np.concatenate([one.heard for one in first] or [np.zeros(0, bool)])
    order = np.flatnonzero(heard)[np.argsort(words[heard], kind="stable")]
    index = words[order], owners[order], steps[order]
    found: Pairs = []
    for place, sound in enumerate(second):
        best: dict[int, float] = {}
        for owner, offset in _candidates(index, sound):
            rate = error_rate(first[owner], sound, offset)
            if rate <= MAX_ERROR_RATE:
                best[owner] = min(rate, best.get(owner, 1.0))
        found += [(owner, place, rate) for owner, rate in best.items()]
        advance()
    return sorted(found)


def _candidates(index: tuple[np.ndarray, np.ndarray, np.ndarray], sound: Fingerprint) -> list[tuple[int, int]]:
    """(place of a sound, offset in steps) that words in common propose, most words first."""
    words, owners, steps = index
    own = np.flatnonzero(sound.heard)
    low, high = (np.searchsorted(words, sound.sound[own], side=side) for side in ("left", "right"))
    counts = np.where(high - low <= MAX_OCCURRENCES, high - low, 0)
    if not counts.sum():
        return []
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(low, counts) + within
    offsets = steps[places] - np.repeat(own, counts)
    keys, votes = np.unique((owners[places].astype(np.int64) << 32) + offsets + (1 << 31), return_counts=True)
    chosen = keys[np.argsort(-votes, kind="stable")[:MAX_CANDIDATES]]
    return [(int(key >> 32), int(key & 0xFFFFFFFF) - (1 << 31)) for key in chosen]
