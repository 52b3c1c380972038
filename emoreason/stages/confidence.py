"""Confidence verbalization: the model learns to say how likely the answer that it has just given is to be right.

    emoreason train recipes/tiny/stage2_confidence.yaml

The model of stage 1 answers each record, or several random views of it, several times. How often its samples agree on an
answer, turned into the share of right answers at that agreement and mixed with the annotators' share, is its confidence.
Then SFT on the model's own answers: a right one is taught whole, a wrong one stands in the prompt and only its
`<confidence>` is taught, so that the model learns to doubt a wrong answer without learning to give it. Give records that
stage 1 was not trained on: on its own training data a model always agrees with itself.
"""

from dataclasses import dataclass, replace

from trl import SFTConfig, SFTTrainer

from emoreason.collate import CompletionCollator, PromptEncoder
from emoreason.completions import Template, canonical_answer, is_label, parse_completion, with_confidence
from emoreason.confidence import agreement, chance_of_being_right, confidence_target, human_share
from emoreason.curriculum import mix
from emoreason.evaluate import sample
from emoreason.faults import UserError
from emoreason.models import load_for_sampling, lora_config
from emoreason.recipe import ConfidenceRecipe
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MarkComplete, MetricsLog
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
    sampled = sampled_once(run_dir, views, lambda share: sample_answers(recipe, share))
    judged = judge(recipe, examples, sampled)
    if not run_dir.checkpoint_path.exists():
        config = trainer_config("sft", recipe, run_dir.trainer_path)
        model, processor = open_model(recipe, recipe.model.freeze)
        by_source = [[row for example in source for row in judged[example.record.id]] for source in sources]
        train_and_save(make_trainer(recipe, config, model, processor, by_source, run_dir), processor, run_dir.checkpoint_path)
    answers = [one for rows in judged.values() for one in rows]
    num_sampled = sum(len(row["completions"]) for row in sampled)
    finish_run(run_dir, num_answers=len(answers), num_right=sum(one.is_right for one in answers), num_unreadable=num_sampled - len(answers),
               mean_confidence_target=sum(one.target for one in answers) / len(answers))  # fmt: skip
    return run_dir


def before_confidence(recipe: ConfidenceRecipe) -> Template:
    """The template of the stage before."""
    return replace(recipe.template.build(), confidence=False)


def sample_answers(recipe: ConfidenceRecipe, examples: list[Example]) -> list[dict]:
    """For each view of a record its sampled completions, each with its answer (None where it breaks the template) and agreement."""
    template = before_confidence(recipe)
    model, processor = load_for_sampling(recipe.model, recipe.media)
    rows = Rows(recipe, template, recipe.augment)
    groups = sample(model, processor, rows, examples, recipe.sampling, "sampling for confidence targets")
    answered = []
    for example, group in zip(examples, groups, strict=True):
        parsed = [parse_completion(rollout.text, template) for rollout in group]
        target = example.record.target
        answers = [None if one.problems or one.label is None else canonical_answer(one.label, target.label_space, target.choices) for one in parsed]
        answered.append({"id": example.record.id, "view": example.view, "label": example.record.target.label,
                         "completions": [rollout.text for rollout in group], "answers": answers, "agreement": agreement(answers)})  # fmt: skip
    return answered


@dataclass(frozen=True)
class Judged:
    """One of the model's own completions, and how sure it should have been."""

    example: Example
    completion: str
    is_right: bool
    target: float


def judge(recipe: ConfidenceRecipe, examples: dict[str, Example], sampled: list[dict]) -> dict[str, list[Judged]]:
    """{record id: its readable answers, judged}.

    What an agreement is worth is found for each records file by itself: it is worth more where the model was trained.
    """
    judged: dict[str, list[Judged]] = {record_id: [] for record_id in examples}
    for path in dict.fromkeys(example.records_path for example in examples.values()):
        _judge_file(recipe, examples, [row for row in sampled if examples[row["id"]].records_path == path], judged)
    if not any(judged.values()):
        raise UserError(f"{recipe.output_dir}: none of the sampled answers of {recipe.model.path} follows its template; train stage 1 longer")
    return judged


def _judge_file(recipe: ConfidenceRecipe, examples: dict[str, Example], sampled: list[dict], judged: dict[str, list[Judged]]) -> None:
    answers = [(row, place) for row in sampled for place, answer in enumerate(row["answers"]) if answer is not None]
    if not answers:
        return
    targets = {record_id: example.record.target for record_id, example in examples.items()}
    right = [is_label(row["answers"][place], row["label"], targets[row["id"]].label_space, targets[row["id"]].choices) for row, place in answers]
    chances = chance_of_being_right([row["agreement"][place] for row, place in answers], right)
    for (row, place), is_right, chance in zip(answers, right, chances, strict=True):
        example = replace(examples[row["id"]], view=row["view"])
        human = human_share(example.record.target, row["answers"][place])
        target = confidence_target(chance, human, **recipe.confidence.model_dump(exclude={"views"}))
        judged[row["id"]].append(Judged(example, row["completions"][place], is_right, target))


def make_trainer(
    recipe: ConfidenceRecipe, config: SFTConfig, model, processor, sources: list[list[Judged]], run_dir: RunDir
) -> SFTTrainer:
    """TRL's SFT trainer on the judged answers; the prompt of a wrong one ends where its confidence begins."""
    rows = Rows(recipe, recipe.template.build(), recipe.augment)
    order = mix([len(source) for source in sources], [source.weight for source in recipe.data], num_rows(config), recipe.seed)

    def row(judged: Judged) -> dict:
        made = rows.row(judged.example, judged.example.view_draw, id=judged.example.record.id, images=[])
        answer = completion_message(with_confidence(judged.completion, judged.target))
        start = processor.apply_chat_template(made["prompt"], add_generation_prompt=True, tokenize=False)
        start += "" if judged.is_right else judged.completion
        whole = processor.apply_chat_template([*made["prompt"], *answer], tokenize=False)
        assert whole.startswith(start), f"the chat template changes earlier turns: {whole[:200]!r}"
        return {**made, "prompt": start, "completion": whole[len(start) :]}

    encoder = PromptEncoder(processor, model.config, recipe.media)
    check_lengths(encoder, (row(judged) for source in sources for judged in source), config.max_length, "trainer.max_length")
    dataset = lazy_dataset(len(order), lambda index: row(sources[order[index][0]][order[index][1]]))
    trainer = SFTTrainer(
        model, config, train_dataset=dataset, processing_class=processor, data_collator=CompletionCollator(encoder),
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "confidence"), MarkComplete()],
    )  # fmt: skip
    share_prompts(trainer, recipe)
    return trainer
