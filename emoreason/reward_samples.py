"""Records and completions that a reward is tried on: plain ones, hostile ones, long ones."""

from typing import Any

from emoreason.completions import SECTIONS, Template

FULL = Template(think="free", answer="list", confidence=True)
SHORT = Template(think="none", answer="label")
SECTIONED = Template(think="sections", answer="label", sections=SECTIONS["videmo"])

ANNOTATED = {
    "label": "joy",
    "labels": ["joy", "pride", "awe struck"],
    "label_space": "open",
    "distribution": {"joy": 7, "pride": 2, "fear": 1},
    "vad": {"valence": 7.5, "arousal": 6.0, "dominance": 5.0, "scale": (1, 9)},
    "action_units": {"AU6": 3.0, "AU12": None},
    "cues": {"image": ["lip corners raised", "cheeks raised"], "text": ["says they won"]},
    "reasoning": "The lip corners are raised, so the face shows joy.",
    "sections": {"attribute": "lip corners raised", "expression": "a smile", "emotion": "joy"},
    "choices": ["joy", "fear"],
}
RECORDS: dict[str, tuple[Template, dict[str, Any], dict[str, Any]]] = {
    # {id: (template, target, the rest)}
    "annotated": (FULL, ANNOTATED, {"text": "We won!", "question": "How do they feel?", "aligned_modality": "text"}),
    "annotated, short": (SHORT, ANNOTATED, {}),
    "one label": (SHORT, {"label": "fear", "label_space": "ekman_6", "labels": ["fear"]}, {}),
    "nothing": (FULL, {}, {}),
    "sections": (SECTIONED, ANNOTATED, {}),
    "choice": (Template(think="none", answer="choice"), ANNOTATED, {"question": "Which emotion is shown?"}),
    "verdict": (Template(think="free", answer="verdict"), {"label": "correct"}, {"question": "They are glad to have won."}),
}
COMPLETIONS = [
    "<think>lip corners raised (AU12), cheeks raised (AU6)</think><answer>joy, pride</answer><confidence>0.8</confidence>",
    "<think>brows up</think><answer>fear</answer><confidence>90%</confidence>",
    "<think>The brow is not lowered, and there is no joy in the face.</think><answer>neutral</answer><confidence>0.6</confidence>",
    "<think>They won and smile, so it is joy.</think><answer>joy</answer>",
    "<think><attribute>lip corners raised</attribute><expression>smile</expression><emotion>joy</emotion></think><answer>joy</answer>",
    "<think>They won, so the statement holds.</think><answer>correct</answer>",
    "<answer>(B) fear</answer>",
    "<answer>joy</answer>",
    "<think>unclosed <answer>Joy.</answer>",
    "<think>" + "on and on " * 60 + "</think><answer>joy</answer>",
    "no tags at all",
    "",
]
HOSTILE = [
    "",
    " ",
    "<",
    "<" * 50,
    "<think>",
    "</answer>",
    "</answer><answer>",
    "<think><answer><confidence>",
    "<answer><answer>joy</answer></answer>",
    "<think><think>a</think><answer>joy<confidence>1</confidence></answer></think>",
    "<think><attribute><emotion></attribute></emotion><attribute></think><answer>joy</answer>",
    "<answer>,,,;;;///</answer>",
    "<confidence>" + "9" * 5000 + "/" + "9" * 5000 + "</confidence>",
    "<confidence>1e999</confidence><answer>joy</answer>",
    "<ANSWER>\u0130\u0131\u017f\u212a</ANSWER>",
    "\x00\ud800\u202e{}%s\\",
    [],
    [{"role": "assistant", "content": ""}],
    [{"role": "assistant", "content": [{"type": "text", "text": "<answer>joy</answer>"}, {"type": "image"}]}],
]
LONG = {
    "open brackets": "<" * 100_000,
    "open tags": "<answer>" * 12_500,
    "tag pairs": "<think>a</think>" * 6_250,
    "closing before opening": "</answer><answer>" * 6_000,
    "section pairs": "<think>" + "<attribute>a</attribute>" * 4_150 + "</think><answer>joy</answer>",
    "spaces in the answer": "<answer>" + " " * 100_000 + "joy</answer>",
    "lines in the answer": "<answer>" + "\n" * 100_000 + "x</answer>",
    "one long word": "<think>x</think><answer>" + "j" * 100_000 + "</answer>",
    "many words": "<think>x</think><answer>" + "joy and pride, " * 6_500 + "</answer>",
    "a long think text": "<think>" + "lip corners raised, AU12. " * 4_000 + "</think><answer>joy</answer><confidence>0.5</confidence>",
    "many negations": "<think>" + "not joy and no fear, " * 5_000 + "</think><answer>joy</answer>",
    "a long number": "<answer>joy</answer><confidence>" + "1" * 100_000 + "x</confidence>",
    "spaces in the number": "<answer>joy</answer><confidence>1" + " " * 100_000 + "x</confidence>",
}
