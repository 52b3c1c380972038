"""The recipe: one YAML file a stage. Strict, complete, checked without a GPU; nothing else configures a run."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from emoreason.completions import SECTIONS, AnswerKind, Template, ThinkKind
from emoreason.emotions import LABEL_SPACES, OPEN_VOCABULARY
from emoreason.faults import did_you_mean
from emoreason.schema import Strict
from emoreason.zero import zero_faults

Part = Literal["vision", "projector", "language"]
PairSource = Literal["samples", "records", "conflict", "cues"]


class LoraSettings(Strict):
    """Low-rank adapters (Hu et al. 2021) on the language model; null tunes all weights that are not frozen."""

    r: Annotated[int, Field(gt=0)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: list[str] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class WarmStart(Strict):
    """Training of the towers alone, to name the labels and cues of the records, before the language model."""

    steps: Annotated[int, Field(ge=0)] = 600
    batch_size: Annotated[int, Field(gt=0)] = 32
    """Of each kind of media in a step."""
    learning_rate: float = 2.0e-3
    weight_decay: float = 0.2


class FromScratch(Strict):
    """A new Qwen2.5-VL or Qwen2.5-Omni thinker with random weights and a tokenizer trained on the recipe's own prompts and targets."""

    family: Literal["qwen2_5_vl", "qwen2_5_omni_thinker"] = "qwen2_5_vl"
    """The first reads pictures and clips, the second sounds too."""
    vocab_size: Annotated[int, Field(ge=300)] = 600
    text_config: dict[str, Any]
    """Handed to transformers' Qwen2_5_VLTextConfig or Qwen2_5OmniTextConfig."""
    vision_config: dict[str, Any]
    """Handed to transformers' Qwen2_5_VLVisionConfig or Qwen2_5OmniVisionEncoderConfig."""
    audio_config: dict[str, Any] | None = None
    """Handed to transformers' Qwen2_5OmniAudioEncoderConfig; for `qwen2_5_omni_thinker`, and only there."""
    warm_start: WarmStart | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> "FromScratch":
        if (self.audio_config is None) == (self.family == "qwen2_5_omni_thinker"):
            found = "missing" if self.audio_config is None else "given"
            raise ValueError(f"audio_config is {found} but family is {self.family}; qwen2_5_omni_thinker has one, qwen2_5_vl has none")
        hidden_size = self.text_config.get("hidden_size")
        for name, key in (("vision_config", "out_hidden_size"), ("audio_config", "output_dim")):
            tower = getattr(self, name)
            if tower is not None and tower.get(key) != hidden_size:
                raise ValueError(f"{name}.{key} is {tower.get(key)} but text_config.hidden_size is {hidden_size}; they are the same size")
        return self


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
    """What is read of pictures, clips and sounds; one object for training, rollouts and evaluation, saved with the checkpoint."""

    min_pixels: Annotated[int, Field(gt=0)] = 200704
    max_pixels: Annotated[int, Field(gt=0)] = 451584
    """Pictures are resized to between these many pixels, sides a multiple of patch size times merge size."""
    fps: Annotated[float, Field(gt=0)] = 2.0
    """Frames sampled from a second of video, evenly over the clip, within the two limits that follow."""
    min_frames: Annotated[int, Field(ge=2)] = 4
    max_frames: Annotated[int, Field(ge=2)] = 32
    video_min_pixels: Annotated[int, Field(gt=0)] = 100352
    video_max_pixels: Annotated[int, Field(gt=0)] = 301056
    """Each frame is resized to between these many pixels."""
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = 16000
    """Samples a second that audio is resampled to; what the audio tower was trained on."""
    max_seconds: Annotated[float, Field(gt=0)] = 120.0
    """Longer clips and sounds are refused."""
    max_megabytes: Annotated[float, Field(gt=0)] = 512.0
    """Larger files are refused unopened."""

    @model_validator(mode="after")
    def _ordered(self) -> "MediaSettings":
        for low, high in (("min_pixels", "max_pixels"), ("min_frames", "max_frames"), ("video_min_pixels", "video_max_pixels")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} is above {high} {getattr(self, high)}")
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
    allow: str | None = None
    """An allow-list of `emoreason media`; records that need other media than those on it are left out."""


def _named_sections(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    if given not in SECTIONS:
        raise ValueError(f"unknown set of sections {given!r}{did_you_mean(given, SECTIONS)}")
    return list(SECTIONS[given])


class TemplateSettings(Strict):
    """What the model writes; see `completions.Template`."""

    think: ThinkKind = "free"
    answer: AnswerKind = "label"
    confidence: bool = False
    sections: Annotated[list[str], BeforeValidator(_named_sections)] = []
    """With `think: sections`, the tags inside `<think>` in order, or the name of a published set of them."""
    prefilled: bool = False
    """The chat template ends the prompt with `<think>`, so that completions start inside of it."""

    @model_validator(mode="after")
    def _is_a_template(self) -> "TemplateSettings":
        self.build()
        return self

    def build(self) -> Template:
        return Template(self.think, self.answer, self.confidence, tuple(self.sections), self.prefilled)


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
    on_error: Literal["stop", "mask"] = "stop"
    """What a failure does: `stop` the run, or `mask`, leave out the completions that fail alone too, with a warning each."""
    max_masked_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Of one call's completions (one is always allowed); beyond it the run stops."""


class Sampling(Strict):
    """How completions are drawn outside of training."""

    num_completions: Annotated[int, Field(gt=0)] = 8
    """Completions a record."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """0 is greedy."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    """0 takes all."""
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    max_new_tokens: Annotated[int, Field(gt=0)] = 512
    batch_size: Annotated[int, Field(gt=0)] = 16
    """Sequences generated at once."""


class Decoding(Sampling):
    """How an evaluation answers: once, greedily unless the recipe says otherwise."""

    num_completions: Literal[1] = 1
    temperature: Annotated[float, Field(ge=0)] = 0.0


class ServerSettings(Strict):
    """A vLLM server: one that runs already, or one that is started for the run and stopped with it."""

    url: str | None = None
    """Of a server that runs already, as `http://node7:8000`; null starts one on this machine, on a free port."""
    arguments: list[str] = []
    """Handed to `vllm serve` when it is started, e.g. `[--tensor-parallel-size, "2"]`."""
    start_timeout_s: Annotated[float, Field(gt=0)] = 900.0
    weights_dir: str | None = None
    """Where new weights are written for the server, which must be able to read it; null is the run's folder."""


class Rollouts(Strict):
    """Which engine answers prompts, in every stage that samples."""

    engine: Literal["transformers", "vllm", "vllm_server"] = "transformers"
    """`transformers`: the model itself; `vllm`: an engine in the same process, on the same device; `vllm_server`: `vllm serve`."""
    sync: Literal["weights", "adapter"] = "weights"
    """What GRPO hands to vLLM after each step: all weights, adapters merged in, or the adapter alone, which vLLM then runs beside the base."""
    sleep: bool = False
    """With `vllm`: the engine gives its memory to the trainer while it has nothing to do."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.3
    """With `vllm`: share of the device's memory for its weights and cache."""
    max_model_len: Annotated[int, Field(gt=0)] | None = None
    """Longest prompt and completion; null takes the model's own, for which the cache has to be large enough."""
    max_num_seqs: Annotated[int, Field(gt=0)] = 256
    """Sequences that vLLM runs at once."""
    request_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Longest wait for one prompt's completions."""
    sync_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """Longest wait for a sync; beyond it the run stops."""
    max_difference: Annotated[float, Field(gt=0)] = 0.1
    """Largest mean difference, in nat, between the engine's and the trainer's log-probabilities of the same tokens; beyond it the run stops."""
    server: ServerSettings = ServerSettings()

    @model_validator(mode="after")
    def _fits_the_engine(self) -> "Rollouts":
        if self.engine != "vllm_server" and self.server != ServerSettings():
            raise ValueError(f"server is given but engine is {self.engine}; set engine to vllm_server, or leave server out")
        if self.engine != "vllm" and self.sleep:
            raise ValueError(f"sleep is true but engine is {self.engine}; only vllm shares a device with the trainer")
        if self.engine == "transformers" and self.sync == "adapter":
            raise ValueError("sync is adapter but engine is transformers, which is never synced: it is the model that is trained")
        return self


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
    max_oversampling: Annotated[float, Field(ge=1)] = 4.0
    """Targets pile up where the model mostly is, and a model that sees one number learns one number. So answers are drawn such that
    the occupied tenths of [0, 1] count alike, those of a rare one at most this many times as often as those of the fullest. The
    number of draws stays, so the fullest tenths are thinned; 1 draws all answers alike."""

    @model_validator(mode="after")
    def _ordered(self) -> "ConfidenceTarget":
        if self.min_confidence > self.max_confidence:
            raise ValueError(f"min_confidence {self.min_confidence} is above max_confidence {self.max_confidence}")
        return self


class PairSettings(Strict):
    """Where chosen and rejected answers come from; see `preferences`."""

    sources: Annotated[list[PairSource], Field(min_length=1)] = ["samples"]
    """One or more, mixed. `samples`: the model's own completions, ranked by the rewards; `records`: the `preference` of each record;
    `conflict`: the modality asked for against the other; `cues`: cues that bear on the emotion against others, and other media."""
    views: Annotated[int, Field(gt=0)] = 1
    """Of samples: random views of a record that are answered; 1 shows it as it is, more need `augment`."""
    min_margin: Annotated[float, Field(gt=0)] = 0.2
    """Of samples: smallest difference in total reward between the two."""
    max_pairs_per_record: Annotated[int, Field(gt=0)] = 2
    """Of samples, those of all views together."""

    @model_validator(mode="after")
    def _sources_differ(self) -> "PairSettings":
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f"sources {self.sources} name one twice; each gives all of its pairs")
        return self


class PreferenceLoss(Strict):
    """What DPO adds to its loss for records that have more than one pair (AVEm-DPO, arXiv 2602.07054)."""

    media_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the loss against the rejected media, for records that have them."""
    text_prior: Annotated[float, Field(ge=0)] = 0.0
    """How much of what the model would answer without media is taken off the margin, without gradient."""


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


class Packing(Strict):
    """How a batch runs through the model: every prompt once, or row by row. The numbers are the same."""

    shared_prefix: Literal["auto", "always", "never"] = "auto"
    """`auto` shares where the model can and a first comparison with plain rows agrees; `always` refuses models that cannot."""
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    """Longest packed row; null puts a whole micro-batch into one."""


class Zero(Strict):
    """DeepSpeed ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054); its other settings are those of `trainer` and `model.dtype`."""

    stage: Literal[1, 2, 3]
    """What is spread over the processes: 1 the optimizer's state, 2 gradients too, 3 the weights too."""
    offload_optimizer: bool = False
    """The optimizer's state and step stay on the CPU."""
    offload_parameters: bool = False
    """With stage 3: weights stay on the CPU until they are needed."""
    extra: dict[str, Any] = {}
    """Any other settings of DeepSpeed, nested as in its JSON; none that the recipe says elsewhere."""

    @model_validator(mode="after")
    def _fits(self) -> "Zero":
        if self.offload_parameters and self.stage != 3:
            raise ValueError(f"offload_parameters is true but stage is {self.stage}; only stage 3 spreads the weights")
        if faults := zero_faults(self.extra):
            raise ValueError("; ".join(faults))
        return self


class Checkpoints(Strict):
    """Which checkpoints of a stage stay on disk while it trains; `trainer.save_steps` says when they are written."""

    keep_last: Annotated[int, Field(ge=1)] = 2
    keep_best: Annotated[int, Field(ge=0)] = 0
    """Of those by `best_by`; their weights stay in `best/` when the run has ended."""
    best_by: str | None = None
    """A column of metrics.jsonl, e.g. `reward` or `loss`: its mean over the steps since the checkpoint before."""
    best_is: Literal["highest", "lowest"] = "highest"

    @model_validator(mode="after")
    def _fits(self) -> "Checkpoints":
        if (self.keep_best > 0) != (self.best_by is not None):
            raise ValueError(f"keep_best is {self.keep_best} and best_by is {self.best_by}; give both, e.g. keep_best: 1, best_by: reward")
        return self


class Watchdog(Strict):
    """When a run that goes nowhere is ended, so that no node stands idle for a night."""

    minutes: Annotated[float, Field(gt=0)] = 30.0
    """Without a micro-batch, a rollout, a reward or a checkpoint that ends: every process writes its stacks to the log, and the run ends with 70."""
    max_loss: Annotated[float, Field(gt=0)] = 1.0e4
    """A larger loss, or one that is no number, ends the run before it reaches the weights, and says at which records."""


class TrainingRecipe(Recipe):
    """What the training stages share."""

    data: list[DataSource]
    packing: Packing = Packing()
    augment: Augmentation | None = None
    trainer: dict[str, Any] = {}
    """Handed to TRL's config class unchanged: its names, its defaults."""
    zero: Zero | None = None
    """Spread the training over processes by DeepSpeed; null keeps a whole copy on each."""
    checkpoints: Checkpoints = Checkpoints()
    watchdog: Watchdog = Watchdog()
    trackers: list[Literal["tensorboard", "wandb"]] = []
    """What else shows metrics.jsonl while the stage trains; `emoreason track` sends them at any time."""
    release: bool = False
    """`emoreason run` releases the checkpoint of this stage."""


class SftRecipe(TrainingRecipe):
    stage: Literal["sft"]
    phases: Annotated[list[Phase], Field(min_length=1)]


class ConfidenceRecipe(TrainingRecipe):
    stage: Literal["confidence"]
    rollouts: Rollouts = Rollouts()
    sampling: Sampling = Sampling()
    confidence: ConfidenceTarget = ConfidenceTarget()

    @model_validator(mode="after")
    def _views_differ(self) -> "ConfidenceRecipe":
        if self.confidence.views > 1 and self.augment is None:
            raise ValueError(f"confidence.views is {self.confidence.views} but augment is null, so all views are the same; give augment: {{}}")
        return self


class GrpoRecipe(TrainingRecipe):
    stage: Literal["grpo"]
    rollouts: Rollouts = Rollouts()
    rewards: Annotated[list[RewardSpec], Field(min_length=1)]
    reward_alarm_steps: Annotated[int, Field(gt=0)] | None = 20
    """Warn of a reward, or of a spread within groups, that stays constant for so many steps; null never warns."""
    max_resamples: Annotated[int, Field(ge=0)] = 0
    """A group whose completions all score alike teaches nothing and is drawn again, at most so many times a step (DAPO); 0 keeps it."""

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "GrpoRecipe":
        taken = sorted(name for name in self.trainer if name == "use_vllm" or (name.startswith("vllm_") and "importance" not in name))
        if taken:
            raise ValueError(f"trainer.{', trainer.'.join(taken)}: the engine is chosen by rollouts, for every stage alike; "
                             "write rollouts: {engine: vllm} (or vllm_server) and leave these out")
        if self.rollouts.sync == "adapter" and not self.model.lora:
            raise ValueError("rollouts.sync is adapter but model.lora is null, so there is none; give model.lora, or set sync to weights")
        if self.rollouts.engine != "transformers" and self.trainer.get("generation_kwargs"):
            raise ValueError(f"trainer.generation_kwargs goes to transformers alone, and rollouts.engine is {self.rollouts.engine}; leave it out")
        return self


class DpoRecipe(TrainingRecipe):
    stage: Literal["dpo"]
    rewards: list[RewardSpec] = []
    """Rank the samples."""
    rollouts: Rollouts = Rollouts()
    sampling: Sampling = Sampling()
    pairs: PairSettings = PairSettings()
    preference: PreferenceLoss = PreferenceLoss()

    @model_validator(mode="after")
    def _can_make_pairs(self) -> "DpoRecipe":
        sources, template = self.pairs.sources, self.template
        if "samples" in sources and not self.rewards:
            raise ValueError("pairs.sources has samples but there are no rewards to rank them; give rewards, or leave samples out")
        if self.pairs.views > 1 and self.augment is None:
            raise ValueError(f"pairs.views is {self.pairs.views} but augment is null, so all views are the same; give augment: {{}}")
        if "conflict" in sources and template.answer in ("verdict", "none"):
            raise ValueError(f"pairs.sources has conflict but template.answer is {template.answer}; accepted: label, list, choice")
        if "cues" in sources and template.think != "free":
            raise ValueError(f"pairs.sources has cues but template.think is {template.think}; rationales are written from cues as free text")
        return self


class EvaluateRecipe(Recipe):
    stage: Literal["evaluate"]
    tests: Annotated[dict[str, str], Field(min_length=1)]
    """{name of the test set: records file}."""
    rollouts: Rollouts = Rollouts()
    decoding: Decoding = Decoding()
    rewards: list[RewardSpec] = []
    """Scored on the answers too, as the metric `reward`, their weighted sum."""
    num_bootstrap: Annotated[int, Field(ge=100)] = 1000


AnyRecipe = SftRecipe | ConfidenceRecipe | GrpoRecipe | DpoRecipe | EvaluateRecipe
RECIPE_CLASSES = {"sft": SftRecipe, "confidence": ConfidenceRecipe, "grpo": GrpoRecipe, "dpo": DpoRecipe, "evaluate": EvaluateRecipe}
CONFIG_KIND = {"sft": "sft", "confidence": "sft", "grpo": "grpo", "dpo": "dpo"}
