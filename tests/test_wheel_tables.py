"""The tables of emotion words and wheels: no contradictions, nothing placed on the wrong side, and room for every label we know."""

import csv
import re
from collections import Counter
from graphlib import TopologicalSorter
from importlib.resources import files

import pytest

from emoreason.completions import Template, parse_completion
from emoreason.emotions import LABEL_SPACES

DEFAULT = ("parrott", "plutchik", "ekman", "goemotions", "willcox")
ALL = (*DEFAULT, "geneva", "earl")


def read(name: str) -> list[dict[str, str]]:
    text = (files("emoreason") / "tables" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def listed(cell: str) -> list[str]:
    return cell.split(";") if cell else []


WORDS = read("emotion_words.csv")
WHEELS = read("wheels.csv")
FORMS = {row["family"]: listed(row["forms"]) for row in WORDS}
NEAR = {row["family"]: listed(row["near"]) for row in WORDS}
FAMILY = {form: family for family, forms in FORMS.items() for form in (family, *forms)}
CELLS = {wheel: {row["word"]: (row["inner"], row["middle"]) for row in WHEELS if row["wheel"] == wheel} for wheel in ALL}

POSITIVE, NEGATIVE, UNSIGNED = 1, -1, 0
SIGNS = {
    "parrott": {"love": 1, "joy": 1, "surprise": 0, "anger": -1, "sadness": -1, "fear": -1},
    "plutchik": {"joy": 1, "trust": 1, "fear": -1, "surprise": 0, "sadness": -1, "disgust": -1, "anger": -1, "anticipation": 0},
    "ekman": {"enjoyment": 1, "sadness": -1, "disgust": -1, "fear": -1, "anger": -1, "surprise": 0, "contempt": -1},
    "goemotions": {"joy": 1, "anger": -1, "disgust": -1, "fear": -1, "sadness": -1, "surprise": 0},
    "willcox": {"joyful": 1, "powerful": 1, "peaceful": 1, "mad": -1, "sad": -1, "scared": -1, "disgusted": -1, "surprised": 0},
    "geneva": {"high control positive": 1, "low control positive": 1, "low control negative": -1, "high control negative": -1},
    "earl": {
        "positive and lively": 1, "caring": 1, "positive thoughts": 1, "quiet positive": 1, "reactive": 0, "agitation": 0,
        "negative and forceful": -1, "negative and not in control": -1, "negative thoughts": -1, "negative and passive": -1,
    },
}  # fmt: skip

CLEARLY_POSITIVE = """
happy joyful delighted cheerful glad ecstatic elated blissful euphoric jubilant amused playful merry content satisfied fulfilled pleased
relaxed calm serene peaceful comfortable relieved reassured hopeful optimistic encouraged confident brave determined proud triumphant
empowered grateful thankful appreciative loving affectionate tender caring compassionate warm-hearted kindly friendly trusting accepting
approving admiring respectful inspired enthusiastic excited thrilled eager passionate exuberant lively lighthearted enchanted fascinated
infatuated adoring exhilarated humorous
""".split()
CLEARLY_NEGATIVE = """
sad unhappy sorrowful grieving mournful heartbroken devastated miserable melancholic gloomy dejected depressed despairing hopeless
anguished hurt distressed upset disappointed disillusioned dissatisfied discouraged helpless lonely rejected guilty remorseful regretful
ashamed humiliated embarrassed bored angry furious enraged outraged indignant exasperated frustrated annoyed irritated grumpy resentful
bitter aggrieved hostile aggressive hateful spiteful vindictive jealous envious contemptuous disdainful sarcastic arrogant greedy
disgusted revolted nauseated afraid terrified horrified panicked dreading anxious worried nervous stressed uneasy insecure suspicious
""".split()

ANGER = ("anger", "anger", "anger", "anger", "mad")
FEAR = ("fear", "fear", "fear", "fear", "scared")
JOY = ("joy", "joy", "enjoyment", "joy", "joyful")
SADNESS = ("sadness", "sadness", "sadness", "sadness", "sad")
DISGUST = ("anger", "disgust", "disgust", "disgust", "disgusted")
SURPRISE = ("surprise", "surprise", "surprise", "surprise", "surprised")
EXPECTED = {
    **dict.fromkeys(("angry", "furious", "enraged", "outraged", "irritated", "frustrated", "resentful", "livid", "hostile"), ANGER),
    **dict.fromkeys(("afraid", "terrified", "frightened", "panicking", "anxious", "worried", "nervous", "dread", "uneasy"), FEAR),
    **dict.fromkeys(("happy", "delighted", "cheerful", "ecstatic", "amused", "excited", "thrilled"), JOY),
    **dict.fromkeys(("sad", "heartbroken", "heart broken", "grieving", "sorrowful", "depressed", "miserable", "gloomy", "lonely"), SADNESS),
    **dict.fromkeys(("disgusted", "revolted", "repulsed", "nauseated", "grossed out"), DISGUST),
    **dict.fromkeys(("surprised", "astonished", "amazed", "startled", "dumbfounded"), SURPRISE),
    "grateful": ("joy", "joy", "enjoyment", "joy", "peaceful"),
    "proud": ("joy", "joy", "enjoyment", "joy", "powerful"),
    "jealous": ANGER,
    "ashamed": ("sadness", "fear", "sadness", "sadness", "sad"),
    "guilty": ("sadness", "fear", "sadness", "sadness", "sad"),
    "loving": ("love", "joy", "enjoyment", "joy", "peaceful"),
    "hopeful": ("joy", "anticipation", "enjoyment", "joy", "joyful"),
    "trusting": ("love", "trust", "enjoyment", "joy", "peaceful"),
    "calm": ("joy", "joy", "enjoyment", "joy", "peaceful"),
    "contemptuous": ("anger", "disgust", "contempt", "disgust", "disgusted"),
    "disappointed": SADNESS,
    "helpless": ("sadness", "sadness", "sadness", "sadness", "scared"),
}

# The labels of published sets, whether or not `LABEL_SPACES` has the set.
LABELS = re.split(
    r";\s+",
    """
anger; disgust; fear; happiness; sadness; surprise; contempt; neutral; joy; trust; anticipation; serenity; acceptance; apprehension;
distraction; pensiveness; boredom; annoyance; interest; ecstasy; admiration; terror; amazement; grief; loathing; rage; vigilance; love; awe;
disapproval; remorse; aggressiveness; optimism; guilt; curiosity; despair; unbelief; envy; cynicism; pride; hope; delight; sentimentality;
shame; outrage; pessimism; morbidness; anxiety; amusement; contentment; excitement; affection; aversion; confidence; disconnection;
disquietment; doubt/confusion; embarrassment; engagement; esteem; fatigue; pain; peace; pleasure; sensitivity; suffering; sympathy;
yearning; approval; caring; confusion; desire; disappointment; gratitude; nervousness; realization; relief; worried; angry; happy; sad;
helplessness; helpless; disappointed; anxious; doubt; calm; fearful; disgusted; surprised; pleased; grateful; tense; hesitant; sarcastic;
concerned; resigned; indifferent; aggrieved; wronged; nervous; impatient; dissatisfied; confused; expectant; relaxed; serious; flustered; touched;
moved; shy; curious; confident; determined; encouraging; gloating; frustrated; excited; mad; scared; joyful; powerful; peaceful; adoration;
aesthetic appreciation; awkwardness; calmness; craving; empathic pain; entrancement; horror; nostalgia; romance; satisfaction; sexual desire
""".strip(),
)
# webemo_25 keeps the typos of its files.
NO_EMOTION_WORDS = (
    "sentiment", "compound", "verdict", "sarcasm", "humor", "humour", "intent", "c_expr", "webemo_25", "fgmsa", "yes_no", "true_false",
)  # fmt: skip

OUTSIDE = {
    "indifference", "nonchalance", "distraction", "detachment", "aloofness", "disconnection", "fatigue", "weariness", "exhaustion",
    "sleepiness", "lethargy", "seriousness", "solemnity", "thoughtfulness", "introspection", "contemplation",
}  # fmt: skip


def family_of(word: str) -> str:
    return FAMILY[word.replace("-", " ").replace("_", " ")]


def cell(word: str, wheel: str) -> tuple[str, str] | None:
    """(inner, middle) of the word's family, else of the first family breadth-first along `near`."""
    queue = [family_of(word)]
    for family in queue:
        if family in CELLS[wheel]:
            return CELLS[wheel][family]
        queue += [near for near in NEAR[family] if near not in queue]
    return None


def test_there_are_enough_words():
    assert len(WORDS) == len(FORMS) >= 420
    assert len(FAMILY) >= 2600


def test_a_form_belongs_to_one_family():
    forms = Counter(form for family, forms in FORMS.items() for form in (family, *forms))
    assert [form for form, count in forms.items() if count > 1] == []


def test_forms_are_spelled_as_they_are_looked_up():
    assert [form for form in FAMILY if not re.fullmatch(r"[a-zé]+(?:'[a-z]*)?(?:[ /][a-zé]+(?:'[a-z]*)?)*", form)] == []


@pytest.mark.parametrize("word", ["blue", "down", "low", "like", "interesting", "sorry", "cold", "cross", "dominance", "arousal"])
def test_words_that_mostly_mean_something_else_are_left_out(word):
    assert word not in FAMILY


@pytest.mark.parametrize(
    ("one", "other"),
    [("sceptical", "skeptical"), ("humour", "humor"), ("enamoured", "enamored"), ("traumatised", "traumatized"),
     ("fulfilment", "fulfillment"), ("heart broken", "heartbroken"), ("sombre", "somber"), ("stressed out", "stress"),
     ("fed up", "exasperated"), ("on edge", "edgy")],
)  # fmt: skip
def test_spellings_and_phrases_meet(one, other):
    assert family_of(one) == family_of(other)


def test_near_links_lead_to_families_and_never_in_a_circle():
    assert {near for nears in NEAR.values() for near in nears} <= set(NEAR)
    assert max(len(nears) for nears in NEAR.values()) == 2
    assert len(list(TopologicalSorter(NEAR).static_order())) == len(NEAR)


def test_neutral_reaches_nothing_and_nothing_reaches_neutral():
    assert NEAR["neutral"] == []
    assert not any("neutral" in nears for nears in NEAR.values())
    assert {"emotionless", "impassive", "expressionless", "no emotion", "blank expression"} <= set(FORMS["neutral"])
    for wheel in ALL:
        assert [word for word, (inner, _) in CELLS[wheel].items() if inner == "neutral"] == ["neutral"]
        assert CELLS[wheel]["neutral"] == ("neutral", "neutral")


def test_the_default_wheels_come_first():
    assert tuple(dict.fromkeys(row["wheel"] for row in WHEELS)) == ALL


@pytest.mark.parametrize("wheel", ALL)
def test_a_wheel_holds_each_word_once_and_only_families(wheel):
    words = [row["word"] for row in WHEELS if row["wheel"] == wheel]
    assert len(words) == len(set(words))
    assert set(words) <= set(FORMS)


@pytest.mark.parametrize("wheel", ALL)
def test_a_middle_class_lies_in_one_inner_class(wheel):
    pairs = set(CELLS[wheel].values())
    assert len(pairs) == len({middle for _, middle in pairs})
    assert 5 <= len({inner for inner, _ in pairs}) <= 11
    assert {inner for inner, _ in pairs} == {*SIGNS[wheel], "neutral"}


@pytest.mark.parametrize("wheel", DEFAULT)
def test_nearly_every_family_stands_on_each_default_wheel(wheel):
    outside = {family for family in FORMS if cell(family, wheel) is None}
    assert 1 - len(outside) / len(FORMS) >= 0.9
    # The rest are states that are no shade of a basic emotion; some wheels have a few of them.
    assert outside <= OUTSIDE


def test_parrott_has_none_of_the_states_outside_of_the_basic_emotions():
    assert {family for family in FORMS if cell(family, "parrott") is None} == OUTSIDE


@pytest.mark.parametrize("label", LABELS)
def test_labels_of_published_sets_are_forms(label):
    assert label in FAMILY


@pytest.mark.parametrize("space", [space for space in LABEL_SPACES if not any(kind in space for kind in NO_EMOTION_WORDS)])
def test_labels_of_our_label_spaces_are_forms(space):
    labels = {label.lower().replace("_", " ").replace("-", " ") for label in LABEL_SPACES[space]}
    assert labels - {"something else", "other"} <= set(FAMILY)


@pytest.mark.parametrize("wheel", ALL)
def test_no_word_is_on_the_side_of_its_opposite(wheel):
    signs = {**SIGNS[wheel], "neutral": UNSIGNED}
    for words, opposite in [(CLEARLY_POSITIVE, NEGATIVE), (CLEARLY_NEGATIVE, POSITIVE)]:
        assert len(words) >= 60
        found = {word: cell(word, wheel) for word in words}
        assert {word: place for word, place in found.items() if place and signs[place[0]] == opposite} == {}


@pytest.mark.parametrize(("word", "inner"), EXPECTED.items())
def test_words_stand_where_most_people_put_them(word, inner):
    assert tuple(cell(word, wheel)[0] for wheel in DEFAULT) == inner


@pytest.mark.parametrize("word", ["disgusted", "revolted", "repulsed", "nauseated"])
def test_parrott_keeps_disgust_apart_on_the_middle_ring(word):
    assert cell(word, "parrott") == ("anger", "disgust")


@pytest.mark.parametrize(
    ("word", "wheel", "middle"),
    [("fright", "parrott", "horror"), ("euphoric", "plutchik", "ecstasy"), ("furious", "plutchik", "rage"),
     ("annoyed", "plutchik", "annoyance"), ("peaceful", "plutchik", "serenity"), ("worried", "goemotions", "nervousness"),
     ("irritated", "goemotions", "annoyance"),
     ("calm", "ekman", "peace"), ("bereaved", "ekman", "grief"), ("worried", "willcox", "anxious"), ("empathy", "geneva", "compassion"),
     ("tranquil", "earl", "serenity")],
)  # fmt: skip
def test_shades_stand_beside_their_nearest_word(word, wheel, middle):
    assert cell(word, wheel)[1] == middle


def test_every_form_can_be_an_answer():
    template = Template(think="none", answer="list")
    assert [form for form in FAMILY if parse_completion(f"<answer>{form}</answer>", template).answers != [form]] == []
