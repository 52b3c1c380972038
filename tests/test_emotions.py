"""The label spaces hold what the parser can return, with the data sets' orders and numbers; a label is never merged with another."""

import re

import pytest

from emoreason.completions import Template, parse_completion, render
from emoreason.emotions import (
    _WORD_FAMILIES,
    CODE_MAPS,
    INDEX_MAPS,
    LABEL_FORMS,
    LABEL_SPACES,
    OPEN_VOCABULARY,
    POLARITY,
    index_from_label,
    label_from_code,
    label_from_index,
    label_problem,
    normalise_label,
)
from emoreason.faults import UserError


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_every_label_survives_being_written_and_read(space: str) -> None:
    labels = LABEL_SPACES[space]
    assert len(set(labels)) == len(labels) > 1
    template = Template()
    for label in labels:
        assert parse_completion(render(template, "seen", [label]), template).answers == [label]
        assert label_problem(label, space) is None


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_the_name_says_how_many_classes_there_are(space: str) -> None:
    number, added = re.fullmatch(r"[a-z][a-z0-9_]*?_(\d+)((?:_[a-z]+)*)", space).groups()
    assert len(LABEL_SPACES[space]) == int(number) + added.count("_")


def test_the_open_vocabulary_takes_any_word_and_is_no_label_space() -> None:
    assert label_problem("bittersweet longing", OPEN_VOCABULARY) is None
    assert OPEN_VOCABULARY not in LABEL_SPACES


@pytest.mark.parametrize(
    ("label", "space", "expected"),
    [
        ("angr", "ekman_6", "label 'angr' is not in ekman_6; did you mean 'anger'?"),
        ("Anger", "ekman_6", "label 'Anger' is not in ekman_6; did you mean 'anger'?"),
        ("xyz", "sentiment_3", "label 'xyz' is not in sentiment_3; accepted: negative, neutral, positive"),
        ("anger", "ekman6", "unknown label space 'ekman6'; did you mean 'ekman_6'?"),
        ("joy", "opn", "unknown label space 'opn'; did you mean 'open'?"),
    ],
)
def test_a_wrong_label_is_explained(label: str, space: str, expected: str) -> None:
    assert label_problem(label, space) == expected


def test_polarities_are_sentiments_of_known_labels() -> None:
    assert set(POLARITY.values()) == set(LABEL_SPACES["sentiment_3"])
    assert set(POLARITY) == set(LABEL_SPACES["shaver_6_disgust_neutral"]) - {"surprise"}


@pytest.mark.parametrize(
    ("space", "labels"),
    [
        ("mer_6", "neutral angry happy sad worried surprise"),
        ("merr_9", "neutral angry happy sad worried surprise fear contempt doubt"),
        ("dfew_7", "happy sad neutral angry surprise disgust fear"),
        ("mafw_11", "anger disgust fear happiness neutral sadness surprise contempt anxiety helplessness disappointment"),
        ("ravdess_8", "neutral calm happy sad angry fearful disgust surprised"),
        ("affectnet_8", "neutral happy sad surprise fear disgust anger contempt"),
        ("raf_db_7", "surprise fear disgust happiness sadness anger neutral"),
        ("fer2013_7", "angry disgust fear happy sad surprise neutral"),
        ("fer_plus_8", "neutral happiness surprise sadness anger disgust fear contempt"),
        ("mikels_8", "amusement awe contentment excitement anger disgust fear sadness"),
        ("iemocap_4", "happy sad neutral anger"),
        ("unbiased_emo_6", "anger fear joy love sadness surprise"),
    ],
)
def test_orders_of_the_data_sets(space: str, labels: str) -> None:
    assert list(LABEL_SPACES[space]) == labels.split()


def test_large_spaces_keep_their_places() -> None:
    """A label that is lost or swapped moves these."""
    goemotions, emotic, cowen, webemo = (LABEL_SPACES[name] for name in ("goemotions_28", "emotic_26", "cowen_keltner_27", "webemo_25"))
    assert [goemotions[place] for place in (0, 2, 14, 17, 25, 27)] == ["admiration", "anger", "fear", "joy", "sadness", "neutral"]
    assert [emotic[place] for place in (0, 8, 9, 16, 25)] == ["affection", "disquietment", "doubt/confusion", "happiness", "yearning"]
    assert [cowen[place] for place in (2, 6, 13, 25)] == ["aesthetic appreciation", "awe", "empathic pain", "sexual desire"]
    assert [webemo[place] for place in (1, 11, 24)] == ["cheerfullness", "irritabilty", "zest"]
    assert all(list(labels) == sorted(labels) for labels in (goemotions[:-1], emotic, cowen, webemo))


def test_spaces_that_contain_each_other() -> None:
    assert LABEL_SPACES["affectnet_8"][:7] == LABEL_SPACES["affectnet_7"]
    assert LABEL_SPACES["ravdess_8"][:6] == LABEL_SPACES["ravdess_song_6"]
    assert LABEL_SPACES["artemis_9"] == (*LABEL_SPACES["mikels_8"], "something else")
    assert set(LABEL_SPACES["c_expr_7"]) < set(LABEL_SPACES["raf_db_compound_11"])
    assert set(LABEL_SPACES["fgmsa_5"]) == set(LABEL_SPACES["sentiment_5"])
    assert set(LABEL_SPACES["iemocap_4"]) < set(LABEL_SPACES["iemocap_6"]) < set(LABEL_SPACES["iemocap_10"])
    assert set(LABEL_SPACES["ekman_7"]) | set(LABEL_SPACES["ekman_6_neutral"]) == set(LABEL_SPACES["ekman_8"])


@pytest.mark.parametrize(
    ("index_map", "index", "label"),
    [
        ("dfew_7", 1, "happy"),
        ("dfew_7", 7, "fear"),
        ("mafw_11", 1, "anger"),
        ("mafw_11", 11, "disappointment"),
        ("raf_db_7", 1, "surprise"),
        ("raf_db_7", 7, "neutral"),
        ("raf_db_compound_11", 1, "happily surprised"),
        ("raf_db_compound_11", 8, "fearfully surprised"),
        ("c_expr_7", 0, "fearfully surprised"),
        ("c_expr_7", 6, "sadly angry"),
        ("affectnet_8", 0, "neutral"),
        ("affectnet_8", 7, "contempt"),
        ("affectnet_8_folders", 0, "anger"),
        ("affectnet_8_folders", 1, "contempt"),
        ("affectnet_7_folders", 1, "disgust"),
        ("fer2013_7", 4, "sad"),
        ("fer2013_7_folders", 4, "neutral"),
        ("fer_plus_8", 1, "happiness"),
        ("meld_7_mertools", 0, "anger"),
        ("meld_7_mertools", 3, "neutral"),
        ("meld_7_conv_emotion", 0, "neutral"),
        ("meld_7_conv_emotion", 6, "anger"),
        ("iemocap_4_mertools", 0, "happy"),
        ("iemocap_6_conv_emotion", 5, "frustrated"),
        ("mikels_8_emoset", 3, "excitement"),
        ("sentiment_2_emoset", 0, "positive"),
        ("ravdess_8", 1, "neutral"),
        ("ravdess_8", 8, "surprised"),
        ("goemotions_28", 27, "neutral"),
    ],
)
def test_numbers_of_the_files(index_map: str, index: int, label: str) -> None:
    assert label_from_index(index, index_map) == label
    assert index_from_label(label, index_map) == index


@pytest.mark.parametrize("index_map", INDEX_MAPS)
def test_a_map_numbers_its_whole_label_space_without_gaps(index_map: str) -> None:
    space = next(name for name in sorted(LABEL_SPACES, key=len, reverse=True) if f"{index_map}_".startswith(f"{name}_"))
    numbers = INDEX_MAPS[index_map]
    assert sorted(numbers.values()) == sorted(LABEL_SPACES[space])
    assert list(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))
    assert min(numbers) in (0, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("affectnet_8", "affectnet_8_folders"),
        ("affectnet_7", "affectnet_7_folders"),
        ("fer2013_7", "fer2013_7_folders"),
        ("meld_7_mertools", "meld_7_conv_emotion"),
    ],
)
def test_mirrors_number_the_same_classes_differently(one: str, other: str) -> None:
    assert set(INDEX_MAPS[one].values()) == set(INDEX_MAPS[other].values())
    assert INDEX_MAPS[one] != INDEX_MAPS[other]


def test_codes_stand_for_labels_of_their_space() -> None:
    for space, codes in CODE_MAPS.items():
        assert set(codes.values()) == set(LABEL_SPACES[space])
        assert len(codes) == len(LABEL_SPACES[space])
    assert [label_from_code(code, "crema_d_6") for code in ("ANG", "HAP", "SAD")] == ["anger", "happy", "sad"]
    assert [label_from_code(code, "iemocap_10") for code in ("exc", "fru", "oth")] == ["excited", "frustrated", "other"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: label_from_index(0, "sentiment_2"), "unknown index map 'sentiment_2'; did you mean 'sentiment_2_emoset'?"),
        (lambda: label_from_index(2, "sentiment_2_emoset"), "sentiment_2_emoset has no 2; accepted: 0 (positive), 1 (negative)"),
        (lambda: label_from_index("1", "sentiment_2_emoset"), "sentiment_2_emoset has no '1'; accepted: 0 (positive), 1 (negative)"),
        (lambda: index_from_label("joy", "sentiment_2_emoset"), "sentiment_2_emoset has no 'joy'; accepted: positive (0), negative (1)"),
        (lambda: index_from_label("joy", "dfew"), "unknown index map 'dfew'; did you mean 'dfew_7'?"),
        (lambda: label_from_code("ANG", "crema_d"), "unknown code map 'crema_d'; did you mean 'crema_d_6'?"),
    ],
)
def test_a_wrong_number_or_map_is_explained(call, message: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(("index", "index_map"), [(0, "dfew_7"), (8, "dfew_7"), (8, "affectnet_8"), (-1, "fer2013_7"), (9, "fer_plus_8")])
def test_numbers_that_are_no_class_are_refused(index: int, index_map: str) -> None:
    with pytest.raises(UserError, match=f"{index_map} has no {index}; accepted"):
        label_from_index(index, index_map)


def test_no_majority_in_iemocap_is_no_class() -> None:
    with pytest.raises(UserError, match="iemocap_10 has no 'xxx'; accepted: neu"):
        label_from_code("xxx", "iemocap_10")


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_every_label_means_itself_however_it_is_written(space: str) -> None:
    for label in LABEL_SPACES[space]:
        spaced = [label.replace(" ", separator) for separator in ("_", "-", "", "  ")]
        for text in (label, label.upper(), f"  {label.title()}.\n", *spaced):
            assert normalise_label(text, space) == label


@pytest.mark.parametrize("space", LABEL_SPACES)
def test_every_form_means_one_label_and_is_none_itself(space: str) -> None:
    for form, label in LABEL_FORMS[space].items():
        assert form not in LABEL_SPACES[space] and label in LABEL_SPACES[space]
        assert normalise_label(form, space) == normalise_label(form.title(), space) == label
    meanings: dict[str, set[str]] = {}
    for text, label in [*LABEL_FORMS[space].items(), *((label, label) for label in LABEL_SPACES[space])]:
        meanings.setdefault(re.sub(r"[\W_]", "", text.lower()), set()).add(label)
    assert all(len(labels) == 1 for labels in meanings.values())


def test_a_word_is_in_one_family_only() -> None:
    words = [word for family in _WORD_FAMILIES for word in family]
    assert len(words) == len(set(words))
    assert all(len(family) > 1 for family in _WORD_FAMILIES)


@pytest.mark.parametrize(
    ("text", "space", "label"),
    [
        ("angry", "ekman_6", "anger"),
        ("anger", "mer_6", "angry"),
        ("joy", "dfew_7", "happy"),
        ("Happiness", "dfew_7", "happy"),
        ("happy", "meld_7", "joy"),
        ("joy", "ekman_6", "happiness"),
        ("worry", "mer_6", "worried"),
        ("surprise", "ravdess_8", "surprised"),
        ("fear", "ravdess_8", "fearful"),
        ("Anxious", "mafw_11", "anxiety"),
        ("sad", "mikels_8", "sadness"),
        ("content", "mikels_8", "contentment"),
        ("Doubt/Confusion", "emotic_26", "doubt/confusion"),
        ("Doubt / Confusion", "emotic_26", "doubt/confusion"),
        ("Doubt_Confusion", "emotic_26", "doubt/confusion"),
        ("Disquitement", "emotic_26", "disquietment"),
        ("Disquiet", "emotic_26", "disquietment"),
        ("Happily_Surprised", "raf_db_compound_11", "happily surprised"),
        ("Aesthetic Appreciation", "cowen_keltner_27", "aesthetic appreciation"),
        ("Awe (or Wonder)", "cowen_keltner_27", "awe"),
        ("cheerfulness", "webemo_25", "cheerfullness"),
        ("Something Else", "artemis_9", "something else"),
        ("“Sadness”", "ekman_6", "sadness"),
        ("Weak-Negative", "fgmsa_5", "weak negative"),
        ("Yes", "verdict_2", "correct"),
        ("Incorrect.", "verdict_2", "incorrect"),
    ],
)
def test_texts_that_mean_a_label(text: str, space: str, label: str) -> None:
    assert normalise_label(text, space) == label


@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("calm", "dfew_7"),  # not neutral
        ("calm", "ekman_6_neutral"),
        ("worried", "ekman_6"),  # not fear
        ("worried", "mafw_11"),  # not anxiety
        ("anxious", "mer_6"),  # not worried
        ("fear", "mer_6"),
        ("mad", "mikels_8"),  # not anger
        ("mad", "ekman_6"),
        ("scared", "ekman_6"),
        ("happiness", "mikels_8"),  # not contentment
        ("joy", "mikels_8"),
        ("happy", "goemotions_28"),  # joy is one of several good feelings there
        ("happiness", "parrott_6"),
        ("joy", "emotic_26"),
        ("excited", "iemocap_4"),
        ("contempt", "affectnet_7"),
        ("something else", "mikels_8"),
        ("surprised happily", "c_expr_7"),
        ("danger", "ekman_6"),
        ("anger, fear", "ekman_6"),
        ("not anger", "ekman_6"),
        ("", "ekman_6"),
        ("...", "ekman_6"),
        ("", OPEN_VOCABULARY),
        (" -_.", OPEN_VOCABULARY),
    ],
)
def test_texts_that_mean_no_label_are_refused(text: str, space: str) -> None:
    with pytest.raises(UserError):
        normalise_label(text, space)


@pytest.mark.parametrize(
    ("text", "space", "message"),
    [
        ("Hapiness", "ekman_6", "label 'Hapiness' is neither in ekman_6 nor a form of a label of it; did you mean 'happiness'?"),
        ("calm", "verdict_2", "label 'calm' is neither in verdict_2 nor a form of a label of it; accepted: correct, incorrect"),
        ("joy", "ekman6", "unknown label space 'ekman6'; did you mean 'ekman_6'?"),
    ],
)
def test_a_refusal_names_near_matches(text: str, space: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        normalise_label(text, space)
    assert str(error.value) == message


def test_the_open_vocabulary_keeps_the_word() -> None:
    assert normalise_label(" Heart-broken,\n", OPEN_VOCABULARY) == "heart-broken"
    assert normalise_label("bittersweet  Longing", OPEN_VOCABULARY) == "bittersweet longing"


@pytest.mark.parametrize("text", ["anger" * 20_000, "-" * 100_000, "a " * 50_000, "\ud800\x00\u202e", "😡", "İ" * 100_000])
def test_hostile_texts_are_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        normalise_label(text, "goemotions_28")
    assert len(str(error.value)) < 1200
