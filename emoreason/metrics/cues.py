"""How well the statements of a text cover the annotated cues: observable evidence such as `brows lowered` or `voice trembles`.

Imports nothing heavy at the top, since rewards import it.
"""

import importlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from emoreason.faults import UserError
from emoreason.mentions import Scope
from emoreason.metrics.text import words

Similarity = Callable[[list[str], list[str]], list[list[float]]]
"""(m statements, n statements) -> m rows of n numbers, 1 where both say the same, 0 or below where they have nothing in common."""

DIMENSIONS = ("visual", "auditory", "emotional")
"""Those of EmoCue-360."""
MAX_STATEMENTS = 64
"""As many statements of a completion rewards compare with the cues, so that a long text takes no longer than this."""

_MAX_WORDS = 64  # of one statement; a longer one is no statement of a single cue anyway
_BREAK = re.compile(
    r"(?<=[.!?])[\"'”’)]?\s+"  # the end of a sentence, but not `3.5`
    r"|[;；。！？，…\n•]+"
    r"|^[ \t]*(?:[-*]|\d{1,2}[.)])[ \t]+"  # bullets
    r"|</?[A-Za-z_]{1,32}>",  # section tags
    re.MULTILINE,
)
_SOFT_BREAK = re.compile(r",\s*((?:and|but|while)\b)?|\s(?:and|but|while)\b", re.IGNORECASE)
_SURROUNDING = " \t\r\f\v.!?,:\"'`*_-–—()[]“”‘’"
_NEGATORS = frozenset("no not nor never without neither".split())
_STOP_WORDS = _NEGATORS | frozenset(
    "a an the of in on at to with and or but is are was were be been being has have had having he she it they i we you his her hers its "
    "their my our your him them this that these those there here as by for from into while which who whose what when so if then than "
    "also both very however s t do does did cannot "
    "show shows shown showing appear appears appearing seem seems suggest suggests suggesting indicate indicates indicating "
    "visible seen image picture video audio clip".split()
)


def statements(text: str) -> list[str]:
    """The clauses of a text, in its order, without bullets, tags and surrounding punctuation; takes time linear in its length.

    A clause ends with a sentence, at a semicolon, a line, a section tag and a comma before `and`, `but` or `while`; at any other
    comma and at a bare `and`, `but` or `while` only where both sides have at least two content words, so that `a tall, thin man`
    stays whole. A part without any content word is left out.

    >>> statements("- Brows lowered, lips pressed together.\\n- Her voice, low and flat, trembles, but she smiles.")
    ['Brows lowered', 'lips pressed together', 'Her voice, low and flat, trembles', 'she smiles']
    """
    return [clause for part in _BREAK.split(text) for clause in _clauses(part)]


def lexical_similarity(a: list[str], b: list[str]) -> list[list[float]]:
    """Dice's coefficient 2 |p & q| / (|p| + |q|) of the stems of the content words; a `Similarity`, symmetric, in [0, 1].

    1 where both have the same stems, 0 where either has none. A stem that is negated is another: `no tears` and `tears` share
    nothing, `no tears` and `without tears` are the same. Negation and stems are those of English; in Chinese, Japanese and
    Korean each character is a stem. Paraphrases share no stem: for those give an `embedding_similarity`.

    Source: Dice (1945); the stems follow the first steps of Porter (1980), simplified.

    >>> lexical_similarity(["The lip corners are raised."], ["raised lip corners", "lips raised", "no raised lips"])
    [[1.0, 0.8, 0.0]]
    """
    left, right = ([frozenset(_polarities(text).items()) for text in side] for side in (a, b))
    return [[2 * len(one & other) / (len(one) + len(other)) if one and other else 0.0 for other in right] for one in left]


def embedding_similarity(embed: Callable[[list[str]], Sequence[Sequence[float]]]) -> Similarity:
    """The `Similarity` that is the cosine of the texts' vectors, in [-1, 1]; a vector of zeros has 0 with all.

    `embed` gives one vector a text, e.g. `SentenceTransformer("all-MiniLM-L6-v2").encode`.
    """

    def similarity(a: list[str], b: list[str]) -> list[list[float]]:
        import numpy as np

        if not a or not b:
            return [[] for _ in a]
        left, right = (np.asarray(embed(side), float) for side in (a, b))
        lengths = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
        return np.divide(left @ right.T, lengths, out=np.zeros_like(lengths), where=lengths > 0).tolist()

    return similarity


def load_similarity(address: str | None) -> Similarity:
    """The `Similarity` at `package.module:name`; `lexical_similarity` for None.

    Raises:
        UserError: there is no such module or function.
    """
    if address is None:
        return lexical_similarity
    module, _, name = address.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise UserError(f"similarity {address!r}: accepted: package.module:name, a function from two lists of texts to rows of numbers")
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise UserError(f"similarity {address!r}: {error}; the module must be installed or stand on PYTHONPATH") from error
    if not callable(function):
        raise UserError(f"similarity {address!r}: {module} has no function {name!r}")
    return function


def match_one_to_one(similarity: Sequence[Sequence[float]], floor: float = 0.0) -> list[tuple[int, int]]:
    """(row, column) pairs, each row and column in one at most, so that the total of relu(s - floor) / (1 - floor) is the largest.

    In the order of rows; pairs at or below the floor are left out.

    Raises:
        ValueError: the floor is not in [0, 1).

    Source: the assignment problem (Kuhn 1955), by `scipy.optimize.linear_sum_assignment`.
    """
    credits = [[_credit(value, floor) for value in row] for row in similarity]
    if not any(map(any, credits)):
        return []
    from scipy.optimize import linear_sum_assignment  # takes half a second

    rows, columns = linear_sum_assignment(credits, maximize=True)
    return [(row, column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True) if credits[row][column]]


def cue_credits(
    predicted: Sequence[str], gold: Sequence[str], *, similarity: Similarity = lexical_similarity, floor: float = 0.5
) -> list[float]:
    """What each gold statement gets from the predicted one that it is matched with, one to one; 0.0 for none, each in [0, 1].

    The credit of a pair is relu(s - floor) / (1 - floor), and 0 where one denies what the other asserts (see `contradict`),
    whatever the similarity says: vectors of `tears` and `no tears` are near.

    Raises:
        ValueError: the floor is not in [0, 1), or the similarity is no such table of finite numbers.
    """
    table = _similarities(predicted, gold, similarity)
    credits = [0.0] * len(gold)
    for row, column in match_one_to_one(table, floor):
        credits[column] = _credit(table[row][column], floor)
    return credits


def cue_scores(
    predicted: Sequence[str],
    gold: Sequence[str],
    *,
    similarity: Similarity = lexical_similarity,
    floor: float = 0.5,
    one_to_one: bool = True,
) -> tuple[float, float, float] | None:
    """(precision, recall, f1) of predicted statements against gold ones, each in [0, 1]; None where there is no gold statement.

    Recall is the mean credit of the gold statements, precision the sum of the same credits over the number of predicted statements
    (see `cue_credits`). With `one_to_one=False` each statement of either side takes the best of the other, used already or not:
    then repeating one cue keeps the precision high. Nothing predicted is (0, 0, 0).

    Raises:
        ValueError: as for `cue_credits`.

    Source: EmoCue-360 (XEmoGPT, arXiv 2602.05496) has the maxima; the floor is that of a perception reward in public code around
    MoSEAR (as described at second hand); one to one and the test for contradiction are ours.
    """
    if not gold:
        return None
    if one_to_one:
        total = sum(cue_credits(predicted, gold, similarity=similarity, floor=floor))
        return _with_f1(total / len(predicted) if predicted else 0.0, total / len(gold))
    table = [[_credit(value, floor) for value in row] for row in _similarities(predicted, gold, similarity)]
    return _with_f1(*_best_means(table))


def contradict(one: str, other: str) -> bool:
    """Whether the texts share a word that only one of them negates; where they share none, whether only one negates anything.

    >>> contradict("no tears in her eyes", "tears"), contradict("without tears", "no tears"), contradict("not crying", "tears")
    (True, False, True)
    """
    return _differ(_polarities(one), _polarities(other))


def emocue_360(
    predicted: Sequence[Mapping[str, Sequence[str]]],
    gold: Sequence[Mapping[str, Sequence[str]]],
    similarity: Similarity,
    *,
    compat: bool = True,
) -> dict[str, dict[str, Any]]:
    """`{dimension: {"precision", "recall", "f1", "n", "skipped"}}` for visual, auditory and emotional; means over samples.

    A sample is `{dimension: [statements]}`. Precision is the mean over its predicted statements of the largest similarity to a gold
    one, recall the same the other way round, f1 theirs (0 where they add up to 0 or less), all without a floor, so unrelated
    statements earn something and one statement may serve many. A sample without gold statements in a dimension is skipped
    there, one without predicted statements is 0. The three numbers are None where every sample is skipped.

    `compat` also does what the published code does beside: auditory statements with the letters `text` are left out on both
    sides (meant for subtitles, it takes `context` too), and a prediction without the key `emotional` is 0 even without gold.

    Raises:
        ValueError: unequal lengths, or the similarity is no such table of finite numbers.

    Source: XEmoGPT, arXiv 2602.05496, and its compute_prf.py; there the similarity is the cosine of all-MiniLM-L6-v2 and an LLM
    cuts free text into statements, so numbers compare only with the same two.
    """
    if len(predicted) != len(gold):
        raise ValueError(f"{len(predicted)} predictions and {len(gold)} gold samples given; one of each is needed")
    scores = {}
    for dimension in DIMENSIONS:
        samples = [_emocue_sample(p, g, dimension, similarity, compat) for p, g in zip(predicted, gold, strict=True)]
        used = [sample for sample in samples if sample is not None]
        means = [fmean(column) for column in zip(*used, strict=True)] or [None] * 3
        scores[dimension] = {**dict(zip(("precision", "recall", "f1"), means, strict=True)), "n": len(used), "skipped": len(samples) - len(used)}
    return scores


def _emocue_sample(
    predicted: Mapping[str, Sequence[str]], gold: Mapping[str, Sequence[str]], dimension: str, similarity: Similarity, compat: bool
) -> tuple[float, float, float] | None:
    if compat and dimension == "emotional" and dimension not in predicted:
        return 0.0, 0.0, 0.0
    mine, wanted = list(predicted.get(dimension, ())), list(gold.get(dimension, ()))
    if compat and dimension == "auditory":
        mine, wanted = ([text for text in side if "text" not in text] for side in (mine, wanted))
    if not wanted:
        return None
    return _with_f1(*_best_means(_table(mine, wanted, similarity))) if mine else (0.0, 0.0, 0.0)


def _similarities(predicted: Sequence[str], gold: Sequence[str], similarity: Similarity) -> list[list[float]]:
    """The table of similarities, 0 for pairs that contradict."""
    if not predicted or not gold:
        return [[] for _ in predicted]
    table = _table(list(predicted), list(gold), similarity)
    mine, wanted = [_polarities(text) for text in predicted], [_polarities(text) for text in gold]
    for row, one in zip(table, mine, strict=True):
        for column, other in enumerate(wanted):
            if row[column] > 0 and _differ(one, other):
                row[column] = 0.0
    return table


def _table(a: list[str], b: list[str], similarity: Similarity) -> list[list[float]]:
    table = [[float(value) for value in row] for row in similarity(a, b)]
    if len(table) != len(a) or any(len(row) != len(b) or not all(map(math.isfinite, row)) for row in table):
        raise ValueError(f"the similarity of {len(a)} and {len(b)} statements must be {len(a)} rows of {len(b)} finite numbers; it is {table!r:.200}")
    return table


def _best_means(table: list[list[float]]) -> tuple[float, float]:
    """(mean of the rows' largest values, mean of the columns'); 0.0 for a table without rows."""
    return (fmean(map(max, table)), fmean(map(max, zip(*table, strict=True)))) if table else (0.0, 0.0)


def _with_f1(precision: float, recall: float) -> tuple[float, float, float]:
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _credit(similarity: float, floor: float) -> float:
    if not 0 <= floor < 1:
        raise ValueError(f"floor is {floor}; accepted: from 0 to below 1")
    return min(max(similarity - floor, 0.0) / (1 - floor), 1.0)  # a cosine may be 1.0000001


def _differ(one: dict[str, bool], other: dict[str, bool]) -> bool:
    shared = one.keys() & other.keys()
    return any(one[stem] != other[stem] for stem in shared) if shared else any(one.values()) != any(other.values())


def _polarities(text: str) -> dict[str, bool]:
    """{stem: whether it is negated} of the content words of a statement."""
    scope = Scope(text)
    found: dict[str, bool] = {}
    for index, word in enumerate(scope.words[:_MAX_WORDS]):
        stems = [_stem(part) for part in words(word.removesuffix("'s")) if part not in _STOP_WORDS]
        if stems and not word.endswith("n't"):
            negated = scope.status_of_words(index, index) == "negated"
            for stem in stems:
                found[stem] = found.get(stem, False) or negated
    return found


def _clauses(text: str) -> list[str]:
    """The parts of one sentence; a part with fewer than two content words stays with the one before, or the one after at the start.

    A negator counts, else `no smile, brows lowered` would stay one clause, and negated as a whole.
    """
    parts: list[tuple[int, int, int]] = []  # start, end, content words
    start, after_pause = 0, False
    for end, following, pause in [*((match.start(), match.end(), bool(match[1])) for match in _SOFT_BREAK.finditer(text)), (len(text), 0, False)]:
        num_words = sum(word not in _STOP_WORDS or word in _NEGATORS for word in words(text[start:end]))
        if parts and not after_pause and min(num_words, parts[-1][2]) < 2:
            parts[-1] = (parts[-1][0], end, parts[-1][2] + num_words)
        else:
            parts.append((start, end, num_words))
        start, after_pause = following, pause
    return [text[start:end].strip(_SURROUNDING) for start, end, num_words in parts if num_words]


def _stem(word: str) -> str:
    """The word without plural, -ing, -ed, -ly and a last e; y and i are the same at the end."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return word
    if word.endswith(("ies", "ied")):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1]
    for suffix in ("ing", "ed", "ly"):
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) > 2 and re.search("[aeiouy]", rest) and not word.endswith("eed"):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "aeiouylsz" else rest
            break
    return f"{word[:-1]}i" if word.endswith("y") else word.removesuffix("e")
