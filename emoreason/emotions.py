"""Label spaces: the exact spelling and order of the emotion classes that data sets use, their numbers and codes in the files.

    >>> normalise_label("Happiness", "dfew_7"), label_from_index(1, "dfew_7")
    ('happy', 'happy')

A name ends in the number of classes; words after it are classes added to those. All is lower case, as answers are read, also where
files write capitals (EMOTIC, RAF-DB compound, C-EXPR-DB, Cowen and Keltner, EEmo-Bench, AffectNet, DFEW, FER2013, CREMA-D).
"""

import string
from collections.abc import Mapping
from functools import cache
from typing import Any

from emoreason.faults import UserError, did_you_mean

LABEL_SPACES: dict[str, tuple[str, ...]] = {
    # Theories.
    # Shaver, Schwartz, Kirson & O'Connor (1987), "Emotion knowledge": the six basic-level categories of their
    # hierarchy, with disgust (Ekman 1992), which that hierarchy files under anger, and neutral added.
    "shaver_6_disgust_neutral": ("joy", "love", "surprise", "sadness", "fear", "anger", "disgust", "neutral"),
    # The six alone are the primary emotions of Parrott (2001), "Emotions in Social Psychology", in its order.
    "parrott_6": ("love", "joy", "surprise", "anger", "sadness", "fear"),
    # Ekman (1992), "An argument for basic emotions"; the second with neutral, as most face data sets use it.
    "ekman_6": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
    "ekman_6_neutral": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    # Ekman & Friesen (1986) add contempt. Papers that write "7 classes" mostly mean ekman_6_neutral. The last are the classes of
    # AffectNet in Ekman's nouns; affectnet_8 has them in its own words and order.
    "ekman_7": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    "ekman_8": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    # Plutchik (1980), "Emotion: A Psychoevolutionary Synthesis", in the order of his circle.
    "plutchik_8": ("joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation"),
    # The strong words of the same circle in the same order, as AIPsy-Affect names what its vignettes evoke.
    "aipsy_8_neutral": ("ecstasy", "admiration", "terror", "amazement", "grief", "loathing", "rage", "vigilance", "neutral"),
    # Mikels et al. (2005), in the order of EmoSet (Yang et al., ICCV 2023). FI, Abstract, ArtPhoto and EmoVid have the same classes;
    # readers of Abstract and ArtPhoto write sad.
    "mikels_8": ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"),
    # Cowen & Keltner (2017), PNAS, as VCE (Mazeika et al. 2022) spells them, but for its "Awe (or Wonder)".
    "cowen_keltner_27": (
        "admiration", "adoration", "aesthetic appreciation", "amusement", "anger", "anxiety", "awe", "awkwardness", "boredom", "calmness",
        "confusion", "craving", "disgust", "empathic pain", "entrancement", "excitement", "fear", "horror", "interest", "joy", "nostalgia",
        "relief", "romance", "sadness", "satisfaction", "sexual desire", "surprise",
    ),
    # Video and audio.
    # MER2023 and MER2024 challenge labels.
    "mer_6": ("neutral", "angry", "happy", "sad", "worried", "surprise"),
    # MERR (Emotion-LLaMA, Cheng et al. 2024): MER's six and three more.
    "merr_9": ("neutral", "angry", "happy", "sad", "worried", "surprise", "fear", "contempt", "doubt"),
    "dfew_7": ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"),
    "mafw_11": (
        "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety", "helplessness", "disappointment",
    ),
    # As the csv files of MELD spell them; INDEX_MAPS has the two orders in use.
    "meld_7": ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"),
    # Spelling and order of MERTools; then the order of conv-emotion and that of CODE_MAPS, whose words are ours: files have codes only.
    "iemocap_4": ("happy", "sad", "neutral", "anger"),
    "iemocap_6": ("happy", "sad", "neutral", "anger", "excited", "frustrated"),
    "iemocap_10": ("neutral", "happy", "sad", "anger", "excited", "frustrated", "surprise", "fear", "disgust", "other"),
    "ravdess_8": ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    "ravdess_song_6": ("neutral", "calm", "happy", "sad", "angry", "fearful"),
    # Names of the vote columns as the README of CREMA-D explains them, in their order.
    "crema_d_6": ("anger", "disgust", "fear", "happy", "neutral", "sad"),
    # MC-EIU in EmoBench-M: emotions and intents.
    "mc_eiu_7": ("happy", "surprise", "sad", "disgust", "anger", "fear", "neutral"),
    "mc_eiu_intent_8": ("questioning", "agreeing", "acknowledging", "encouraging", "consoling", "suggesting", "wishing", "neutral"),
    # Faces.
    "affectnet_8": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
    "affectnet_7": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"),
    "raf_db_7": ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
    "raf_db_compound_11": (
        "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted", "fearfully angry",
        "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised",
    ),
    # The compound expressions of C-EXPR-DB and the ABAW challenge: seven of RAF-DB's in another order.
    "c_expr_7": (
        "fearfully surprised", "happily surprised", "sadly surprised", "disgustedly surprised", "angrily surprised", "sadly fearful",
        "sadly angry",
    ),
    "fer2013_7": ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    "fer_plus_8": ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    # FEA-20K (Facial-R1), order as in its description.
    "fea_20k_7": ("anger", "happiness", "sadness", "neutral", "disgust", "surprise", "fear"),
    # Pictures and text.
    "artemis_9": ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness", "something else"),
    "emotic_26": (
        "affection", "anger", "annoyance", "anticipation", "aversion", "confidence", "disapproval", "disconnection", "disquietment",
        "doubt/confusion", "embarrassment", "engagement", "esteem", "excitement", "fatigue", "fear", "happiness", "pain", "peace",
        "pleasure", "sadness", "sensitivity", "suffering", "surprise", "sympathy", "yearning",
    ),
    "eemo_bench_7": ("joy", "anger", "disgust", "sadness", "surprise", "fear", "neutral"),
    # Emotion6 (Peng et al. 2015), whose votes have neutral as well; UnbiasedEmo and WEBEmo (Panda et al. 2018). WEBEmo's misspelt
    # folders (cheerfullness, irritabilty) are in VECBench too. All from the code of others that reads them; the seven of WebEmo from
    # one place only, and their order is not verified.
    "emotion6_6": ("anger", "disgust", "fear", "joy", "sadness", "surprise"),
    "unbiased_emo_6": ("anger", "fear", "joy", "love", "sadness", "surprise"),
    "webemo_7": ("anger", "confusion", "fear", "joy", "love", "sadness", "surprise"),
    "webemo_25": (
        "affection", "cheerfullness", "confusion", "contentment", "disappointment", "disgust", "enthrallment", "envy", "exasperation",
        "gratitude", "horror", "irritabilty", "lust", "neglect", "nervousness", "optimism", "pride", "rage", "relief", "sadness", "shame",
        "suffering", "surprise", "sympathy", "zest",
    ),
    # Demszky et al. (2020), in the order of the data set's emotions.txt.
    "goemotions_28": (
        "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire", "disappointment",
        "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism",
        "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
    ),
    # Sentiment and judgements.
    # EmoSet's two classes, positive first; FI-2 and WebEmo-2 of VECBench have two as well, their spelling not verified.
    "sentiment_2": ("positive", "negative"),
    # Emoji Sentiment Ranking (Kralj Novak et al., PLoS ONE 2015) and most sentiment sets.
    "sentiment_3": ("negative", "neutral", "positive"),
    # From one end to the other; FGMSA in EmoBench-M has the same classes in an order of its own.
    "sentiment_5": ("strong negative", "weak negative", "neutral", "weak positive", "strong positive"),
    "fgmsa_5": ("weak negative", "strong negative", "neutral", "strong positive", "weak positive"),
    # MVEI and INSETS; modality agreement in EmoReAlM; humour and sarcasm in EmoBench-M.
    "verdict_2": ("correct", "incorrect"),
    "yes_no_2": ("yes", "no"),
    "true_false_2": ("true", "false"),
}  # fmt: skip
OPEN_VOCABULARY = "open"

# The sentiment that each class stands for, where psychologists agree on one; surprise can be either and has none.
POLARITY: dict[str, str] = {
    "joy": "positive",
    "love": "positive",
    "sadness": "negative",
    "fear": "negative",
    "anger": "negative",
    "disgust": "negative",
    "neutral": "neutral",
}


# {name: {number in the files: label}}. A name starts with that of its label space; what follows says whose numbers these are. Numbers
# of FER2013 and the compound sets are from the code and the reports of users, not from the files.
INDEX_MAPS: dict[str, dict[int, str]] = {
    # RAVDESS: the third part of a file name, 01 to 08, and to 06 in songs.
    **{name: dict(enumerate(LABEL_SPACES[name], 1)) for name in ("dfew_7", "mafw_11", "raf_db_7", "raf_db_compound_11", "ravdess_8")},
    # AffectNet's 8 none, 9 uncertain and 10 no face are no classes, nor are FER+'s last vote columns, unknown and NF (no face). WEBEmo:
    # the folders of the test set.
    **{
        name: dict(enumerate(LABEL_SPACES[name]))
        for name in ("affectnet_8", "affectnet_7", "fer2013_7", "fer_plus_8", "c_expr_7", "goemotions_28", "artemis_9", "webemo_25")
    },
    # Mirrors with a folder for each class number them by the alphabet.
    **{f"{name}_folders": dict(enumerate(sorted(LABEL_SPACES[name]))) for name in ("affectnet_8", "affectnet_7", "fer2013_7")},
    "mikels_8_emoset": dict(enumerate(LABEL_SPACES["mikels_8"])),
    "sentiment_2_emoset": dict(enumerate(LABEL_SPACES["sentiment_2"])),
    "meld_7_mertools": dict(enumerate(("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise"))),
    "meld_7_conv_emotion": dict(enumerate(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"))),
    "iemocap_4_mertools": dict(enumerate(LABEL_SPACES["iemocap_4"])),
    "iemocap_6_conv_emotion": dict(enumerate(LABEL_SPACES["iemocap_6"])),
}
# {label space: {code in the files: label}}. IEMOCAP's xxx, where annotators found no majority, is no class; its labels are those of
# iemocap_4 and iemocap_6 as far as these go.
CODE_MAPS: dict[str, dict[str, str]] = {
    "crema_d_6": {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"},
    "iemocap_10": {
        "neu": "neutral", "hap": "happy", "sad": "sad", "ang": "anger", "exc": "excited", "fru": "frustrated", "sur": "surprise",
        "fea": "fear", "dis": "disgust", "oth": "other",
    },
}  # fmt: skip

# Words for one and the same class: noun and adjective, and what other data sets call it. Synonyms are left out on purpose: whether
# scared is fear or mad is anger is for the wheels to say, and to merge labels is for the user to decide.
_WORD_FAMILIES = [
    family.split()
    for family in """
    anger angry, disgust disgusted, fear fearful, sadness sad, surprise surprised, contempt contemptuous, happiness happy joy joyful,
    affection affectionate, amusement amused, annoyance annoyed, anxiety anxious, awkwardness awkward, boredom bored, calmness calm,
    cheerfullness cheerfulness cheerful, confidence confident, confusion confused, contentment content contented, curiosity curious,
    disappointment disappointed, disapproval disapproving, disconnection disconnected, disquietment disquitement disquiet,
    doubt doubtful, embarrassment embarrassed, engagement engaged, enthrallment enthralment enthralled, entrancement entranced,
    envy envious, exasperation exasperated, excitement excited, fatigue fatigued, frustration frustrated, gratitude grateful,
    helplessness helpless, horror horrified, irritabilty irritability irritable, nervousness nervous, nostalgia nostalgic,
    optimism optimistic, peace peaceful, pride proud, realization realisation, relief relieved, remorse remorseful,
    satisfaction satisfied, shame ashamed, sympathy sympathetic, trust trusting, worry worried, correct true yes, incorrect false no
    """.split(",")
]
# Happiness and joy are one class where a set has one for feeling good, and not where it has several, of which joy is one.
_OTHER_CLASS: dict[str, str] = {
    **dict.fromkeys(
        ("shaver_6_disgust_neutral", "parrott_6", "plutchik_8", "cowen_keltner_27", "unbiased_emo_6", "webemo_7", "goemotions_28"),
        "happiness happy",
    ),
    **dict.fromkeys(("emotic_26", "iemocap_6", "iemocap_10"), "joy joyful"),
}
_OWN_FORMS: dict[str, dict[str, str]] = {
    "emotic_26": dict.fromkeys(("doubt", "confusion", "doubt confusion"), "doubt/confusion"),
    "cowen_keltner_27": dict.fromkeys(("awe (or wonder)", "awe or wonder", "wonder"), "awe"),
}


def _forms(label_space: str) -> dict[str, str]:
    """{form: label} of the words that stand for a class of the space without being one."""
    labels = LABEL_SPACES[label_space]
    other = _OTHER_CLASS.get(label_space, "").split()
    forms = dict(_OWN_FORMS.get(label_space, {}))
    for words in _WORD_FAMILIES:
        members = [word for word in words if word in labels]
        if len(members) == 1:
            forms |= {word: members[0] for word in words if word not in (*members, *other)}
    return forms


LABEL_FORMS: dict[str, dict[str, str]] = {label_space: _forms(label_space) for label_space in LABEL_SPACES}
"""{label space: {another form of a label: the label}}; the labels themselves are not in it."""

_PUNCTUATION = string.punctuation + "“”‘’…。，！？：；、"
_SEPARATORS = str.maketrans(dict.fromkeys("-_‐‑", " "))


def label_space_problem(label_space: str) -> str | None:
    """Why there is no such label space (with the nearest one), or None when it is one or the open vocabulary."""
    if label_space == OPEN_VOCABULARY or label_space in LABEL_SPACES:
        return None
    return f"unknown label space {label_space!r}{did_you_mean(label_space, [*LABEL_SPACES, OPEN_VOCABULARY])}"


def label_problem(label: str, label_space: str) -> str | None:
    """Why `label` is no member of `label_space` (with the nearest member), or None when it is one."""
    problem = label_space_problem(label_space)
    if problem or label_space == OPEN_VOCABULARY:
        return problem
    if label not in LABEL_SPACES[label_space]:
        return f"label {label!r} is not in {label_space}{did_you_mean(label, LABEL_SPACES[label_space])}"
    return None


def normalise_label(text: str, label_space: str) -> str:
    """The label of the space that `text` means: a member, case, spacing, hyphens and surrounding punctuation aside, or a form of one.

    The forms are those that `LABEL_FORMS` has for this very space: `worried` is no fear, `calm` not neutral, `mad` not anger. In the
    open vocabulary it is the text in lower case, without surrounding punctuation.

    Raises:
        UserError: there is no such space, or the text means none of its labels; nothing is merged by default.

    >>> normalise_label("Happily_Surprised", "c_expr_7"), normalise_label("joy", "ekman_6"), normalise_label("anger", "mer_6")
    ('happily surprised', 'happiness', 'angry')
    """
    problem = label_space_problem(label_space)
    if problem:
        raise UserError(problem)
    if label_space == OPEN_VOCABULARY:
        label = " ".join(text.casefold().split()).strip(_PUNCTUATION + " ")
        if not label:
            raise UserError(f"label {text[:60]!r} holds no word")
        return label
    lookup = _lookup(label_space)
    label = lookup.get(text) or lookup.get(_key(text))
    if label is None:
        nearest = did_you_mean(text[:60].casefold(), LABEL_SPACES[label_space])
        raise UserError(f"label {text[:60]!r} is neither in {label_space} nor a form of a label of it{nearest}")
    return label


def label_meant(text: str, label_space: str) -> str | None:
    """`normalise_label`, but None where the text means no label of this space, which must be one of `LABEL_SPACES`."""
    lookup = _lookup(label_space)
    return lookup.get(text) or lookup.get(_key(text))


@cache
def _lookup(label_space: str) -> dict[str, str]:
    labels = LABEL_SPACES[label_space]
    forms = {_key(form): label for form, label in LABEL_FORMS[label_space].items()}
    return forms | {_key(label): label for label in labels} | {label: label for label in labels}


def _key(text: str) -> str:
    """What is left of a text when case, spacing, hyphens, underscores and surrounding punctuation do not count."""
    return "".join(text.casefold().translate(_SEPARATORS).split()).strip(_PUNCTUATION)


def label_from_index(index: int, index_map: str) -> str:
    """The label of a number in the files, by the map of `INDEX_MAPS` that the files follow.

    Raises:
        UserError: there is no such map, or it has no such number; 8 to 10 in AffectNet's csv are no classes.

    >>> label_from_index(1, "affectnet_8"), label_from_index(1, "affectnet_8_folders")
    ('happy', 'contempt')
    """
    return _find(index, _named(index_map, INDEX_MAPS, "index map"), index_map)


def index_from_label(label: str, index_map: str) -> int:
    """The number in the files of a label, spelt as in its label space; the inverse of `label_from_index`.

    Raises:
        UserError: there is no such map, or it has no such label.
    """
    _named(index_map, INDEX_MAPS, "index map")
    return _find(label, _inverse(index_map), index_map)


def label_from_code(code: str, code_map: str) -> str:
    """The label of a code in the files, by the map of `CODE_MAPS` with the name of the label space.

    Raises:
        UserError: there is no such map, or it has no such code; IEMOCAP's xxx, no majority, is no class.
    """
    return _find(code, _named(code_map, CODE_MAPS, "code map"), code_map)


@cache
def _inverse(index_map: str) -> dict[str, int]:
    return {label: index for index, label in INDEX_MAPS[index_map].items()}


def _named(name: str, maps: Mapping[str, Any], kind: str) -> Any:
    if name not in maps:
        raise UserError(f"unknown {kind} {name!r}{did_you_mean(name, maps)}")
    return maps[name]


def _find(key: Any, mapping: Mapping[Any, Any], name: str) -> Any:
    if key not in mapping:
        accepted = ", ".join(f"{known} ({value})" for known, value in mapping.items())
        raise UserError(f"{name} has no {key!r}; accepted: {accepted}")
    return mapping[key]
