"""Label spaces: the exact spelling and order of the emotion classes that data sets and recipes use."""

from emoreason.faults import did_you_mean

LABEL_SPACES: dict[str, tuple[str, ...]] = {
    # Shaver, Schwartz, Kirson & O'Connor (1987), "Emotion knowledge": the six basic-level categories of their
    # hierarchy, with disgust (Ekman 1992), which that hierarchy files under anger, and neutral added.
    "shaver_6_disgust_neutral": ("joy", "love", "surprise", "sadness", "fear", "anger", "disgust", "neutral"),
    # Ekman (1992), "An argument for basic emotions"; the second with neutral, as most face data sets use it.
    "ekman_6": ("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
    "ekman_6_neutral": ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    # Mikels et al. (2005), in the order of EmoSet (Yang et al., ICCV 2023).
    "mikels_8": ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"),
    # MER2023 and MER2024 challenge labels.
    "mer_6": ("neutral", "angry", "happy", "sad", "worried", "surprise"),
    # Emoji Sentiment Ranking (Kralj Novak et al., PLoS ONE 2015) and most sentiment sets.
    "sentiment_3": ("negative", "neutral", "positive"),
}
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
