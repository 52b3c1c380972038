import random

import pytest

from emoreason.completions import Completion, Template, completion_text, normalise_word, parse_completion, parse_confidence, render

FULL = Template(think="free", answer="list", confidence=True)
LABEL = Template(think="free", answer="label")
ANSWER = Template(think="none", answer="label")
WORDS = Template(think="none", answer="list")
TEMPLATES = [Template(think, answer, sure) for think in ("none", "free") for answer in ("none", "label", "list") for sure in (False, True)]


def answers(text, template=WORDS):
    return parse_completion(f"<answer>{text}</answer>", template).answers


def test_a_completion_that_follows_the_template():
    text = "<think> lips up </think>\n<answer>Joy, pride</answer>\n<confidence>0.8</confidence>\n"
    assert parse_completion(text, FULL) == Completion("lips up", ["joy", "pride"], 0.8, [])


def test_tags_in_capitals_and_contents_on_their_own_lines_are_fine():
    assert parse_completion("<Think>\nlips up\n</Think>\n<ANSWER>\njoy\n</ANSWER>", LABEL) == Completion("lips up", ["joy"], None, [])


def test_a_template_without_tags_holds_no_text():
    nothing = Template(think="none", answer="none")
    assert parse_completion(" \n", nothing).problems == []
    assert parse_completion("joy", nothing).problems == ["text outside the tags"]


@pytest.mark.parametrize(
    ("text", "template", "problems"),
    [
        ("", ANSWER, ["<answer> is missing"]),
        ("joy</answer>", ANSWER, ["<answer> is missing"]),
        ("<answer>joy", ANSWER, ["<answer> is not closed; cut off?"]),
        ("<answer>joy</answer><answer>fear</answer>", ANSWER, ["<answer> stands 2 times"]),
        ("<answer>joy</answer></answer></answer>", ANSWER, ["<answer> stands 3 times"]),
        ("<think>x</think><answer>joy</answer>", ANSWER, ["<think> is not part of the template"]),
        ("<answer>joy</answer><confidence>1</confidence>", ANSWER, ["<confidence> is not part of the template"]),
        ("so <answer>joy</answer>", ANSWER, ["text outside the tags"]),
        ("<answer>joy</answer> so", ANSWER, ["text outside the tags"]),
        ("< answer>joy</ answer>", ANSWER, ["<answer> is missing"]),
        (
            "<answer>joy</answer><think>x</think>",
            LABEL,
            ["the tags are out of order; accepted: <think></think><answer></answer>"],
        ),
        (
            "<think>x<answer>joy</answer></think>",
            LABEL,
            ["the tags are out of order; accepted: <think></think><answer></answer>"],
        ),
        ("<think> \n</think><answer>joy</answer>", LABEL, ["<think> is empty"]),
        ("<answer></answer>", ANSWER, ["<answer> is empty"]),
        ("<answer> ., </answer>", ANSWER, ["<answer> is empty"]),
        ("<answer>joy, , pride</answer>", WORDS, ["<answer> has an empty item"]),
        ("<answer>joy,</answer>", WORDS, ["<answer> has an empty item"]),
        ("<answer>joy, fear</answer>", ANSWER, ["<answer> names 2 labels where one is asked: joy, fear"]),
        ("<answer>joy and fear</answer>", ANSWER, ["<answer> names 2 labels where one is asked: joy, fear"]),
        (
            "<think>x</think><answer>joy</answer><confidence>high</confidence>",
            FULL,
            ["<confidence> holds 'high', not a number from 0 to 1"],
        ),
        ("<think>x</think><answer>joy</answer><confidence></confidence>", FULL, ["<confidence> holds '', not a number from 0 to 1"]),
        ("<think>x", FULL, ["<think> is not closed; cut off?", "<answer> is missing", "<confidence> is missing"]),
    ],
)
def test_every_problem_is_named(text, template, problems):
    assert parse_completion(text, template).problems == problems


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("<answer>joy</answer><answer>fear</answer>", "fear"),
        ("<answer>joy<answer>fear</answer>", "fear"),
        ("<answer>joy</answer></answer>", "joy"),
        ("<answer>joy</answer><answer>fear", "joy"),
        ("</answer><answer>joy</answer>", "joy"),
        ("<think>unclosed <answer>joy</answer>", "joy"),
        ("<think>a</think>so<answer>joy</answer>then", "joy"),
        ("<answer>joy", None),
        ("joy</answer>", None),
        ("</answer>joy<answer>", None),
        ("joy", None),
    ],
)
def test_the_last_complete_answer_counts_in_a_broken_text(text, label):
    parsed = parse_completion(text, LABEL)
    assert parsed.label == label
    assert parsed.problems


def test_each_part_is_read_although_another_is_broken():
    parsed = parse_completion("<think>lips up<answer>joy, fear</answer><confidence>0.7</confidence>", FULL)
    assert (parsed.think, parsed.answers, parsed.confidence) == (None, ["joy", "fear"], 0.7)
    assert parse_completion("<think>lips up</think><confidence>0.7</confidence>", FULL).confidence == 0.7


def test_parts_that_the_template_lacks_are_not_read():
    parsed = parse_completion("<think>x</think><answer>joy</answer><confidence>0.7</confidence>", ANSWER)
    assert (parsed.think, parsed.answers, parsed.confidence) == (None, ["joy"], None)


def test_letters_that_grow_in_lower_case_do_not_shift_the_answer():
    # the lower case of a capital I with a dot is two characters
    text = "<think>İİİİ İstanbul</think><answer>joy</answer><confidence>0.8</confidence>"
    assert parse_completion(text, FULL) == Completion("İİİİ İstanbul", ["joy"], 0.8, [])


def test_letters_that_only_fold_to_those_of_a_tag_make_no_tag():
    text = "<think>an <an\u017fwer> and a </thin\u212a></think><answer>joy</answer>"  # long s; Kelvin sign
    assert parse_completion(text, LABEL).problems == []
    assert parse_completion("<an\u017fwer>joy</an\u017fwer>", ANSWER).answers == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("joy, pride", ["joy", "pride"]),
        ("joy and pride", ["joy", "pride"]),
        ("Joy AND Pride", ["joy", "pride"]),
        ("joy, pride, and love", ["joy", "pride", "love"]),
        ("joy;pride/love", ["joy", "pride", "love"]),
        ("joy\npride", ["joy", "pride"]),
        ("joy,\npride\n\nlove", ["joy", "pride", "love"]),
        ("- joy\n- awe-struck", ["joy", "awe-struck"]),
        ("joy, Joy., JOY", ["joy"]),
        ("pride, joy, pride", ["pride", "joy"]),
        ("awe  struck, sand", ["awe struck", "sand"]),
    ],
)
def test_a_list_of_words(text, found):
    assert parse_completion(f"<answer>{text}</answer>", WORDS) == Completion(None, found, None, [])


def test_a_label_may_have_two_words_and_its_last_word_may_hold_and():
    assert answers("awe struck", ANSWER) == ["awe struck"]
    assert answers("grand", ANSWER) == ["grand"]
    assert answers("joy, Joy", ANSWER) == ["joy"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("Joy.", "joy"), ("  AWE \n struck ", "awe struck"), ("**joy**", "joy"), ('"joy"', "joy"), ("“joy”", "joy"), ("(joy)", "joy"),
     ("- joy", "joy"), ("awe-struck", "awe-struck"), ("don't know", "don't know"), ("?!", ""), ("", "")],
)
def test_normalise_word(text, word):
    assert normalise_word(text) == word
    assert normalise_word(word) == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.85", 0.85),
        (".85", 0.85),
        ("0,85", 0.85),
        (" 0.85\n", 0.85),
        ("85%", 0.85),
        ("85 %", 0.85),
        ("85.5%", 0.855),
        ("8/10", 0.8),
        ("8 / 10", 0.8),
        ("8.5/10", 0.85),
        ("0", 0.0),
        ("1", 1.0),
        ("1.00", 1.0),
        ("100%", 1.0),
        ("10/10", 1.0),
        ("1.5", None),
        ("85", None),
        ("101%", None),
        ("11/10", None),
        ("0/0", None),
        ("8%/10", None),
        ("-0.5", None),
        ("+0.5", None),
        ("1e-1", None),
        ("nan", None),
        ("inf", None),
        ("high", None),
        ("0.8 or 0.2", None),
        ("about 0.8", None),
        ("0.8.1", None),
        ("%", None),
        (".", None),
        ("", None),
        ("9" * 5000, None),
        ("9" * 5000 + "/" + "9" * 5000, None),
        ("1/" + "9" * 400, 0.0),
    ],
)
def test_spellings_of_confidence(text, value):
    assert parse_confidence(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_rendered_is_read_back(template):
    words = ["awe struck"] if template.answer == "label" else ["awe struck", "joy"]
    expected = Completion(
        think="lips up" if template.think == "free" else None,
        answers=words if template.answer != "none" else [],
        confidence=0.85 if template.confidence else None,
    )
    assert parse_completion(render(template, "lips up", words, 0.85), template) == expected


def test_render_writes_two_decimals_and_leaves_out_what_is_not_asked():
    assert render(FULL, "lips up", ["joy", "awe"], 0.5) == "<think>lips up</think><answer>joy, awe</answer><confidence>0.50</confidence>"
    assert render(ANSWER, "lips up", ["joy"], 0.5) == "<answer>joy</answer>"


TAG_PIECES = ["<think>", "</think>", "<answer>", "</answer>", "<confidence>", "</confidence>", "<THINK>", "</Answer>"]
TEXT_PIECES = ["joy", "Joy.", "awe struck", "joy, pride", "fear; fear", "0.5", "90%", "7/0", "1e9", ",", " ", "\n", "<", "</", "<b>",
               "\u0130", "\u017f", "\u212a", "\x00", "\ud800"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_tag_soup_never_raises_and_a_clean_text_is_complete(template):
    draw = random.Random(0)
    num_clean = 0
    for _ in range(3000):
        if draw.random() < 0.5:
            text = "".join(draw.choices(TAG_PIECES + TEXT_PIECES, k=draw.randrange(12)))
        else:  # the template's own tags, since chance alone hardly ever makes a clean text
            text = "".join(f"<{tag}>{''.join(draw.choices(TEXT_PIECES, k=draw.randrange(4)))}</{tag}>" for tag in template.tags)
        parsed = parse_completion(text, template)
        assert parsed.confidence is None or 0.0 <= parsed.confidence <= 1.0
        assert len(set(parsed.answers)) == len(parsed.answers)
        assert all(word and word == normalise_word(word) for word in parsed.answers)
        assert template.answer != "label" or len(parsed.answers) <= 1
        if parsed.problems:
            continue
        num_clean += 1
        assert bool(parsed.think) == (template.think == "free")
        assert bool(parsed.answers) == (template.answer != "none")
        assert (parsed.confidence is not None) == template.confidence
        again = parse_completion(render(template, parsed.think or "", parsed.answers, parsed.confidence), template)
        assert (again.think, again.answers, again.problems) == (parsed.think, parsed.answers, [])
        assert again.confidence == pytest.approx(parsed.confidence, abs=0.005)
    assert num_clean > 10


def test_completion_text_of_each_form_that_trl_hands_over():
    assert completion_text("joy") == "joy"
    assert completion_text([{"role": "assistant", "content": "joy"}]) == "joy"
    assert completion_text([{"role": "assistant", "content": [{"type": "text", "text": "jo"}, {"type": "text", "text": "y"}]}]) == "joy"
    assert completion_text([]) == ""
