"""The recipe: one YAML file a stage. Strict, complete, checked without a GPU; nothing else configures a run."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from emoreason.completions import Template
from emoreason.emotions import LABEL_SPACES, OPEN_VOCABULARY
from emoreason.faults import UserError, did_you_mean, raise_faults
from emoreason.schema import Strict, describe, dotted
from emoreason.trainer_fields import trainer_faults

Part = Literal["vision", "projector", "language"]


class LoraSettings(Strict):
    """Low-rank adapters (Hu et al. 2021) on the language model; null tunes all weights that are not frozen."""

    r: Annotated[int, Field(gt=0)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: list[str] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class WarmStart(Strict):
    """Training of the vision tower alone, to name the labels and cues of the records, before the language model."""

    steps: Annotated[int, Field(ge=0)] = 600
    batch_size: Annotated[int, Field(gt=0)] = 32
    learning_rate: float = 2.0e-3
    weight_decay: float = 0.2


class FromScratch(Strict):
    """A new Qwen2.5-VL with random weights and a tokenizer trained on the recipe's own prompts and targets."""

    vocab_size: Annotated[int, Field(ge=300)] = 600
    text_config: dict[str, Any]
    """Handed to transformers' Qwen2_5_VLTextConfig."""
    vision_config: dict[str, Any]
    """Handed to transformers' Qwen2_5_VLVisionConfig."""
    warm_start: WarmStart | None = None


class ModelSettings(Strict):
    """Which checkpoint a stage starts from and what of it is tuned."""

    path: str
    """A folder, or the name of a model on the hub."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    attn_implementation: str = "sdpa"
    freeze: list[Part] = []
    """Parts whose weights stay as they are."""
    lora: LoraSettings | None = None
    trust_remote_code: bool = False
    from_scratch: FromScratch | None = None
    """Build `path` when it does not exist."""


class MediaSettings(Strict):
    """What the processor does to pictures; one object for training, rollouts and evaluation, saved with the checkpoint."""

    min_pixels: Annotated[int, Field(gt=0)] = 200704
    max_pixels: Annotated[int, Field(gt=0)] = 451584
    """Pictures are resized to between these many pixels, sides a multiple of patch size times merge size."""

    @model_validator(mode="after")
    def _ordered(self) -> "MediaSettings":
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels {self.min_pixels} is above max_pixels {self.max_pixels}")
        return self


class Augmentation(Strict):
    """Random changes to training pictures; null trains on them as they are."""

    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 15
    min_scale: Annotated[float, Field(gt=0)] = 0.85
    max_scale: Annotated[float, Field(gt=0)] = 1.15
    shift: Annotated[float, Field(ge=0, le=1)] = 0.12
    """Largest shift as a share of the side."""
    flip: bool = True
    """Left and right swapped in half of the pictures."""
    colour: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Strength of greying, contrast and tint; 0 leaves colours alone."""


class PromptSettings(Strict):
    """What the user turn says beside the media, the same in every stage."""

    system: str | None = None
    question: str = "Which emotion is shown?"
    """Asked when a record brings no question of its own."""
    instruction: str | None = None
    """How to answer; null describes the template in a sentence."""
    list_classes: bool = False
    """Name the classes of the label space in the prompt."""


class DataSource(Strict):
    """One records file in a mix."""

    path: str
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often a record of this file is drawn, relative to one of weight 1."""


class TemplateSettings(Strict):
    """What the model writes; see `completions.Template`."""

    think: Literal["none", "free"] = "free"
    answer: Literal["none", "label", "list"] = "label"
    confidence: bool = False

    def build(self) -> Template:
        return Template(self.think, self.answer, self.confidence)


class Phase(Strict):
    """One step of a curriculum: its own data mix, template, trainable parts and steps. Phases run in the order written."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    think_from: Literal["cues", "reasoning"] = "reasoning"
    """The field of the target that fills `<think>`."""
    template: TemplateSettings | None = None
    data: list[DataSource] | None = None
    freeze: list[Part] | None = None
    trainer: dict[str, Any] = {}
    """Settings of this phase over those of the recipe's `trainer`."""


class RewardSpec(Strict):
    """A reward by address: `package.module:function` or `path/to/file.py:function`."""

    func: Annotated[str, Field(pattern=r"^[^:]+:[A-Za-z_]\w*$")]
    weight: float = 1.0
    kwargs: dict[str, Any] = {}
    timeout_s: Annotated[float, Field(gt=0)] | None = 60.0
    """Seconds that one call may take, in a process of its own; null calls it in this process without a limit."""


class Sampling(Strict):
    """How completions are drawn outside of training."""

    num_completions: Annotated[int, Field(gt=0)] = 8
    """Completions a record."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_new_tokens: Annotated[int, Field(gt=0)] = 512
    batch_size: Annotated[int, Field(gt=0)] = 16
    """Sequences generated at once."""


class Decoding(Sampling):
    """How an evaluation answers: once, greedily unless the recipe says otherwise."""

    num_completions: Literal[1] = 1
    temperature: Annotated[float, Field(ge=0)] = 0.0


class ConfidenceTarget(Strict):
    """How a record's confidence target is made: a weighted mean of what samples and what annotators say."""

    views: Annotated[int, Field(gt=0)] = 1
    """Random views of a record that are answered and learned from; more than one needs `augment`."""
    human_weight: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Weight of the annotators' share for the answer, where the record has a distribution; the samples have the rest."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.02
    max_confidence: Annotated[float, Field(ge=0, le=1)] = 0.98
    step: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Targets are rounded to a multiple of this, since samples tell no finer."""


class PairSettings(Strict):
    """How scored completions become chosen and rejected."""

    min_margin: Annotated[float, Field(gt=0)] = 0.2
    """Smallest difference in total reward between the two."""
    max_pairs_per_record: Annotated[int, Field(gt=0)] = 2


class Recipe(Strict):
    """What all stages share."""

    output_dir: str
    """Where the stage writes; relative paths start at the working directory, here and everywhere in a recipe."""
    seed: int = 0
    model: ModelSettings
    media: MediaSettings = MediaSettings()
    label_space: str = OPEN_VOCABULARY
    prompt: PromptSettings = PromptSettings()
    template: TemplateSettings = TemplateSettings()

    @model_validator(mode="after")
    def _label_space_exists(self) -> "Recipe":
        known = [*LABEL_SPACES, OPEN_VOCABULARY]
        if self.label_space not in known:
            raise ValueError(f"unknown label_space {self.label_space!r}{did_you_mean(self.label_space, known)}")
        return self


class TrainingRecipe(Recipe):
    """What the training stages share."""

    data: list[DataSource]
    augment: Augmentation | None = None
    trainer: dict[str, Any] = {}
    """Handed to TRL's config class unchanged: its names, its defaults."""
    release: bool = False
    """`emoreason run` releases the checkpoint of this stage."""


class SftRecipe(TrainingRecipe):
    stage: Literal["sft"]
    phases: Annotated[list[Phase], Field(min_length=1)]


class ConfidenceRecipe(TrainingRecipe):
    stage: Literal["confidence"]
    sampling: Sampling = Sampling()
    confidence: ConfidenceTarget = ConfidenceTarget()

    @model_validator(mode="after")
    def _views_differ(self) -> "ConfidenceRecipe":
        if self.confidence.views > 1 and self.augment is None:
            raise ValueError(f"confidence.views is {self.confidence.views} but augment is null, so all views are the same; give augment: {{}}")
        return self


class GrpoRecipe(TrainingRecipe):
    stage: Literal["grpo"]
    rewards: Annotated[list[RewardSpec], Field(min_length=1)]


class DpoRecipe(TrainingRecipe):
    stage: Literal["dpo"]
    rewards: Annotated[list[RewardSpec], Field(min_length=1)]
    sampling: Sampling = Sampling()
    pairs: PairSettings = PairSettings()


class EvaluateRecipe(Recipe):
    stage: Literal["evaluate"]
    tests: Annotated[dict[str, str], Field(min_length=1)]
    """{name of the test set: records file}."""
    decoding: Decoding = Decoding()
    rewards: list[RewardSpec] = []
    """Scored on the answers too, as the metric `reward`, their weighted sum."""
    num_bootstrap: Annotated[int, Field(ge=100)] = 1000


AnyRecipe = SftRecipe | ConfidenceRecipe | GrpoRecipe | DpoRecipe | EvaluateRecipe
RECIPE_CLASSES = {"sft": SftRecipe, "confidence": ConfidenceRecipe, "grpo": GrpoRecipe, "dpo": DpoRecipe, "evaluate": EvaluateRecipe}
CONFIG_KIND = {"sft": "sft", "confidence": "sft", "grpo": "grpo", "dpo": "dpo"}


def load_recipe(path: Path, overrides: list[str] | None = None) -> AnyRecipe:
    """The recipe in a YAML file, with `key.path=value` overrides applied.

    Raises:
        UserError: with every fault that the file alone shows, each with file, line and key.
    """
    values, lines = _read_yaml(path)
    for override in overrides or []:
        place = _apply_override(values, override)
        lines = {key: where for key, where in lines.items() if key[: len(place)] != place}
        for size in range(1, len(place) + 1):
            lines.setdefault(place[:size], f"override {override!r}")
    stage = values.get("stage")
    if not isinstance(stage, str) or stage not in RECIPE_CLASSES:
        raise UserError(f"{path}: stage is {stage!r}; accepted: {', '.join(RECIPE_CLASSES)}")
    recipe_class = RECIPE_CLASSES[stage]
    faults, recipe = [], None
    try:
        recipe = TypeAdapter(recipe_class).validate_python(values)
    except ValidationError as error:
        faults += [_fault(path, lines, location, text) for location, text in describe(error, recipe_class)]
    if stage != "evaluate":
        faults += _trainer_faults(path, lines, stage, values)
    raise_faults(faults)
    return recipe


def load_folder(folder: Path, overrides: list[str] | None = None) -> tuple[dict[Path, AnyRecipe], list[str]]:
    """(the recipes of a folder by path, the faults of those that do not load).

    An override goes to the recipes whose stage has its first key, and must suit at least one.
    """
    recipes, faults, used = {}, [], set()
    for path in sorted(folder.glob("*.yaml")):
        try:
            stage = _read_yaml(path)[0].get("stage")
            keys = RECIPE_CLASSES[stage].model_fields if isinstance(stage, str) and stage in RECIPE_CLASSES else {}
            mine = [one for one in overrides or [] if one.partition("=")[0].split(".")[0] in keys]
            used.update(mine)
            recipes[path] = load_recipe(path, mine)
        except UserError as error:
            faults += error.faults
    if not recipes and not faults:
        faults.append(f"{folder}: no recipes (*.yaml) here (relative paths start at {Path.cwd()})")
    known = sorted({key for recipe_class in RECIPE_CLASSES.values() for key in recipe_class.model_fields})
    for override in sorted(set(overrides or []) - used):
        faults.append(f"override {override!r} suits no recipe of {folder}{did_you_mean(override.partition('=')[0].split('.')[0], known)}")
    return recipes, faults


def moved(recipe: AnyRecipe, old_root: Path, new_root: Path) -> AnyRecipe:
    """The recipe with `output_dir` and `model.path` under another root, where they lie under the old one."""

    def move(path: str) -> str:
        return str(new_root / Path(path).relative_to(old_root)) if Path(path).is_relative_to(old_root) else path

    model = recipe.model.model_copy(update={"path": move(recipe.model.path)})
    return recipe.model_copy(update={"output_dir": move(recipe.output_dir), "model": model})


def _trainer_faults(path: Path, lines: dict[tuple, int | str], stage: str, values: dict) -> list[str]:
    blocks = [((), values.get("trainer"))]
    phases = values.get("phases") if isinstance(values.get("phases"), list) else []
    blocks += [(("phases", index), phase.get("trainer")) for index, phase in enumerate(phases) if isinstance(phase, dict)]
    return [
        _fault(path, lines, (*where, "trainer", name), text)
        for where, settings in blocks if isinstance(settings, dict)
        for name, text in trainer_faults(CONFIG_KIND[stage], settings)
    ]  # fmt: skip


def _fault(path: Path, lines: dict[tuple, int | str], location: tuple, text: str) -> str:
    """`lines` holds the line of each key, or the override that set it."""
    line = next((lines[location[:size]] for size in range(len(location), 0, -1) if location[:size] in lines), "")
    where = f"{path}:{line}" if isinstance(line, int) else line or str(path)
    return f"{where}: {dotted(location)}: {text}" if location else f"{where}: {text}"


def _read_yaml(path: Path) -> tuple[dict, dict[tuple, int]]:
    """The values of a YAML file and the line of each key; a key given twice is a fault."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such recipe (relative paths start at {Path.cwd()})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a recipe: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys, this file holds {type(values).__name__}")
    lines: dict[tuple, int] = {}
    faults: list[str] = []
    _walk(root, (), lines, faults, path)
    raise_faults(faults)
    return values, lines


def _walk(node: yaml.Node, location: tuple, lines: dict[tuple, int], faults: list[str], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*location, key.value)
            line = key.start_mark.line + 1
            if place in lines:
                faults.append(f"{path}:{line}: {dotted(place)}: given twice, first on line {lines[place]}")
            lines.setdefault(place, line)
            _walk(value, place, lines, faults, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*location, index] = value.start_mark.line + 1
            _walk(value, (*location, index), lines, faults, path)


def _apply_override(values: dict, override: str) -> tuple:
    """Set `key.path=value` in nested mappings and lists, the value read as YAML; the location that was set."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"override {override!r}: give key.path=value, for example trainer.learning_rate=1.0e-6")
    *parents, last = key.split(".")
    place: Any = values
    location: list[str | int] = []
    for part in parents:
        location.append(int(part) if isinstance(place, list) and part.isdigit() else part)
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise UserError(f"override {override!r}: {part!r} is no place in a list of {len(place)}")
            place = place[int(part)]
        else:
            place = place.setdefault(part, {})
        if not isinstance(place, dict | list):
            raise UserError(f"override {override!r}: {part!r} holds {place!r}, which has no keys")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"override {override!r}: the value is not YAML") from error
    if isinstance(place, list):
        if not last.isdigit() or int(last) >= len(place):
            raise UserError(f"override {override!r}: {last!r} is no place in a list of {len(place)}")
        place[int(last)] = value
        return (*location, int(last))
    place[last] = value
    return (*location, last)
