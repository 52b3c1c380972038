"""What the frameworks' own loaders make of exported files: a program, since their modules and torch stay out of the tests' process.

    python framework_loaders.py FRAMEWORKS_DIR '[["ms_swift", "sft", "folder/file.parquet"], ...]'

Prints a JSON list a file. Only the modules that read rows run, out of packages that are installed without what they depend on: the
packages around them are empty shells, and what is absent and not used for it is a mock.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import sys
import types
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock


class Mocked(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of these names, and below them, as mocks."""

    def __init__(self, *names: str):
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if any(name == known or name.startswith(f"{known}.") for known in self.names):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__getattr__ = self.attribute
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass

    @staticmethod
    def attribute(name: str) -> MagicMock:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


def shells(root: Path, *names: str) -> None:
    """Packages whose modules are found and whose `__init__` is not run."""
    for name in names:
        module = types.ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = module


def ms_swift(root: Path, kind: str, path: Path) -> list:
    sys.meta_path.append(Mocked("modelscope", "json_repair", "addict"))
    shells(root, "swift", "swift.dataset", "swift.template")
    inputs = importlib.import_module("swift.template.template_inputs")
    for name in ("history_to_messages", "MaxLengthError", "Template"):
        setattr(sys.modules["swift.template"], name, MagicMock(name=name))
    core = importlib.import_module("swift.dataset.preprocessor.core")
    dataset = core.MessagesPreprocessor()(rows_of(path), load_from_cache_file=False, strict=True, enable_auto_mapping=True)

    def said(one) -> dict:
        return {"system": one.system, "messages": one.messages, "images": [image["path"] for image in one.images], "videos": one.videos,
                "audios": one.audios, "solution": one.extra_kwargs.get("solution")}  # fmt: skip

    read = [inputs.TemplateInputs.from_dict(row) for row in dataset]
    return [[said(one) for one in (row.chosen, row.rejected) if one is not None] for row in read]


def llama_factory(root: Path, kind: str, path: Path) -> list:
    if importlib.util.find_spec("torchaudio") is None:
        sys.meta_path.append(Mocked("torchaudio"))
    shells(root, "llamafactory", "llamafactory.data", "llamafactory.extras")
    converter = importlib.import_module("llamafactory.data.converter")
    parser = importlib.import_module("llamafactory.data.parser")
    plugin = importlib.import_module("llamafactory.data.mm_plugin")
    (attributes,) = parser.get_dataset_list([path.stem], str(path.parent))
    assert attributes.ranking is (kind == "dpo")
    settings = SimpleNamespace(streaming=False, preprocessing_num_workers=None, overwrite_cache=True, media_dir=str(path.parent))
    dataset = converter.align_dataset(rows_of(path.parent / attributes.dataset_name), attributes, settings, SimpleNamespace(local_process_index=0))
    for row in dataset:
        media = [row[name] or [] for name in ("_images", "_videos", "_audios")]
        for answer in row["_response"] if kind == "dpo" else [None]:
            turns = [*row["_prompt"], *([answer] if answer else row["_response"])]
            plugin.MMPluginMixin(None, None, None)._validate_messages(turns, *media)
    return list(dataset)


def verl(root: Path, kind: str, path: Path) -> list:
    sys.meta_path.append(Mocked("tensordict"))
    sys.meta_path.insert(0, Mocked("verl.models"))  # made for other versions of transformers; only places tokens
    shells(root, "verl", "verl.utils", "verl.utils.dataset")
    sys.modules["verl.utils"].hf_tokenizer = None
    rl = importlib.import_module("verl.utils.dataset.rl_dataset")
    sft = importlib.import_module("verl.utils.dataset.multiturn_sft_dataset")
    from omegaconf import OmegaConf

    def said(messages: list[dict], media: tuple) -> dict:
        opened = {"images": [list(image.size) for image in media[0] or []], "videos": [list(video[0].shape) for video in media[1] or []]}
        turns = [(turn["role"], [part.get("text", part["type"]) for part in turn["content"]] if isinstance(turn["content"], list)
                  else turn["content"]) for turn in messages]  # fmt: skip
        return {"turns": turns, **opened}

    if kind == "sft":
        made = sft.MultiTurnSFTDataset.__new__(sft.MultiTurnSFTDataset)
        made.messages_key, made.image_key, made.video_key, made.processor, made.image_patch_size = "messages", "images", "videos", object(), 14
        import pandas

        found = pandas.read_parquet(path, dtype_backend="pyarrow")
        built = [made._build_messages(found.iloc[index].to_dict()) for index in range(len(found))]
        return [said(messages, _media_of(messages)) for messages in built]
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(path.parent / "cache")})
    dataset = rl.RLHFDataset(str(path), None, config, processor=object())
    rows = [dataset[index] for index in range(len(dataset))]
    return [{**said(row["raw_prompt"], rl.RLHFDataset._process_multi_modal_info(row["raw_prompt"], 14, config)),
             "reward_model": row["reward_model"], "extra_info": row["extra_info"]} for row in rows]  # fmt: skip


def _media_of(messages: list[dict]) -> tuple[list, list]:
    parts = [part for turn in messages if isinstance(turn["content"], list) for part in turn["content"]]
    return [part["image"] for part in parts if part["type"] == "image"], [[part["video"]] for part in parts if part["type"] == "video"]


def trl(root: Path, kind: str, path: Path) -> list:
    from trl.data_utils import is_conversational, prepare_multimodal_messages

    made = []
    for row in rows_of(path):
        assert is_conversational(row)
        prompt = prepare_multimodal_messages(row["prompt"], row.get("images"))
        turns = [(turn["role"], [part["text"] or list(part["image"].size) for part in turn["content"]]) for turn in prompt]
        answers = [row[name][0]["content"][0]["text"] for name in ("completion", "chosen", "rejected") if name in row]
        made.append({"turns": turns, "answers": answers, "labels": row.get("labels")})
    return made


def rows_of(path: Path):
    from datasets import load_dataset

    loader = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
    return load_dataset(loader, data_files=str(path), split="train", cache_dir=str(path.parent / "cache"))


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    with redirect_stdout(sys.stderr):
        answers = []
        for framework, kind, name in json.loads(sys.argv[2]):
            os.chdir(Path(name).parent)
            answers.append(
                {"ms_swift": ms_swift, "llama_factory": llama_factory, "verl": verl, "trl": trl}[framework](Path(sys.argv[1]), kind, Path(name))
            )
    print(json.dumps(answers, default=str))
