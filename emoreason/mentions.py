"""Where free text names the terms of a vocabulary, and whether it asserts them: `fear`, `no sign of fear`, `may be fear`.

    >>> [(mention.term, mention.status) for mention in Finder(["fear", "joy"]).find("Joy, perhaps; hardly any fear.")]
    [('joy', 'asserted'), ('fear', 'negated')]

The rules read English clauses without a parser: a negating word holds for what follows it up to the end of its clause, a
contrast (`but`), an `and`, or the next subject. Rules of this kind go back to NegEx (Chapman et al. 2001, J Biomed Inform
34:301), which negates findings in reports over a window of a few words; the word lists and the treatment of lists are ours.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

Status = Literal["asserted", "hedged", "negated"]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HARD_BREAK = re.compile(r"[.;:!?()\[\]{}<>\n—–|]")
_SENTENCE_END = re.compile(r"[.!?\n]")
_LOOK_BACK = 8
_LOOK_AHEAD = 6

_NEGATORS = frozenset(
    "not no never without neither nor none nothing nobody cannot hardly barely scarcely rarely seldom lack lacks lacked lacking absence "
    "devoid unlikely isnt arent wasnt werent doesnt dont didnt cant couldnt wont wouldnt hasnt havent fails failed".split()
)
# A negator only together with the word after it: `free of fear`, `sad rather than angry`.
_NEGATING_PAIRS = frozenset({("free", "of"), ("free", "from"), ("far", "from"), ("rather", "than"), ("instead", "of"), ("anything", "but")})
# After a negator they keep the term: `not only sad`, `no doubt afraid`, `cannot hide her joy`, `not without fear`.
_KEEPERS = frozenset("only just merely simply solely doubt wonder without hide hides conceal conceals contain suppress mask disguise help".split())
_CONTRASTS = frozenset("but however yet although though whereas while instead because since so".split())
_SUBJECTS = frozenset("i he she they it we you this that these those his her their its my our your the a an who which there".split())
_HEDGES = frozenset("might may could maybe perhaps possible possibly potentially conceivably if whether unless unsure uncertain unclear".split())
# Behind one of these, what was found missing before says nothing: `the lack of a smile suggests sadness`.
_LACKS = frozenset("lack lacks lacked lacking absence without devoid".split())
_INFERENCES = frozenset("suggests suggest suggesting indicates indicate indicating shows showing conveys implies means points reveals".split())
_ABSENT = frozenset("absent missing lacking nonexistent inactive".split())
_PRESENT = frozenset(
    "present visible seen evident shown observed observable apparent detected detectable there noticeable displayed active activated "
    "found expressed noted".split()
)
_PLURAL_VERBS = frozenset(("are", "were", "aren't", "weren't"))


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a term stands in a text."""

    term: str
    """The vocabulary's entry, as it was given to `Finder`."""
    start: int
    end: int
    """Characters `start` to `end` of the text, the end not included."""
    status: Status


class Scope:
    """A text cut into words once, to ask what its clauses say of some of its characters."""

    def __init__(self, text: str) -> None:
        self._text = text
        found = list(_WORD.finditer(text))
        self.words = [match[0].casefold().replace("’", "'") for match in found]
        self.starts = [match.start() for match in found]
        self.ends = [match.end() for match in found]

    def status(self, start: int, end: int) -> Status:
        """What is said of the words at these characters: `negated`, else `hedged` where it is only possible, else `asserted`."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, max(end - 1, start)) - 1
        if first < 0:
            return "asserted"
        return self.status_of_words(first, last)

    def status_of_words(self, first: int, last: int) -> Status:
        """`status` of the words with these numbers, `last` included."""
        hedged = False
        for index, after_comma in self._words_before(first):
            if self._negates(index, first, after_comma):
                return "negated"
            hedged |= self.words[index] in _HEDGES
        if self._negated_behind(last):
            return "negated"
        return "hedged" if hedged or self._hedged_behind(last) or self._asked(last) else "asserted"

    def _hedged_behind(self, last: int) -> bool:
        """`fear may be present`, `anger is possible`: in the next two words of the clause."""
        for index in range(last + 1, min(last + 3, len(self.words))):
            gap = self._gap(index - 1)
            if _HARD_BREAK.search(gap) or "," in gap or self.words[index] in ("and", "or", "if", "whether", *_CONTRASTS):
                return False
            if self.words[index] in _HEDGES:
                return True
        return False

    def _words_before(self, first: int) -> Iterator[tuple[int, bool]]:
        """(word, whether a comma follows it) of the words that may speak of the word `first`, nearest first: those of its clause."""
        after_comma = False
        for index in range(first - 1, max(first - 1 - _LOOK_BACK, -1), -1):
            gap, word = self._gap(index), self.words[index]
            if _HARD_BREAK.search(gap):
                return
            if "," in gap:
                # `not angry, she is sad`, `anger is not visible, joy is`; but `no anger, fear or disgust` is one list.
                if self.words[index + 1] in _SUBJECTS or self.words[index + 1] in _CONTRASTS or word in _PRESENT or word in _ABSENT:
                    return
                after_comma = True
            if (word == "and" or word in _CONTRASTS) and not self._in_pair(index):
                return
            yield index, after_comma

    def _in_pair(self, index: int) -> bool:
        return any(pair in _NEGATING_PAIRS for pair in pairwise(self.words[max(index - 1, 0) : index + 2]))

    def _negates(self, index: int, first: int, after_comma: bool) -> bool:
        word, between = self.words[index], self.words[index + 1 : first]
        if (word, self.words[index + 1]) in _NEGATING_PAIRS:
            return bool(between) and not after_comma
        if word not in _NEGATORS and not word.endswith("n't"):
            return False
        if not _KEEPERS.isdisjoint(between[:2]) or (word == "nothing" and between[:1] == ["but"]):
            return False
        if word in _LACKS and not _INFERENCES.isdisjoint(between):
            return False
        return not (word == "without" and index and self.words[index - 1] in ("not", "never"))

    def _negated_behind(self, last: int) -> bool:
        """`fear is absent`, `anger is not visible`, `anger and fear are missing`, `AU4: none`."""
        if last + 1 < len(self.words) and self.words[last + 1] in ("none", "no", "absent", "not") and re.search("[:=(]", self._gap(last)):
            return True
        in_list = negated = False
        for index in range(last + 1, min(last + 1 + _LOOK_AHEAD, len(self.words))):
            word = self.words[index]
            if _HARD_BREAK.search(self._gap(index - 1)) or word in _CONTRASTS:
                return False
            if word in ("and", "or") or "," in self._gap(index - 1):
                in_list = True
            if in_list and not negated and word in ("is", "was", "isn't", "wasn't"):
                return False  # the verb of the next item only
            if word in _ABSENT and (not in_list or not _PLURAL_VERBS.isdisjoint(self.words[last + 1 : index])):
                return True
            negated |= word == "not" or word == "nowhere" or (word.endswith("n't"))
            if negated and (word in _PRESENT or (word == "not" and _HARD_BREAK.search(self._gap(index)))):
                return True
        return False

    def _asked(self, last: int) -> bool:
        """Whether the sentence ends in a question mark."""
        positions, marks = self._sentence_ends
        index = bisect_left(positions, self.ends[last])
        return index < len(marks) and marks[index] == "?"

    @cached_property
    def _sentence_ends(self) -> tuple[list[int], list[str]]:
        found = list(_SENTENCE_END.finditer(self._text))
        return [match.start() for match in found], [match[0] for match in found]

    def _gap(self, index: int) -> str:
        """What stands between this word and the next, cut at a length that no punctuation needs."""
        start = self.ends[index]
        return self._text[start : min(start + 16, self.starts[index + 1] if index + 1 < len(self.starts) else start + 16)]


class Finder:
    """Finds a vocabulary's terms in free text: whole words, whatever their case, the longest term first, none overlapping.

    A hyphen and a space are the same, so `heart-broken` is found by `heart broken`.
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms: dict[tuple[str, ...], str] = {}
        lengths: dict[str, set[int]] = {}
        for term in terms:
            words = tuple(word.casefold().replace("’", "'") for word in _WORD.findall(term))
            if words:
                self._terms.setdefault(words, term)
                lengths.setdefault(words[0], set()).add(len(words))
        self._lengths = {word: tuple(sorted(sizes, reverse=True)) for word, sizes in lengths.items()}

    def find(self, text: str) -> list[Mention]:
        """Every mention, in the order of the text; takes time linear in its length."""
        return self.find_in(Scope(text))

    def find_in(self, scope: Scope) -> list[Mention]:
        """`find` over a text that is cut into words already."""
        words, lengths, found = scope.words, self._lengths, []
        index = 0
        while index < len(words):
            for size in lengths.get(words[index], ()):
                term = self._terms.get(tuple(words[index : index + size]))
                if term is not None and index + size <= len(words):  # at the end of the text the slice is shorter than the term
                    last = index + size - 1
                    found.append(Mention(term, scope.starts[index], scope.ends[last], scope.status_of_words(index, last)))
                    index += size
                    break
            else:
                index += 1
        return found
