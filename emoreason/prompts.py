"""A record as the conversation that a model reads, and as the text that it should write."""

from emoreason.completions import Template, choice_letter, normalise_word, parse_completion, render
from emoreason.emotions import LABEL_SPACES
from emoreason.recipe import PromptSettings
from emoreason.records import Media, Record


def instruction_for(template: Template) -> str:
    """How to answer in this template, as one sentence of the prompt."""
    parts = ", ".join(f"<{name}></{name}>" for name in template.sections)
    wants = {
        "think": f"reason about the evidence in <think></think>, in the parts {parts}" if parts else "reason about the evidence in <think></think>",
        "answer": {
            "label": "name the one emotion in <answer></answer>",
            "list": "name the emotions in <answer></answer>, the dominant one first, separated by commas",
            "choice": "give the letter of the right choice in <answer></answer>",
            "verdict": "say in <answer></answer> whether the statement is correct or incorrect",
            "none": "",
        }[template.answer],
        "confidence": "state how likely it is that your answer is right, from 0 to 1, in <confidence></confidence>",
    }
    sentence = ", then ".join(wants[tag] for tag in template.tags)
    return sentence[:1].upper() + sentence[1:] + "."


def prompt_messages(record: Record, template: Template, settings: PromptSettings, label_space: str) -> list[dict]:
    """The system turn, where there is one, and the user turn: media placeholders first, then text and question."""
    lines = [f'Text: "{record.text}"'] if record.text else []
    lines.append(record.question or settings.question)
    classes = record.target.choices or LABEL_SPACES.get(label_space, ())
    if template.answer == "choice":
        lines += [f"({chr(ord('A') + index)}) {choice}" for index, choice in enumerate(record.target.choices)]
    elif settings.list_classes and classes:
        lines.append(f"Choose from: {', '.join(classes)}.")
    lines.append(settings.instruction if settings.instruction is not None else instruction_for(template))
    content: list[dict] = [{"type": kind} for kind in media_kinds(record.media)]
    content.append({"type": "text", "text": "\n".join(line for line in lines if line)})
    system = [{"role": "system", "content": [{"type": "text", "text": settings.system}]}] if settings.system else []
    return [*system, {"role": "user", "content": content}]


def media_kinds(media: Media) -> list[str]:
    """What stands before the text, in order: pictures, the clip, the sound; a sound track heard in time with its clip has no place of its own."""
    return ["image"] * len(media.images) + ["video"] * bool(media.video or media.frames) + ["audio"] * bool(media.audio)


def gold_answers(record: Record, template: Template) -> list[str]:
    """The answer that the record's annotators give, in the form that the template asks for; [] when they give none."""
    target = record.target
    if template.answer == "choice":
        letter = choice_letter(normalise_word(target.label or ""), target.choices)
        return [letter] if letter else []
    if template.answer in ("label", "verdict"):
        return [target.label] if target.label else target.labels[:1]
    return target.labels or ([target.label] if target.label else [])


def target_text(record: Record, template: Template, think_from: str = "reasoning", confidence: float | None = None) -> str:
    """The completion that the model should write for this record, before it is checked by `target_problems`."""
    think = "; ".join(cue for cues in record.target.cues.values() for cue in cues) if think_from == "cues" else record.target.reasoning or ""
    answers = gold_answers(record, template)
    if template.answer == "choice":
        answers = [letter.upper() for letter in answers]
    return render(template, think, answers, confidence, record.target.sections)


def target_problems(record: Record, template: Template, think_from: str = "reasoning", confidence: float | None = None) -> list[str]:
    """What the parser finds wrong with the record's own target: a target that fails here would teach a wrong format."""
    text = target_text(record, template, think_from, confidence)
    parsed = parse_completion(text, template)
    problems = [f"{problem} (target: {text[:80]!r})" for problem in parsed.problems]
    gold = gold_answers(record, template)
    if not problems and template.answer != "none" and parsed.answers != gold:
        problems.append(f"the parser reads {parsed.answers} where the record says {gold}")
    return problems
