import random

import pytest

from emoreason.completions import (
    SECTIONS,
    Completion,
    Template,
    canonical_answer,
    choice_letter,
    completion_text,
    is_label,
    normalise_word,
    parse_completion,
    parse_confidence,
    read_verdict,
    render,
)

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


EMOCALIBER = Template(think="sections", answer="label", confidence=True, sections=SECTIONS["emocaliber"])
TREE = Template(think="sections", answer="label", sections=SECTIONS["videmo"])


@pytest.mark.parametrize("sections", SECTIONS.values(), ids=SECTIONS)
def test_sections_are_rendered_and_read_back(sections):
    template = Template(think="sections", answer="list", confidence=True, sections=sections)
    texts = {name: f"what {name} shows; and more" for name in sections}
    parsed = parse_completion(render(template, "", ["joy"], 0.7, texts), template)
    assert (parsed.sections, parsed.answers, parsed.confidence, parsed.problems) == (texts, ["joy"], 0.7, [])
    assert list(parsed.sections) == list(sections)


@pytest.mark.parametrize(
    ("think", "sections", "problems"),
    [
        ("<attribute>a</attribute><expression>b</expression><emotion>c</emotion>", {"attribute": "a", "expression": "b", "emotion": "c"}, []),
        ("\n<Attribute>a</ATTRIBUTE> <expression>b</expression>\n<emotion>c</emotion>", {"attribute": "a", "expression": "b", "emotion": "c"}, []),
        ("<attribute>a</attribute><emotion>c</emotion>", {"attribute": "a", "emotion": "c"}, ["<expression> is missing in <think>"]),
        ("<attribute>a</attribute><expression> </expression><emotion>c</emotion>", {"attribute": "a", "emotion": "c"}, ["<expression> is empty"]),
        (
            "<expression>b</expression><attribute>a</attribute><emotion>c</emotion>",
            {"attribute": "a", "expression": "b", "emotion": "c"},
            ["the sections are out of order; accepted: attribute, expression, emotion"],
        ),
        (
            "<attribute>a</attribute><attribute>x</attribute><expression>b</expression><emotion>c</emotion>",
            {"attribute": "a", "expression": "b", "emotion": "c"},
            ["<attribute> stands twice in <think>"],
        ),
        (
            "so <attribute>a</attribute><expression>b</expression><emotion>c</emotion>",
            {"attribute": "a", "expression": "b", "emotion": "c"},
            ["text outside the sections of <think>"],
        ),
        ("a, b, c", {}, ["<attribute> is missing in <think>", "<expression> is missing in <think>", "<emotion> is missing in <think>"]),
        (
            "<attribute>a<expression>b</expression></attribute><emotion>c</emotion>",
            {"expression": "b", "emotion": "c"},
            ["<attribute> is missing in <think>"],
        ),
    ],
)
def test_sections_are_read_as_far_as_they_go(think, sections, problems):
    parsed = parse_completion(f"<think>{think}</think><answer>joy</answer>", TREE)
    assert (parsed.sections, parsed.label, parsed.problems) == (sections, "joy", problems)


def test_a_template_that_cannot_be_is_refused():
    for wrong in ({"think": "sections"}, {"sections": ("a",)}, {"think": "sections", "sections": ("a", "a")},
                  {"think": "sections", "sections": ("answer",)}, {"think": "sections", "sections": ("A b",)}):
        with pytest.raises(ValueError, match="sections"):
            Template(**wrong)
    with pytest.raises(ValueError, match="prefilled"):
        Template(think="none", prefilled=True)


def test_a_prefilled_think_may_be_missing_or_repeated():
    template = Template(think="free", answer="label", prefilled=True)
    expected = Completion("lips up", ["joy"], None, [])
    assert parse_completion("lips up</think><answer>joy</answer>", template) == expected
    assert parse_completion("<think>lips up</think><answer>joy</answer>", template) == expected
    assert parse_completion("\n <THINK>lips up</think><answer>joy</answer>", template) == expected
    assert render(template, "lips up", ["joy"]) == "lips up</think><answer>joy</answer>"
    assert parse_completion("lips up</think><answer>joy</answer>", LABEL).problems == ["<think> is missing"]


def test_what_the_reasoning_quotes_is_no_answer():
    text = "<think>The form is <answer>fear</answer><confidence>0.1</confidence></think>"
    parsed = parse_completion(text, FULL)
    assert (parsed.answers, parsed.confidence) == ([], None)
    assert parse_completion(text + "<answer>joy</answer><confidence>0.8</confidence>", FULL).answers == ["joy"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("B", "b"), ("b", "b"), ("(B)", "b"), ("B.", "b"), ("B) joy", "b"), ("(b) joy, pride", "b"), ("B: joy", "b"), ("The answer is (B)", "b"),
        ("joy", "joy"), ("a smile", "a smile"), ("A wide smile", "a wide smile"), ("A, B", None), ("(A) or (B)", None), ("A and C", None),
        ("", None), ("B, b", "b"),
    ],
)  # fmt: skip
def test_a_choice_is_a_letter_or_a_text(text, answer):
    parsed = parse_completion(f"<answer>{text}</answer>", Template(think="none", answer="choice"))
    assert parsed.label == answer
    assert bool(parsed.problems) == (answer is None)


def test_a_choice_is_found_among_the_choices():
    choices = ["(A) A wide smile", "(B) Crossed arms", "C. Tears"]
    answers_given = ("a", "b", "a wide smile", "tears", "d", "smile", "")
    assert [choice_letter(answer, choices) for answer in answers_given] == ["a", "b", "a", "c", None, None, None]
    assert choice_letter("joy", ["joy", "Joy"]) is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("correct", "correct"), ("Incorrect.", "incorrect"), ("**Yes**", "correct"), ("no", "incorrect"), ("TRUE", "correct"),
     ("not correct", "incorrect"), ("correct, incorrect", None), ("maybe", None), ("", None), ("A", None),
     ("the statement is correct and so on", None)],
)  # fmt: skip
def test_a_verdict_is_one_word(text, verdict):
    parsed = parse_completion(f"<answer>{text}</answer>", Template(think="none", answer="verdict"))
    assert parsed.label == verdict == read_verdict(text)
    assert bool(parsed.problems) == (verdict is None)


@pytest.mark.parametrize("text", ["joy，fear", "joy、fear", "joy；fear"])
def test_full_width_separators_separate(text):
    assert answers(text) == ["joy", "fear"]


def test_a_label_that_holds_a_separator_is_one_label():
    assert answers("Doubt/Confusion", ANSWER) == ["doubt/confusion"]
    assert answers("joy, doubt/confusion and fear") == ["joy", "doubt/confusion", "fear"]
    assert answers("doubt/fear") == ["doubt", "fear"]


def test_confidence_in_words_is_read_but_breaks_the_format():
    parsed = parse_completion("<think>x</think><answer>joy</answer><confidence>high</confidence>", FULL)
    assert parsed.confidence == 0.8
    assert len(parsed.problems) == 1 and parsed.problems[0].startswith("<confidence> holds 'high'")
    assert parse_confidence("85%") == 0.85


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
    assert completion_text([{"role": "assistant", "content": None}]) == ""
    assert completion_text([{"role": "assistant"}]) == ""
    assert completion_text([]) == ""


def test_what_a_caller_does_to_a_result_does_not_reach_the_next_one():
    text = "<think>x</think><answer>joy, pride</answer><confidence>0.8</confidence>"
    first = parse_completion(text, FULL)
    first.answers.clear()
    first.problems.append("mine")
    assert parse_completion(text, FULL) == Completion("x", ["joy", "pride"], 0.8, [])
    assert parse_completion(text, WORDS).confidence is None


@pytest.mark.parametrize(
    ("answer", "space", "choices", "meant"),
    [
        ("happy", "ekman_6", None, "happiness"),
        ("happiness", "ekman_6", None, "happiness"),
        ("worried", "ekman_6", None, "worried"),  # no form of any of its classes
        ("happy", "open", None, "happy"),
        ("happy", None, None, "happy"),
        ("b", None, ["(A) joy", "(B) Deep fear"], "deep fear"),
        ("deep fear", None, ["(A) joy", "(B) Deep fear"], "deep fear"),
        ("c", None, ["joy", "fear"], "c"),
        ("a", "ekman_6", ["happy", "sad"], "happiness"),
    ],
)
def test_the_label_that_an_answer_means(answer, space, choices, meant):
    assert canonical_answer(answer, space, choices) == meant


def test_answers_are_labels_in_any_of_their_forms():
    assert is_label("happy", "happiness", "ekman_6") and not is_label("happy", "happiness") and not is_label(None, "joy")
    assert is_label("b", "Deep fear", None, ["joy", "Deep fear"]) and not is_label("a", "Deep fear", None, ["joy", "Deep fear"])
