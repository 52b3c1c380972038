"""The door. Each command imports what it needs when it runs, so that `check` and `--help` never wait for torch."""

import errno
import json
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from emoreason.commands.annotate import annotate
from emoreason.commands.bench import bench_app
from emoreason.commands.cluster import preflight, serve
from emoreason.commands.export import export
from emoreason.commands.media import media
from emoreason.commands.splitting import leaks, split
from emoreason.commands.terminal import AsJson, Overrides, RecipePath, checked, err, faults_of, flat, out, paged, quiet
from emoreason.commands.tracking import track
from emoreason.faults import UserError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
    help="Fine-tune multimodal language models to reason about emotion: SFT, confidence, GRPO or DPO, evaluation, release.\n\n"
    "Start with: [bold]emoreason run recipes/tiny[/bold]",
)  # fmt: skip
reward_app = typer.Typer(no_args_is_help=True, help="Write a reward of your own, and check that it keeps the contract.")
app.add_typer(reward_app, name="reward")
app.add_typer(bench_app, name="bench")
ENGINES = ("transformers", "vllm", "vllm_server")


@app.command()
def check(
    recipes: Annotated[list[Path], typer.Argument(help="Recipes, or folders of recipes.", show_default=False)],
    parity: Annotated[bool, typer.Option(help="Then start the engine of `rollouts` and compare it with the trainer, which loads the model.")] = False,
    topology: Annotated[str | None, typer.Option(
        metavar="nodes=N,gpus=N,gpu_memory=GiB", help="Then say whether each stage fits this hardware; vllm_nodes=N of them serve vLLM.")] = None,
) -> None:  # fmt: skip
    """Find every fault of recipes without a GPU: keys, types, data, pictures, targets, rewards, the parent's settings.

    With --parity also what the engine that samples makes of one record of every kind, beside what the trainer makes of it: token ids,
    features, tower outputs, positions, log-probabilities. Anything out of bounds ends it with 1.

    With --topology a table for each training stage: batch and steps, tokens, memory of a GPU by part, disk, and what to change where it does
    not fit. No weights are loaded: the architecture is that of the checkpoint on disk, or of a table that is shipped. Ends with 1 where one
    does not fit.

    Example: emoreason check recipes/tiny recipes/qwen2_5_vl_7b

    Example: emoreason check recipes/qwen2_5_vl_7b --topology nodes=1,gpus=8,gpu_memory=80

    Example: emoreason check --parity recipes/qwen2_5_vl_7b/stage3_grpo.yaml
    """
    paths = [path for given in recipes for path in (sorted(given.glob("*.yaml")) if given.is_dir() else [given])]
    if not paths:
        raise UserError(f"no recipes in {', '.join(map(str, recipes))}")
    faults = []
    for path in paths:
        found = faults_of(path)
        print(f"{path}: {f'{len(found)} faults' if found else 'ok'}")
        faults += found
    if faults:
        raise UserError(faults)
    if parity:
        beyond = [fault for path in paths for fault in _parity(path)]
        for fault in beyond:
            err.print(f"out of bounds: {fault}", highlight=False, soft_wrap=True)
        if beyond:
            raise typer.Exit(1)
    if topology is not None:
        from emoreason.commands.topology import print_fits

        if not print_fits(paths, topology):
            raise typer.Exit(1)


def _parity(path: Path) -> list[str]:
    """Print the comparison of one recipe; what is out of bounds."""
    quiet()
    from emoreason.parity_gate import compare_engines
    from emoreason.recipe_files import load_recipe

    recipe = load_recipe(path, [])
    found = compare_engines(recipe)
    table = Table("record", "tokens", "features", "tower cosine", "positions", "Pearson", "error, nat", "multiplicative", title=str(path))
    for row in found:
        equal = ["equal" if same else "differ" for same in (row.same_features, row.same_positions)]
        cosine, pearson = ("-" if value is None else f"{value:.6f}" for value in (row.cosine, row.pearson))
        table.add_row(row.kind, str(row.num_tokens), equal[0], cosine, equal[1], pearson, f"{row.error:.2e}", f"{row.multiplicative_error:.6f}")
    out.print(table)
    return [fault for row in found for fault in row.faults(recipe.rollouts.max_difference)]


@app.command()
def train(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Run one stage. A stage that ended is skipped, one that was cut off goes on.

    USR1 and TERM ask it to make room: it writes a checkpoint at the next step, in all of its processes, and ends with 75 (USR1) or 143
    (TERM). 70 is the watchdog's, when nothing has moved for `watchdog.minutes`; 2 is a mistake of yours.

    Example: emoreason train recipes/tiny/stage3_grpo.yaml trainer.max_steps=20 output_dir=runs/try
    """
    import importlib

    from emoreason import preemption, ranks

    preemption.listen()
    loaded = checked(recipe, overrides)
    if loaded.stage == "evaluate":
        raise UserError(f"{recipe}: stage is evaluate; run: emoreason evaluate {recipe}")
    run_dir = importlib.import_module(f"emoreason.stages.{loaded.stage}").run(loaded)
    if ranks.rank() == 0:
        out.print(f"finished: {run_dir.checkpoint_path}", highlight=False, soft_wrap=True)


@app.command()
def run(
    recipes_dir: Annotated[Path, typer.Argument(help="A folder with one recipe a stage.", show_default=False)],
    overrides: Overrides = None,
    runs_dir: Annotated[Path | None, typer.Option(help="Write here instead of the folder that the recipes name.")] = None,
    only_plan: Annotated[bool, typer.Option("--plan", help="Run nothing; print the jobs that are left, for slurm/pipeline.sh.")] = False,
) -> None:
    """Run all stages of a folder in order, evaluate each, release the last. Run it again to go on where it stopped.

    --plan prints a job a line, tab-separated: its name, its script in slurm/, the jobs that it waits for (with commas, or -), and the
    script's arguments.

    Example: emoreason run recipes/tiny --runs-dir runs/tiny_seed1 seed=1
    """
    quiet()
    from emoreason.preflight import check_recipe
    from emoreason.recipe_files import load_folder, moved

    recipes, faults = load_folder(recipes_dir, overrides)
    if runs_dir is not None:
        roots = {Path(recipe.output_dir).parent for recipe in recipes.values()}
        if len(roots) > 1:
            raise UserError(f"{recipes_dir}: --runs-dir needs output_dirs side by side, these are in {', '.join(map(str, sorted(roots)))}")
        recipes = {path: moved(recipe, *roots, runs_dir) for path, recipe in recipes.items()}
    faults += [fault for path, recipe in recipes.items() for fault in check_recipe(path, recipe, list(recipes.values()))]
    if faults:
        raise UserError(faults)
    from emoreason.line import make_line, plan

    training, evaluation = make_line(recipes_dir, list(recipes.values()))
    if only_plan:
        for job in plan(recipes, overrides or []):
            print(job.line())
        return
    from emoreason import preemption

    preemption.listen()
    from emoreason.pipeline import run_line
    from emoreason.report import metrics_table

    runs, released = run_line(training, evaluation, lambda line: out.rule(line))
    print(metrics_table([run_dir.path for run_dir in runs]))
    if released:
        print(f"released checkpoint: {released}")


@app.command()
def evaluate(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Evaluate a checkpoint on the recipe's test sets and print the metrics with their intervals.

    Example: emoreason evaluate recipes/tiny/evaluate.yaml model.path=runs/tiny/release output_dir=runs/tiny/release_eval
    """
    loaded = checked(recipe, overrides)
    if loaded.stage != "evaluate":
        raise UserError(f"{recipe}: stage is {loaded.stage}; run: emoreason train {recipe}")
    from emoreason import evaluate as evaluation
    from emoreason.report import metrics_table

    evaluation.run(loaded)
    print(metrics_table([Path(loaded.output_dir)]))


@app.command()
def report(
    runs_dirs: Annotated[list[Path], typer.Argument(help="Folders that `emoreason run` wrote, e.g. one a seed.", show_default=False)],
    markdown: Annotated[bool, typer.Option(help="Print a Markdown table.")] = False,
) -> None:
    """The metrics of every stage; over several folders the mean and the range.

    Example: emoreason report runs/tiny runs/tiny_seed1 runs/tiny_seed2 --markdown
    """
    from emoreason.report import metrics_table, stage_paths

    print(metrics_table(stage_paths(runs_dirs), markdown))


@app.command()
def confidence(
    runs: Annotated[list[Path], typer.Argument(help="Evaluated runs, or folders of them.", metavar="RUN", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Whether the confidence that a model states tells more than what comes for nothing, on its finished evaluations.

    Beside what is stated in <confidence> stand

    constant: always the accuracy of these answers. Its ECE is 0, so ECE alone
    proves nothing; its Brier score and an AUROC of 0.5 are what to beat.

    sequence probability: of the greedy answer's own tokens, exp of the mean
    log-probability, <confidence> included.

    temperature scaled: the same with a temperature, fitted on the answers to
    records of other groups, so that it is not judged on what it was fitted on.
    It changes no order, so AUROC and AURC stay.

    ECE is how far confidence and accuracy are apart, Brier adds how well right
    and wrong are told apart, AUROC is only that, AURC the share of wrong ones
    among the most confident answers, averaged over how many are answered. In
    the open vocabulary an answer is right in the primary emotion of its label
    on Plutchik's wheel. A confidence that cannot be read costs the most.

    Writes RUN/eval/confidence/TEST.json, TEST_reliability.png (accuracy in each
    tenth of confidence, with intervals and counts) and TEST_risk_coverage.png.
    The confidence stage writes the same about its targets, in its own folder.

    Example: emoreason confidence runs/tiny/stage2_confidence runs/tiny/stage3_grpo
    """
    from emoreason.confidence_report import compare_evaluations, comparison_table
    from emoreason.report import stage_paths

    compared, left_out = compare_evaluations([path for run in runs for path in ([run] if (run / "eval").is_dir() else stage_paths([run]))])
    for why in left_out:
        print(f"left out: {why}", file=sys.stderr)
    if as_json:
        for run_path, test, found in compared:
            print(json.dumps({"run": run_path, "test": test, **found}, ensure_ascii=False))
        return
    print(comparison_table(compared), end="")


app.command()(track)


@app.command()
def show(
    rollouts: Annotated[Path, typer.Argument(
        metavar="RUN_OR_FILE", help="A run, or JSON Lines of completions, evaluation rows or preference pairs.", show_default=False)],
    worst: Annotated[bool, typer.Option("--worst", help="Lowest mean total first; of evaluations the surest wrong answers.")] = False,
    disagree: Annotated[bool, typer.Option("--disagree", help="Rewards that disagree most first; answers that no label names.")] = False,
    record_id: Annotated[str | None, typer.Option("--id", help="One record, through all steps.", metavar="RECORD_ID")] = None,
    step: Annotated[int | None, typer.Option(help="One step.")] = None,
    reward: Annotated[str | None, typer.Option(help="This reward in place of the total.", metavar="NAME")] = None,
    limit: Annotated[int | None, typer.Option(help="Groups to show, 0 for all; else 10, or all of --id.", min=0)] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="On a terminal, long output through $PAGER.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a rollout instead.")] = False,
) -> None:  # fmt: skip
    """What a run sampled, beside the pictures, clips and sounds: groups of rollouts, the best first, under a head of figures.

    --disagree: of each completion the widest difference between the ranks that two rewards give it among all completions of the file.
    The length in the head is in tokens where the file has them, else in characters.

    Example: emoreason show runs/tiny/stage3_grpo --worst --limit 3
    """
    from emoreason.rollout_files import read_rollouts
    from emoreason.show import Choice, filtered, json_rows, print_groups, print_head, printable, selected

    choice = Choice(worst, disagree, record_id, step, reward, limit)
    file = read_rollouts(rollouts)
    groups = filtered(file, choice)
    shown, num_more = selected(file, groups, choice)
    end = [f"{num_more} more groups; --limit 0 shows them"] if num_more else [] if shown else ["no group is like that"]
    if as_json:
        for row in json_rows(shown):
            print(json.dumps(row))  # ASCII, so that no terminal obeys what a model wrote
        for note in [*file.notes, *end]:
            err.print(printable(note), markup=False, highlight=False, soft_wrap=True)
        return
    with paged(page):
        print_head(out, file, groups)
        print_groups(out, file, shown)
        out.print(*end, highlight=False)


@app.command()
def release(
    run_dir: Annotated[Path, typer.Argument(help="A finished run, e.g. runs/tiny/stage3_grpo.", show_default=False)],
    destination: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
) -> None:
    """Merge, prove the merged model's answers equal, write a folder that transformers loads, with a model card.

    Example: emoreason release runs/tiny/stage3_grpo runs/tiny/release
    """
    quiet()
    from emoreason.release import release as write_release
    from emoreason.run_dir import RunDir

    print(f"released checkpoint: {write_release(RunDir(run_dir), destination)}")


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="A release.", show_default=False)],
    files: Annotated[list[Path], typer.Argument(help="Pictures, clips, sounds.", show_default=False)],
    hear_clips: Annotated[bool, typer.Option("--hear-clips", help="Hear the sound track of clips, by models that can.")] = False,
    engine: Annotated[str, typer.Option(help="transformers, vllm or vllm_server: what answers.")] = "transformers",
    jsonl: Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table.")] = False,
) -> None:
    """Reasoning, emotion and confidence for pictures, clips and sounds.

    Example: emoreason predict runs/tiny/release recipes/tiny/data/images/twemoji/1f622.png
    """
    quiet()
    from emoreason.faults import raise_faults
    from emoreason.preflight import prediction_faults

    if engine not in ENGINES:
        raise UserError(f"--engine {engine}: accepted: {', '.join(ENGINES)}")
    raise_faults(prediction_faults(folder, files, hear_clips))  # before torch is waited for
    from emoreason.predict import predict as predict_files

    rows = predict_files(folder, files, hear_clips, engine=engine)
    if jsonl:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table("file", "reasoning", "emotions", "confidence", "problems")
    for row in rows:
        confidence = "-" if row["confidence"] is None else f"{row['confidence']:.2f}"
        table.add_row(row["file"], row["reasoning"] or "-", ", ".join(row["emotions"]) or "-", confidence, "; ".join(row["problems"]))
    out.print(table)


@app.command()
def score(
    recipe: RecipePath,
    completions: Annotated[Path, typer.Argument(help="JSON Lines with `id` and `completion` or `completions`.", show_default=False)],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """The rewards of a recipe on saved completions: each one's mean, range and spread within a record, without a model.

    A spread of 0 means that GRPO would learn nothing from that reward. --json prints one line a completion instead.

    Example: emoreason score recipes/tiny/stage3_grpo.yaml runs/tiny/stage3_grpo/completions.jsonl
    """
    loaded = checked(recipe, overrides)
    if not getattr(loaded, "rewards", None):
        raise UserError(f"{recipe}: has no rewards; give a recipe of stage grpo, dpo or evaluate that has")
    from rich.progress import Progress

    from emoreason.scoring import score_file, summary

    with Progress(transient=True, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("scoring", total=None)
        rows = score_file(loaded, completions, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table("reward", "mean", "low", "high", "spread", "n", "not applicable")
    for name, values in summary(rows).items():
        numbers = [values[key] for key in ("mean", "low", "high", "spread")]
        table.add_row(name, *("-" if value is None else f"{value:.3f}" for value in numbers), str(values["n"]), str(values["not_applicable"]))
    out.print(table)
    out.print(f"{sum(bool(row['problems']) for row in rows)} of {len(rows)} completions break the template")


@app.command()
def metric(
    name: Annotated[str, typer.Argument(help="A metric; `list` shows all.", show_default=False)],
    gold: Annotated[Path | None, typer.Argument(help="CSV or JSON Lines with `id` and what the metric reads.", show_default=False)] = None,
    predictions: Annotated[Path | None, typer.Argument(help="The same of the model.", show_default=False)] = None,
    labels: Annotated[str | None, typer.Option(help="The classes: a label space, or words and commas; else those in gold.")] = None,
    wheels: Annotated[str | None, typer.Option(help="Own wheels by name, with commas, instead of the default five.")] = None,
    official: Annotated[Path | None, typer.Option(help="The emotion_wheel folder of MER2025 or MER2026, instead of our wheels.")] = None,
    level: Annotated[str, typer.Option(help="Ring of the wheels: inner or middle.")] = "inner",
    against: Annotated[Path | None, typer.Option(help="Other predictions, for the difference and its paired interval.")] = None,
    by: Annotated[str | None, typer.Option(help="A column of gold: the metric in each of its groups, and their mean.")] = None,
    compat: Annotated[str | None, typer.Option(help="Read `completion` as this published scorer does, quirks included; `list` shows them.")] = None,
    bootstrap: Annotated[int, typer.Option(help="Resamples behind the interval.", min=1)] = 200,
    as_json: AsJson = False,
) -> None:
    """Score anybody's predictions: one metric of two files that are joined by `id`, with an interval and what was left out.

    Columns: label, or labels (a list), confidence in any spelling, value (a number), text, subset.

    Example: emoreason metric wheel_f gold.csv predictions.csv --official MER2025/emotion_wheel
    """
    from emoreason.metrics.named import METRICS, Options
    from emoreason.metrics.predictions import metric_of_files, named_labels
    from emoreason.wheels import find_wheels

    if name == "list":
        table = Table("metric", "reads", "what it is")
        for key, one in METRICS.items():
            table.add_row(key, ", ".join(one.reads), one.about)
        out.print(table)
        return
    if compat == "list":
        from emoreason.compat import COMPAT

        table = Table("scorer", "what it reads", "source")
        for key, reader in COMPAT.items():
            table.add_row(key, reader.description, reader.source)
        out.print(table)
        return
    if gold is None or predictions is None:
        raise UserError(f"emoreason metric {name} needs two files: gold and predictions; `emoreason metric list` shows the metrics")
    if level not in ("inner", "middle"):
        raise UserError(f"--level {level}; accepted: inner, middle")
    wheel_set = find_wheels(str(official) if official else [one.strip() for one in wheels.split(",")] if wheels else "own")
    result = metric_of_files(name, gold, predictions, Options(named_labels(labels or ""), wheel_set, level),
                             against=against, by=by, compat=compat, num_bootstrap=bootstrap)  # fmt: skip
    if name.startswith("wheel"):
        result["wheels"] = wheel_set.source
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    table = Table("number", "value")
    for key, value in flat(result):
        table.add_row(key, f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value))
    out.print(table)


for command in (media, split, leaks, annotate, export):
    app.command(rich_help_panel="Data")(command)
for command in (preflight, serve):
    app.command(rich_help_panel="Clusters")(command)


@reward_app.command("new")
def reward_new(name: Annotated[str, typer.Argument(help="Small letters, digits and _, e.g. my_reward.", show_default=False)]) -> None:
    """Write NAME.py with a small reward that works, to be changed into your own.

    Example: emoreason reward new my_reward
    """
    from emoreason.files import write_text
    from emoreason.reward_contract import new_reward_text, reward_name

    text, path = new_reward_text(name), Path(f"{name}.py")
    if path.exists():
        raise UserError(f"{path} is there already; choose another name, or move it away")
    write_text(path, text)
    print(f"wrote {path}; next: emoreason reward check {path}:{reward_name(name)}")


@reward_app.command("check")
def reward_check(
    address: Annotated[str, typer.Argument(help="package.module:function or path/to/file.py:function.", show_default=False)],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[SETTING=VALUE]...", help="As in a recipe's kwargs.", show_default=False)] = None,
) -> None:
    """Try a reward on sample records and hostile completions: signature, values, order, time, determinism.

    Example: emoreason reward check my_reward.py:my_reward partial=0.3
    """
    from emoreason.faults import raise_faults
    from emoreason.recipe_files import read_settings
    from emoreason.reward_contract import PROPERTIES, contract_problems

    raise_faults(contract_problems(address, read_settings(settings or [])))
    print(f"{address} keeps the contract: {', '.join(PROPERTIES)}")


def main() -> None:
    """Run the command line; the user's mistakes end with exit code 2, an interrupt with 130, making room with 75 or 143."""
    try:
        code = app(standalone_mode=False)
        if code == 130:  # Typer turns an interrupt into an exit code that it returns
            raise KeyboardInterrupt
    except typer.Exit as stop:
        code = stop.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- the last door
        code = _code_of(error)
    if code:
        from emoreason import ranks

        if ranks.world_size() > 1:
            ranks.leave(code)
        sys.exit(code)


def _code_of(error: BaseException) -> int:
    """The exit code that an error ends with, after saying what there is to say of it."""
    from emoreason import preemption, ranks

    who = f"{ranks.name()}: " if ranks.world_size() > 1 else ""
    if isinstance(error, preemption.Preempted):
        if ranks.rank() == 0:
            print(error, file=sys.stderr)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    if hasattr(error, "exit_code") and hasattr(error, "show"):  # a mistake on the command line, found by click
        error.show()
        return error.exit_code
    from emoreason.secrets import redacted_text

    if (cause := ranks.first_failure(error, redacted_text(f"{type(error).__name__}: {error}"))) is not None:
        print(cause, file=sys.stderr)
        return 1
    if isinstance(error, UserError):
        for fault in error.faults:
            print(f"{who}error: {redacted_text(fault)}", file=sys.stderr)
        return 2
    if _has_no_room(error):
        print(f"{who}error: a file cannot be written: {error}; free some space, or make the folder writable, then run the same command again; "
              "the checkpoints that are there stay good", file=sys.stderr)  # fmt: skip
        return 2
    if who:
        print(f"{who}failed:", file=sys.stderr)
    print(redacted_text("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    return 1


def _has_no_room(error: BaseException) -> bool:
    """Full disk, quota, limit on a file's size, or a folder that may not be written; safetensors and torch put the number or the words into
    an error of their own."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    said = str(error)
    written = any(f"(os error {code})" in said or f"code: {code}," in said for code in codes)
    return getattr(error, "errno", None) in codes or written or "PytorchStreamWriter failed writing" in said or "unexpected pos" in said
