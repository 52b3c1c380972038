"""How emotions relate: Plutchik's circle, Parrott's tree, Russell's quadrants, and what groups and parts of label spaces mean.

Facts of published taxonomies; where no file of the authors was at hand, they are from secondary sources and say so.
"""

# Plutchik (1980), "Emotion: A Psychoevolutionary Synthesis", and (2001), "The Nature of Emotions", American Scientist 89:344. From
# secondary tables, not compared with the papers. {basic: (mild, basic, intense)}, in the order of the circle.
PLUTCHIK_INTENSITIES: dict[str, tuple[str, str, str]] = {
    "joy": ("serenity", "joy", "ecstasy"),
    "trust": ("acceptance", "trust", "admiration"),
    "fear": ("apprehension", "fear", "terror"),
    "surprise": ("distraction", "surprise", "amazement"),
    "sadness": ("pensiveness", "sadness", "grief"),
    "disgust": ("boredom", "disgust", "loathing"),
    "anger": ("annoyance", "anger", "rage"),
    "anticipation": ("interest", "anticipation", "vigilance"),
}
PLUTCHIK_OPPOSITES: dict[str, str] = {
    "joy": "sadness",
    "sadness": "joy",
    "trust": "disgust",
    "disgust": "trust",
    "fear": "anger",
    "anger": "fear",
    "surprise": "anticipation",
    "anticipation": "surprise",
}
# {kind: {dyad: its two basic emotions}}; those of a primary dyad are neighbours, of a secondary one two apart, of a tertiary one three.
PLUTCHIK_DYADS: dict[str, dict[str, tuple[str, str]]] = {
    "primary": {
        "love": ("joy", "trust"),
        "submission": ("trust", "fear"),
        "awe": ("fear", "surprise"),
        "disapproval": ("surprise", "sadness"),
        "remorse": ("sadness", "disgust"),
        "contempt": ("disgust", "anger"),
        "aggressiveness": ("anger", "anticipation"),
        "optimism": ("anticipation", "joy"),
    },
    "secondary": {
        "guilt": ("joy", "fear"),
        "curiosity": ("trust", "surprise"),
        "despair": ("fear", "sadness"),
        "unbelief": ("surprise", "disgust"),
        "envy": ("sadness", "anger"),
        "cynicism": ("disgust", "anticipation"),
        "pride": ("anger", "joy"),
        "hope": ("anticipation", "trust"),
    },
    "tertiary": {
        "delight": ("joy", "surprise"),
        "sentimentality": ("trust", "sadness"),
        "shame": ("fear", "disgust"),
        "outrage": ("surprise", "anger"),
        "pessimism": ("sadness", "anticipation"),
        "morbidness": ("disgust", "joy"),
        "dominance": ("anger", "trust"),
        "anxiety": ("anticipation", "fear"),
    },
}

# {primary: {secondary: its tertiary words}}: the 135 words of Shaver, Schwartz, Kirson & O'Connor (1987), "Emotion knowledge", J Pers Soc
# Psychol 52:1061, as the tree in Parrott (2001), "Emotions in Social Psychology". From secondary tables; some of them write irritability
# for irritation. Disgust stands under anger.
PARROTT_TREE: dict[str, dict[str, tuple[str, ...]]] = {
    primary: {secondary: tuple(words.split()) for secondary, words in branches.items()}
    for primary, branches in {
        "love": {
            "affection": "adoration affection love fondness liking attraction caring tenderness compassion sentimentality",
            "lust": "arousal desire lust passion infatuation",
            "longing": "longing",
        },
        "joy": {
            "cheerfulness": "amusement bliss cheerfulness gaiety glee jolliness joviality joy delight enjoyment gladness happiness "
            "jubilation elation satisfaction ecstasy euphoria",
            "zest": "enthusiasm zeal zest excitement thrill exhilaration",
            "contentment": "contentment pleasure",
            "pride": "pride triumph",
            "optimism": "eagerness hope optimism",
            "enthrallment": "enthrallment rapture",
            "relief": "relief",
        },
        "surprise": {"surprise": "amazement surprise astonishment"},
        "anger": {
            "irritation": "aggravation irritation agitation annoyance grouchiness grumpiness",
            "exasperation": "exasperation frustration",
            "rage": "anger rage outrage fury wrath hostility ferocity bitterness hate loathing scorn spite vengefulness dislike resentment",
            "disgust": "disgust revulsion contempt",
            "envy": "envy jealousy",
            "torment": "torment",
        },
        "sadness": {
            "suffering": "agony suffering hurt anguish",
            "sadness": "depression despair hopelessness gloom glumness sadness unhappiness grief sorrow woe misery melancholy",
            "disappointment": "dismay disappointment displeasure",
            "shame": "guilt shame regret remorse",
            "neglect": "alienation isolation neglect loneliness rejection homesickness defeat dejection insecurity embarrassment "
            "humiliation insult",
            "sympathy": "pity sympathy",
        },
        "fear": {
            "horror": "alarm shock fear fright horror terror panic hysteria mortification",
            "nervousness": "anxiety nervousness tenseness uneasiness apprehension worry distress dread",
        },
    }.items()
}

# {class of goemotions_28: Ekman group}, of the data set's ekman_mapping.json; neutral has none. Its word for happiness is joy.
GOEMOTIONS_TO_EKMAN: dict[str, str] = {
    label: group
    for group, labels in {
        "anger": "anger annoyance disapproval",
        "disgust": "disgust",
        "fear": "fear nervousness",
        "joy": "joy amusement approval excitement gratitude love optimism relief pride admiration desire caring",
        "sadness": "sadness disappointment embarrassment grief remorse",
        "surprise": "surprise realization confusion curiosity",
    }.items()
    for label in labels.split()
}

# {label space: {label: positive, negative or neutral}}, where the data set itself says so.
SENTIMENT_OF: dict[str, dict[str, str]] = {
    # EmoSet's two classes.
    "mikels_8": {
        **dict.fromkeys(("amusement", "awe", "contentment", "excitement"), "positive"),
        **dict.fromkeys(("anger", "disgust", "fear", "sadness"), "negative"),
    },
    # GoEmotions' sentiment_dict.json, which calls realization, surprise, curiosity and confusion ambiguous: they have none here.
    "goemotions_28": {
        **dict.fromkeys(
            "amusement excitement joy love desire optimism caring pride admiration gratitude relief approval".split(), "positive"
        ),
        **dict.fromkeys(
            "fear nervousness remorse embarrassment disappointment sadness grief disgust anger annoyance disapproval".split(), "negative"
        ),
        "neutral": "neutral",
    },
    **{
        name: {"strong negative": "negative", "weak negative": "negative", "neutral": "neutral", "weak positive": "positive",
               "strong positive": "positive"}
        for name in ("sentiment_5", "fgmsa_5")
    },
}  # fmt: skip

# {quadrant: (sign of valence, sign of arousal)} around the middle of their scales. Russell (1980), "A circumplex model of affect".
RUSSELL_QUADRANTS: dict[str, tuple[int, int]] = {"HVHA": (1, 1), "HVLA": (1, -1), "LVHA": (-1, 1), "LVLA": (-1, -1)}

# {compound expression: its two emotions in the words of raf_db_7}: the classes of raf_db_compound_11, seven of which are c_expr_7.
# The categories are those of Du, Tao & Martinez (2014), "Compound facial expressions of emotion", PNAS.
COMPOUND_PARTS: dict[str, tuple[str, str]] = {
    "happily surprised": ("happiness", "surprise"),
    "happily disgusted": ("happiness", "disgust"),
    "sadly fearful": ("sadness", "fear"),
    "sadly angry": ("sadness", "anger"),
    "sadly surprised": ("sadness", "surprise"),
    "sadly disgusted": ("sadness", "disgust"),
    "fearfully angry": ("fear", "anger"),
    "fearfully surprised": ("fear", "surprise"),
    "angrily surprised": ("anger", "surprise"),
    "angrily disgusted": ("anger", "disgust"),
    "disgustedly surprised": ("disgust", "surprise"),
}
