"""Confidence verbalization: the model learns to say how likely the answer that it has just given is to be right.

    emoreason train recipes/tiny/stage2_confidence.yaml

The model of stage 1 answers each record, or several random views of it, several times. How often its samples agree on an
answer, turned into the share of right answers at that agreement and mixed with the annotators' share, is its confidence.
Then SFT on the model's own answers: a right one is taught whole, a wrong one stands in the prompt and only its
`<confidence>` is taught, so that the model learns to doubt a wrong answer without learning to give it. Rare confidences are
drawn more often than common ones. Give records that stage 1 was not trained on: on its own training data a model always
agrees with itself.

`confidence.json` and two pictures beside it compare the targets with what else could tell right answers from wrong ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from accelerate import PartialState
from trl import SFTConfig

from emoreason.collate import CompletionCollator, PromptEncoder
from emoreason.completions import Template, parse_completion, with_confidence
from emoreason.confidence import (
    Answer,
    agreement,
    answer_group,
    balanced_order,
    baselines,
    judge_answers,
    sequence_probability,
    target_histogram,
)
from emoreason.confidence_report import comparison_table, histogram_table, write_comparison
from emoreason.evaluate import sample
from emoreason.faults import UserError
from emoreason.models import lora_config
from emoreason.recipe import ConfidenceRecipe
from emoreason.rollouts import Engine
from emoreason.rollouts.opening import open_engine
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MetricsLog
from emoreason.trainers.guarded import MediaSFTTrainer
from emoreason.trainers.session import begin_run, finish_run, num_rows, open_model, sampled_once, share_prompts, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: ConfidenceRecipe) -> RunDir:
    """Sample, make the targets, train; what is done already is not done again."""
    run_dir, is_open = begin_run(recipe, sorted({source.path for source in recipe.data}))
    if not is_open:
        return run_dir
    sources = read_sources(recipe.data)
    examples = {example.record.id: example for source in sources for example in source}
    views = [replace(example, view=view) for example in examples.values() for view in range(recipe.confidence.views)]
    sampled = sampled_once(recipe, run_dir, views, lambda: open_sampler(recipe))
    judged = judge(recipe, examples, sampled)
    by_source = [[answer for example in source for answer in judged[example.record.id]] for source in sources]
    config = trainer_config("sft", recipe, run_dir.trainer_path)
    order = balanced_order([[answer.target for answer in answers] for answers in by_source], [source.weight for source in recipe.data],
                           num_rows(config), recipe.confidence.max_oversampling, recipe.seed)  # fmt: skip
    if not run_dir.checkpoint_path.exists():
        model, processor = open_model(recipe, recipe.model.freeze)
        rows = [[(examples[answer.record_id], answer) for answer in answers] for answers in by_source]
        train_and_save(make_trainer(recipe, config, model, processor, rows, order, run_dir), recipe, processor, run_dir.checkpoint_path)
    answers = [answer for one in judged.values() for answer in one]
    targets = [answer.target for answer in answers]
    histogram = target_histogram(targets, [by_source[source][place].target for source, place in order])
    if PartialState().is_main_process:
        compare_targets(run_dir, answers)
        print(histogram_table(histogram), end="")
    num_sampled = sum(len(row["completions"]) for row in sampled)
    finish_run(run_dir, num_answers=len(answers), num_right=sum(answer.is_right for answer in answers),
               num_unreadable=num_sampled - len(answers), mean_confidence_target=sum(targets) / len(targets),
               target_histogram=histogram)  # fmt: skip
    return run_dir


def before_confidence(recipe: ConfidenceRecipe) -> Template:
    """The template of the stage before."""
    return replace(recipe.template.build(), confidence=False)


@contextmanager
def open_sampler(recipe: ConfidenceRecipe) -> Iterator[Callable[[list[Example], int], list[dict]]]:
    """What answers views of records by the model that the stage starts from."""
    with open_engine(recipe.model, recipe.media, recipe.rollouts, Path(recipe.output_dir)) as engine:
        yield partial(sample_answers, recipe, engine)


def sample_answers(recipe: ConfidenceRecipe, engine: Engine, examples: list[Example], start: int) -> list[dict]:
    """For each view of a record its sampled completions, each with its answer's group (None where it breaks the template), agreement
    and sequence probability."""
    template = before_confidence(recipe)
    rows = Rows(recipe, template, recipe.augment)
    groups = sample(engine, rows, examples, recipe.sampling, f"sampling for confidence targets, from {start}", start)
    answered = []
    for example, group in zip(examples, groups, strict=True):
        parsed = [parse_completion(rollout.text, template) for rollout in group]
        target = example.record.target
        answers = [None if one.problems or one.label is None else answer_group(one.label, target) for one in parsed]
        answered.append({"id": example.record.id, "view": example.view, "label": example.record.target.label,
                         "completions": [rollout.text for rollout in group], "answers": answers, "agreement": agreement(answers),
                         "sequence_probability": [sequence_probability(rollout.log_probs) for rollout in group]})  # fmt: skip
    return answered


def judge(recipe: ConfidenceRecipe, examples: dict[str, Example], sampled: list[dict]) -> dict[str, list[Answer]]:
    """{record id: its readable answers, judged}.

    What an agreement is worth is found for each records file by itself: it is worth more where the model was trained.
    """
    judged: dict[str, list[Answer]] = {record_id: [] for record_id in examples}
    records = {record_id: example.record for record_id, example in examples.items()}
    for path in dict.fromkeys(example.records_path for example in examples.values()):
        rows = [row for row in sampled if examples[row["id"]].records_path == path]
        for answer in judge_answers(rows, records, recipe.confidence):
            judged[answer.record_id].append(answer)
    if not any(judged.values()):
        raise UserError(f"{recipe.output_dir}: none of the sampled answers of {recipe.model.path} follows its template; train stage 1 longer")
    return judged


def compare_targets(run_dir: RunDir, answers: list[Answer]) -> None:
    """Write and print how the targets tell right answers from wrong ones, as other groups make them, beside what else could."""
    right, groups = [answer.is_right for answer in answers], [answer.group for answer in answers]
    methods = baselines(right, [answer.sequence_probability for answer in answers], groups)
    methods |= {"agreement": [answer.agreement for answer in answers], "target": [answer.held_out_target for answer in answers]}
    compared = write_comparison(run_dir.path / "confidence", methods, right)
    print(comparison_table([(run_dir.path.name, "sampled answers", compared)]), end="")


def make_trainer(
    recipe: ConfidenceRecipe, config: SFTConfig, model, processor, sources: list[list[tuple[Example, Answer]]],
    order: list[tuple[int, int]], run_dir: RunDir,
) -> MediaSFTTrainer:  # fmt: skip
    """TRL's SFT trainer on the judged answers in this order; the prompt of a wrong one ends where its confidence begins."""
    rows = Rows(recipe, recipe.template.build(), recipe.augment)

    def row(example: Example, answer: Answer) -> dict:
        example = replace(example, view=answer.view)
        made = rows.row(example, example.view_draw, id=example.record.id, images=[])
        message = completion_message(with_confidence(answer.completion, answer.target))
        start = processor.apply_chat_template(made["prompt"], add_generation_prompt=True, tokenize=False)
        start += "" if answer.is_right else answer.completion
        whole = processor.apply_chat_template([*made["prompt"], *message], tokenize=False)
        assert whole.startswith(start), f"the chat template changes earlier turns: {whole[:200]!r}"
        return {**made, "prompt": start, "completion": whole[len(start) :]}

    encoder = PromptEncoder(processor, model.config, recipe.media)
    check_lengths(encoder, (row(*judged) for source in sources for judged in source), config.max_length, "trainer.max_length")
    dataset = lazy_dataset(len(order), lambda index: row(*sources[order[index][0]][order[index][1]]))
    trainer = MediaSFTTrainer(
        model, config, train_dataset=dataset, processing_class=processor, data_collator=CompletionCollator(encoder),
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "confidence")],
    )  # fmt: skip
    share_prompts(trainer, recipe, (example.record for source in sources for example, _ in source))
    return trainer
