"""What a whole file of samples holds, which each of its rows has to fit."""

from collections import Counter
from typing import get_args

from emoreason.exports.samples import ClipStyle, Sample


class Survey:
    """Counts over the samples of a file, taken before the first row is written.

    A column has one type and a run has one switch for the sound of clips, so that clips in one file are all of one style.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, sample: Sample) -> None:
        for one in sample.media:
            self._counts[one.clip_style or one.kind] += 1
        self._counts["rejected media"] += bool(sample.rejected_media)

    @property
    def clip_style(self) -> ClipStyle | None:
        """The most frequent one; None without clips."""
        found = [style for style in get_args(ClipStyle) if self._counts[style]]
        return max(found, key=lambda style: self._counts[style], default=None)

    @property
    def kinds(self) -> list[str]:
        """Of `image`, `video` and `audio` those that occur."""
        return [kind for kind in ("image", "video", "audio") if self._counts[kind] or (kind == "video" and self.clip_style)]

    @property
    def has_rejected_media(self) -> bool:
        return self._counts["rejected media"] > 0

    def refusal(self, sample: Sample) -> str | None:
        """Why a sample does not fit the others, or None."""
        styles = {one.clip_style for one in (*sample.media, *sample.rejected_media) if one.clip_style}
        other = styles - {self.clip_style}
        return f"{other.pop()} do not go into one file with {self.clip_style}, of which there are more; export them by themselves" if other else None
