"""Everything about a recipe that can be known before torch is imported: the body of `emoreason check`."""

from pathlib import Path
from typing import Any

from emoreason.allow_list import changed_media, read_source
from emoreason.faults import UserError
from emoreason.files import read_json
from emoreason.media import media_faults
from emoreason.media_tokens import ADAPTER_FAMILIES, MODALITIES, VLLM_FAMILIES
from emoreason.preferences import no_pairs, unsampled_pairs
from emoreason.prompts import media_kinds, target_problems
from emoreason.recipe import AnyRecipe, ConfidenceRecipe, DataSource, DpoRecipe, EvaluateRecipe, GrpoRecipe, MediaSettings, SftRecipe
from emoreason.recipe_files import load_folder
from emoreason.records import COLUMNS, Media, Record
from emoreason.rewarding import binding_faults
from emoreason.run_dir import RunDir
from emoreason.trackers import missing_package

MAX_SHOWN = 20


CLIPS = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".flv", ".wmv"}
SOUNDS = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac"}


def file_record(path: Path, hear_clips: bool = False) -> Record:
    """A record of one file from anywhere: a clip or a sound by the ending of its name, else a picture; media lie beside it.

    With `hear_clips` the sound track of a clip is heard in time with its frames.
    """
    if path.suffix.lower() in CLIPS:
        media = Media(video=path.name, audio_in_video=hear_clips)
    else:
        media = Media(audio=path.name) if path.suffix.lower() in SOUNDS else Media(images=[path.name])
    return Record(id=str(path), group=str(path), media=media, dataset="predict", split="predict", licence="", source="")


def prediction_faults(folder: Path, files: list[Path], hear_clips: bool = False) -> list[str]:
    """What keeps a release from answering for these files: no release there, a file that is missing or damaged."""
    if not (folder / "emoreason.json").exists():
        faults = [f"{folder}: no release here (emoreason.json is missing); make one: emoreason release RUN {folder}"]
        settings = MediaSettings()
    else:
        faults, settings = [], MediaSettings(**read_json(folder / "emoreason.json")["media"])
    for path in files:
        found = media_faults([file_record(path, hear_clips)], path, settings)
        faults += [fault.removeprefix(f"{path}: record {str(path)!r}: ") for fault in found]
    return faults


def check_recipe(path: Path, recipe: AnyRecipe, line: list[AnyRecipe] | None = None) -> list[str]:
    """Every fault of a recipe that its own file does not show: data, pictures, targets, rewards, the parent's settings.

    `line` holds the recipes that may make its parent; None means those in the same folder.
    """
    faults: list[str] = []
    records = _read_all(recipe, faults)
    line = list(load_folder(path.parent)[0].values()) if line is None else line
    family = _family(recipe, line)
    for records_path, found in records.items():
        faults += media_faults(found, records_path, recipe.media)
        faults += _modality_faults(recipe, family, records_path, found)
        faults += _label_space_faults(recipe, records_path, found)
    faults += _target_faults(recipe, records)
    if isinstance(recipe, DpoRecipe):
        faults += _pair_faults(path, recipe, records)
    if isinstance(recipe, GrpoRecipe | DpoRecipe | EvaluateRecipe):
        faults += _reward_faults(path, recipe)
    faults += [f"{path}: trackers: {problem}" for tracker in getattr(recipe, "trackers", []) if (problem := missing_package(tracker))]
    # A recipe beside this one that does not load is reported by its own check.
    faults += _parent_faults(path, recipe, line)
    hidden = len(faults) - MAX_SHOWN
    return faults if hidden <= 0 else [*faults[:MAX_SHOWN], f"and {hidden} more of these"]


def _read_all(recipe: AnyRecipe, faults: list[str]) -> dict[Path, list[Record]]:
    """{records file: the records that any of its sources reads}"""
    found: dict[Path, dict[str, Record]] = {}
    for source in data_sources(recipe):
        try:
            selection = read_source(source)
        except UserError as error:
            faults += error.faults
            continue
        faults += changed_media(selection)
        found.setdefault(Path(source.path), {}).update({record.id: record for record in selection.records})
    return {path: list(records.values()) for path, records in found.items()}


def data_sources(recipe: AnyRecipe) -> list[DataSource]:
    """Every records file that the recipe names, with its allow-list, once, sorted; the weights are not told."""
    if isinstance(recipe, EvaluateRecipe):
        return [DataSource(path=path) for path in sorted(set(recipe.tests.values()))]
    sources = list(recipe.data)
    if isinstance(recipe, SftRecipe):
        sources += [source for phase in recipe.phases for source in phase.data or []]
    named = {(source.path, source.allow) for source in sources}
    return [DataSource(path=path, allow=allow) for path, allow in sorted(named, key=lambda one: (one[0], one[1] or ""))]


def data_paths(recipe: AnyRecipe) -> list[str]:
    """Every records file that the recipe names, once, sorted."""
    return sorted({source.path for source in data_sources(recipe)})


def _family(recipe: AnyRecipe, line: list[AnyRecipe]) -> str | None:
    """The `model_type` that the stage starts from: that of a checkpoint on disk, or of what the recipes before it make; None where unknown."""
    folder = Path(recipe.model.path)
    if (folder / "adapter_config.json").exists():
        folder = Path(read_json(folder / "adapter_config.json")["base_model_name_or_path"])
    if (folder / "config.json").exists():
        return read_json(folder / "config.json").get("model_type")
    if recipe.model.from_scratch:
        return recipe.model.from_scratch.family
    makers = [other for other in line if other.stage != "evaluate" and RunDir(other.output_dir).checkpoint_path == Path(recipe.model.path)]
    return _family(makers[0], [other for other in line if other is not makers[0]]) if makers else None


def _modality_faults(recipe: AnyRecipe, family: str | None, path: Path, records: list[Record]) -> list[str]:
    """Media that the model does not read, or that its rollouts would never see."""
    faults = []
    engine = "transformers" if isinstance(recipe, SftRecipe) else recipe.rollouts.engine
    for record in records:
        kinds = set(media_kinds(record.media)) | ({"audio"} if record.media.audio_in_video else set())
        if foreign := kinds - set(MODALITIES.get(family, kinds)):
            faults.append(f"{path}: record {record.id!r}: {' and '.join(sorted(foreign))}, which {family} does not read; "
                          f"accepted: {', '.join(MODALITIES[family])}")
        if engine == "vllm_server" and (record.media.audio_in_video or (family == "qwen3_vl" and "video" in kinds)):
            what = "a sound track heard in its clip" if record.media.audio_in_video else "a clip, whose frames qwen3_vl parts by text"
            faults.append(f"{path}: record {record.id!r}: {what}, which the API of a vLLM server cannot place; set rollouts.engine to vllm")
    by_adapter = isinstance(recipe, GrpoRecipe) and recipe.rollouts.sync == "adapter"
    if by_adapter and family in set(VLLM_FAMILIES) - set(ADAPTER_FAMILIES):
        faults.append(f"rollouts.sync: vLLM does not run adapters of {family} as they are needed; accepted: {', '.join(ADAPTER_FAMILIES)}; "
                      "set rollouts.sync to weights")
    if engine != "transformers" and family in set(MODALITIES) - set(VLLM_FAMILIES):
        faults.append(f"rollouts.engine: vLLM does not compute {family} as the trainer does; accepted: {', '.join(VLLM_FAMILIES)}; "
                      "set rollouts.engine to transformers")
    return faults


def _label_space_faults(recipe: AnyRecipe, path: Path, records: list[Record]) -> list[str]:
    spaces = sorted({record.target.label_space for record in records} - {recipe.label_space})
    return [f"{path}: records are labelled in {space!r}, the recipe's label_space is {recipe.label_space!r}" for space in spaces]


def _target_faults(recipe: AnyRecipe, records: dict[Path, list[Record]]) -> list[str]:
    """SFT targets that the parser rejects, so that no stage teaches a format that a later stage punishes."""
    faults = []
    if isinstance(recipe, ConfidenceRecipe):
        unlabelled = [(path, record) for path, found in records.items() for record in found if record.target.label is None]
        faults += [f"{path}: record {record.id!r}: no target.label, which a confidence target needs" for path, record in unlabelled]
    for phase in recipe.phases if isinstance(recipe, SftRecipe) else []:
        template = (phase.template or recipe.template).build()
        for source in phase.data or recipe.data:
            for record in records.get(Path(source.path), []):
                problems = target_problems(record, template, phase.think_from, 0.5 if template.confidence else None)
                faults += [f"{source.path}: record {record.id!r}: SFT target: {problem}" for problem in problems]
    return list(dict.fromkeys(faults))


def _pair_faults(path: Path, recipe: DpoRecipe, records: dict[Path, list[Record]]) -> list[str]:
    """Sources that would give no pair, and rejected media that cannot be read."""
    everything = [record for found in records.values() for record in found]
    wanted = [source for source in recipe.pairs.sources if source != "samples"] if everything else []
    faults = []
    for source in wanted:
        pairs = unsampled_pairs(source, everything, recipe)
        faults += [] if pairs.records else [f"{path}: {no_pairs(source, pairs)}"]
    if "records" in wanted:
        for records_path, found in records.items():
            preferring = [record for record in found if record.preference and record.preference.rejected_media]
            rejected = [record.model_copy(update={"media": record.preference.rejected_media}) for record in preferring]
            faults += [f"{fault} (preference.rejected_media)" for fault in media_faults(rejected, records_path, recipe.media)]
    return faults


def _reward_faults(path: Path, recipe: GrpoRecipe | DpoRecipe | EvaluateRecipe) -> list[str]:
    faults, names = [], []
    for index, spec in enumerate(recipe.rewards):
        names.append(spec.func.rpartition(":")[2])
        try:
            found = binding_faults(spec.func, spec.kwargs, COLUMNS)
        except UserError as error:
            found = error.faults
        faults += [f"{path}: rewards[{index}]: {fault}" for fault in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [f"{path}: rewards: {name} is given twice, and logs tell rewards apart by name" for name in twice]
    return faults


def _parent_faults(path: Path, recipe: AnyRecipe, line: list[AnyRecipe]) -> list[str]:
    """Where a stage would read its parent with another template, label space or pixels than the parent was trained with."""
    parent = _parent_recipe(recipe, line)
    if parent is None:
        missing = Path(recipe.model.path).is_absolute() or recipe.model.path.count("/") != 1
        if missing and not Path(recipe.model.path).exists() and not recipe.model.from_scratch:
            return [f"{path}: model.path: {recipe.model.path} does not exist, and no recipe beside this one writes it"]
        return []
    mine, faults = recipe.model_dump(), []
    for key in ("media", "prompt", "template"):  # a run of an older version lacks the keys that came later
        parent = {**parent, key: {**type(getattr(recipe, key))().model_dump(), **parent[key]}}
    for key in ("label_space", "media", "prompt"):
        here, there = mine[key], parent[key]
        if here != there:
            if isinstance(here, dict):  # of many settings those that differ
                here, there = ({name: value for name, value in one.items() if here[name] != there[name]} for one in (mine[key], parent[key]))
            faults.append(f"{path}: {key}: {here} here, but {there} where {recipe.model.path} was trained")
    grown = {**parent["template"], "confidence": True} if recipe.stage == "confidence" else parent["template"]
    if recipe.stage != "evaluate" and mine["template"] not in (parent["template"], grown):
        faults.append(f"{path}: template: {mine['template']} here, but {parent['template']} where {recipe.model.path} was trained")
    return faults


def _parent_recipe(recipe: AnyRecipe, line: list[AnyRecipe]) -> dict[str, Any] | None:
    """The resolved recipe that makes `model.path`: from the run that made it, else from the recipes beside this one."""
    manifest = RunDir(Path(recipe.model.path).parent).manifest
    if manifest is not None:
        return manifest["recipe"]
    makers = [other for other in line if other.stage != "evaluate" and RunDir(other.output_dir).checkpoint_path == Path(recipe.model.path)]
    return makers[0].model_dump() if makers else None
