"""How near is the answer's valence to the record's?"""

from emoreason.completions import Template, completion_text, parse_completion
from emoreason.valence import VAD, Lexicon, Scale, load_nrc_vad, vad_distance, vad_of_words, vader_lexicon


def valence_distance_reward(
    completions: list,
    template: list[Template],
    label: list[str | None],
    labels: list[list[str]],
    vad: list[dict | None],
    *,
    lexicon: str | None = None,
    **kwargs,
) -> list[float | None]:
    """1 - |v - w| of the answer's valence v and the record's w, both brought to [0, 1]; in [0, 1].

    v is the mean over the answer words that the lexicon knows: VADER, or the NRC-VAD file at the path `lexicon`. w is the
    record's `vad`; without one, the mean over its `labels`, or over its `label` where it has none. Where both sides have arousal
    and dominance too (NRC-VAD), it is 1 - their VAD distance. 0.0 where no answer can be read or the lexicon knows none of its
    words; None where the record has no `vad` and the lexicon knows none of its words, and for templates whose answer is no emotion.

    Opposite words average to the middle, which loses to the right word alone. But a wrong word is seldom worth 0, a word of middle
    valence at least about 0.5 on any record, and unknown words beside a right one cost nothing: a smooth slope for words that
    nothing else knows, to be weighted low beside `emotion_label_reward` or `emotion_set_reward`, not an accuracy.

    Raises:
        UserError: the lexicon cannot be read, or a record's `vad` is outside its scale.

    Source: ours in form. EEmo-Logic (arXiv 2602.01173) grades a label by its VAD distance to the true one, with weights 0.5, 0.3
    and 0.2 and the farthest label at 0, mixed with the likeness of the labels' embeddings; SEVLM (arXiv 2403.11150) trains on the
    squared error to NRC-VAD. Here all dimensions weigh the same and 0 is the far end of the scale, whatever the other labels are.

    >>> form = [Template(think="none", answer="list")] * 2
    >>> valence_distance_reward(["<answer>joy</answer>", "<answer>joy, anger</answer>"], form, ["joy"] * 2, [["joy"]] * 2, [None] * 2)
    [1.0, 0.65625]
    """
    known = vader_lexicon() if lexicon is None else load_nrc_vad(lexicon)
    golds = (_gold(point, words or [word], known) for point, words, word in zip(vad, labels, label, strict=True))
    rows = zip(completions, template, golds, strict=True)
    return [_score(completion_text(text), form, gold, known) for text, form, gold in rows]


def _gold(vad: dict | None, words: list[str | None], lexicon: Lexicon) -> VAD | None:
    if vad is not None:
        return VAD(vad["valence"], vad["arousal"], vad["dominance"], scale=Scale(*vad["scale"]))
    return vad_of_words((word for word in words if word is not None), lexicon)


def _score(text: str, template: Template, gold: VAD | None, lexicon: Lexicon) -> float | None:
    if gold is None or template.answer not in ("label", "list"):
        return None
    answer = vad_of_words(parse_completion(text, template).answers, lexicon)
    return 1 - vad_distance(answer, gold) if answer else 0.0
