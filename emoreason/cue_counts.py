"""What cues say of emotions, counted over records."""

import math
from collections import Counter, defaultdict

from emoreason.completions import normalise_word
from emoreason.records import Record


class CueCounts:
    """How often cues go with labels among these records, by modality, counted where the label follows the cue's modality."""

    def __init__(self, records: list[Record]):
        self.records = records
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)  # by modality
        self._cues: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)  # by (modality, cue)
        self._texts: dict[tuple[str, str], str] = {}  # a cue as it is written where it stands first
        self._words: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)  # by label
        self._typical: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
        for record in records:
            label = record.target.label
            if label is None:
                continue
            self._words[label][tuple(record.target.labels)] += 1
            for modality, cues in record.target.cues.items():
                if cues and record.aligned_modality in (None, modality):
                    self._labels[modality][label] += 1
                    for cue, text in {normalise_word(text): text for text in cues}.items():
                        self._cues[modality, cue][label] += 1
                        self._texts.setdefault((modality, cue), text)

    def likely_label(self, cues: dict[str, list[str]]) -> str | None:
        """The label that cues by modality speak for most; None where no record that counts has one of them, or two labels are level.

        Naive Bayes over the cues that are known: P(label) times the product of P(cue | label), with one added to each count of a cue
        and two to each count of a label.
        """
        known = [(modality, cue) for modality, found in cues.items() for cue in map(normalise_word, found) if (modality, cue) in self._cues]
        modalities = {modality for modality, _ in known}
        scores = {}
        for label in sorted(self._words):
            counts = {modality: self._labels[modality][label] for modality in modalities}
            if counts and all(counts.values()):
                evidence = (math.log((self._cues[one][label] + 1) / (counts[one[0]] + 2)) for one in known)
                scores[label] = math.log(sum(counts.values())) + sum(evidence)
        best = [label for label, score in scores.items() if math.isclose(score, max(scores.values()), abs_tol=1e-9)]
        return best[0] if len(best) == 1 else None

    def goes_with(self, modality: str, cue: str, label: str) -> bool:
        """Whether P(label | cue) is above P(label), both among the records that have cues of the modality."""
        with_cue = self._cues.get((modality, normalise_word(cue)), Counter())
        everywhere = self._labels.get(modality, Counter())
        return with_cue[label] * everywhere.total() > everywhere[label] * with_cue.total()

    def typical_cues(self, modality: str, label: str) -> tuple[list[str], list[str]]:
        """(cues of the modality that go with the label, those that go with other labels only), as they are written."""
        if (modality, label) not in self._typical:
            cues = sorted(cue for other, cue in self._cues if other == modality)
            mine = {cue for cue in cues if self.goes_with(modality, cue, label)}
            foreign = [cue for cue in cues if cue not in mine and any(self.goes_with(modality, cue, other) for other in self._labels[modality])]
            self._typical[modality, label] = tuple([self._texts[modality, cue] for cue in found] for found in (sorted(mine), foreign))
        return self._typical[modality, label]

    def words_of(self, label: str) -> list[str]:
        """`target.labels` as most records of this label have them; the label alone where none has."""
        known = sorted(self._words.get(label, Counter()).items(), key=lambda item: (-item[1], item[0]))
        return list(known[0][0]) if known and known[0][0] else [label]
