"""Models made from scratch: their tokenizer and chat template, what their towers learn first, and that they load as any other."""

import math
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from conftest import Line
from PIL import Image
from pydantic import ValidationError

from emoreason.recipe import Augmentation, FromScratch, MediaSettings, ModelSettings
from emoreason.records import Record

pytestmark = pytest.mark.slow

MEDIA = MediaSettings(min_pixels=256, max_pixels=1024, video_min_pixels=256, video_max_pixels=2048, fps=4, max_frames=8, max_seconds=1.5)
TEXT_CONFIG = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
               "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}}  # fmt: skip
VISION_CONFIG = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32, "patch_size": 8,
                 "spatial_merge_size": 2, "window_size": 32, "fullatt_block_indexes": [0]}  # fmt: skip
AUDIO_CONFIG = {"num_mel_bins": 8, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "d_model": 16,
                "output_dim": 32}  # fmt: skip
OMNI = {"family": "qwen2_5_omni_thinker", "vocab_size": 300, "text_config": TEXT_CONFIG, "vision_config": VISION_CONFIG,
        "audio_config": AUDIO_CONFIG, "warm_start": {"steps": 3, "batch_size": 4, "learning_rate": 0.01}}  # fmt: skip


def record(identity: str, media: dict | None = None, aligned: str | None = None, group: str = "g", **target: object) -> Record:
    values = {"id": identity, "dataset": "d", "split": "train", "group": group, "media": media or {}, "aligned_modality": aligned,
              "target": target, "licence": "l", "source": "s"}  # fmt: skip
    return Record.model_validate(values)


def write_clip(path: Path, grey: int, hertz: float) -> None:
    """One second of a grey square at 8 frames a second, and a tone."""
    with av.open(path, "w") as container:
        pictures = container.add_stream("mpeg4", rate=8, width=48, height=32, pix_fmt="yuv420p")
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), grey + number, dtype=np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        samples = av.AudioFrame.from_ndarray(tone(hertz)[None], format="fltp", layout="mono")
        samples.sample_rate = 16000
        container.mux(sound.encode(samples))
        container.mux(pictures.encode())
        container.mux(sound.encode())


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    times = np.arange(int(16000 * seconds)) / 16000
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Record, Path]]:
    """Two clips with sound, one of them in conflict, a picture and a sound."""
    folder = tmp_path_factory.mktemp("examples")
    write_clip(folder / "dark.mp4", 20, 200)
    write_clip(folder / "light.mp4", 220, 900)
    Image.new("RGB", (40, 32), "red").save(folder / "red.png")
    soundfile.write(folder / "high.wav", tone(2000, 0.7), 16000)
    dark, light = ({"video": name, "audio_in_video": True} for name in ("dark.mp4", "light.mp4"))
    rows = [
        record("a", dark, label="sadness", labels=["sadness", "sad"], cues={"video": ["dark"], "audio": ["low tone"]}),
        record("b", light, "video", label="joy", labels=["joy", "glad"], cues={"video": ["bright"], "audio": ["whistle"]}),
        record("c", {"images": ["red.png"]}, label="anger", labels=["anger"], cues={"image": ["red"]}, group="h"),
        record("d", {"audio": "high.wav"}, label="joy", labels=["joy"], cues={"audio": ["whistle"]}, group="h"),
    ]
    return [(row, folder / "records.jsonl") for row in rows]


def build_small(path: Path, examples: list[tuple[Record, Path]], **changes: object) -> list[tuple[int, int, float]]:
    from emoreason.from_scratch import build_checkpoint

    seen: list[tuple[int, int, float]] = []
    texts = ["Which emotion is shown?", "<think>dark, low tone</think><answer>sadness</answer>"]
    settings = FromScratch.model_validate(OMNI | changes)
    build_checkpoint(path, settings, MEDIA, texts, examples, 0, Augmentation(), lambda *step: seen.append(step))
    return seen


@pytest.fixture(scope="module")
def omni_path(examples: list[tuple[Record, Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("omni") / "base"
    seen = build_small(path, examples)
    assert [step[:2] for step in seen] == [(1, 3), (2, 3), (3, 3)] and all(math.isfinite(loss) for _, _, loss in seen)
    return path


def weights(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(path / "model.safetensors")


# The tokenizer.


@pytest.fixture
def tokenizer(line: Line):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(line.folder / "runs/tiny/base", local_files_only=True)


@pytest.mark.parametrize("text", ["<think>eyes wide (AU5)</think><answer>fear</answer>", "Größe 😀\n\ttab", "<confidence>0.35</confidence>"])
def test_text_comes_back_as_it_was(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_special_tokens_are_one_token_each(tokenizer) -> None:
    for token in ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"):
        assert tokenizer(token)["input_ids"] == [tokenizer.convert_tokens_to_ids(token)]
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"


def test_an_omni_tokenizer_keeps_the_names_that_its_processor_asks_for(omni_path: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(omni_path, local_files_only=True)
    config = AutoConfig.from_pretrained(omni_path)
    expected = {"image_token": "<|IMAGE|>", "video_token": "<|VIDEO|>", "audio_token": "<|AUDIO|>", "vision_bos_token": "<|vision_bos|>",
                "vision_eos_token": "<|vision_eos|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}  # fmt: skip
    assert {name: getattr(tokenizer, name) for name in expected} == expected
    for token in (*expected.values(), "<|im_start|>", "<|im_end|>"):
        assert tokenizer(token)["input_ids"] == [tokenizer.convert_tokens_to_ids(token)]
    ids = (config.image_token_id, config.video_token_id, config.audio_token_id, config.vision_start_token_id, config.audio_start_token_id)
    assert tokenizer.convert_ids_to_tokens(ids) == ["<|IMAGE|>", "<|VIDEO|>", "<|AUDIO|>", "<|vision_bos|>", "<|audio_bos|>"]


# The chat template.


@pytest.mark.parametrize(
    ("family", "kinds", "expected"),
    [
        ("qwen2_5_vl", "image video", "<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|video_pad|><|vision_end|>"),
        ("qwen2_5_omni_thinker", "image video audio", "<|vision_bos|><|IMAGE|><|vision_eos|><|vision_bos|><|VIDEO|><|vision_eos|>"
         "<|audio_bos|><|AUDIO|><|audio_eos|>"),
    ],
)  # fmt: skip
def test_every_medium_has_its_placeholder(family: str, kinds: str, expected: str) -> None:
    content = [{"type": kind} for kind in kinds.split()] + [{"type": "text", "text": "Which?"}]
    written = rendered(family, [{"role": "system", "content": "Be kind."}, {"role": "user", "content": content}], True)
    turns = f"<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n{expected}Which?<|im_end|>\n"
    assert written == turns + "<|im_start|>assistant\n"


def test_a_medium_that_the_model_cannot_read_is_not_left_out() -> None:
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match="does not read audio"):
        rendered("qwen2_5_vl", [{"role": "user", "content": [{"type": "audio"}]}])


def rendered(family: str, messages: list[dict], add_generation_prompt: bool = False) -> str:
    from emoreason.from_scratch import chat_template, train_tokenizer

    tokenizer = train_tokenizer(["Which?"], 300, family)
    tokenizer.chat_template = chat_template(family)
    return tokenizer.apply_chat_template(messages, add_generation_prompt=add_generation_prompt, tokenize=False)


# The whole checkpoint.


def test_the_same_seed_builds_the_same_checkpoint(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emoreason.recipe_files import load_recipe
    from emoreason.stages.sft import build

    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage1_sft.yaml"), [f"model.path={tmp_path / 'again'}"])
    build(recipe)
    first, again = (weights(path) for path in (Path("runs/tiny/base"), tmp_path / "again"))
    assert first.keys() == again.keys() and all((first[name] == again[name]).all() for name in first)
    assert not list(tmp_path.glob(".tmp_*"))


def test_the_same_seed_builds_the_same_omni_thinker(omni_path: Path, examples: list[tuple[Record, Path]], tmp_path: Path) -> None:
    build_small(tmp_path / "again", examples)
    first, again = weights(omni_path), weights(tmp_path / "again")
    assert first.keys() == again.keys() and all((first[name] == again[name]).all() for name in first)


def test_the_warm_start_trains_both_towers_with_their_projectors_and_nothing_else(
    omni_path: Path, examples: list[tuple[Record, Path]], tmp_path: Path
) -> None:
    build_small(tmp_path / "cold", examples, warm_start=None)
    warm, cold = weights(omni_path), weights(tmp_path / "cold")
    moved = {name for name in warm if (warm[name] != cold[name]).any()}
    # No part of a thinker reads this one.
    towers = {name for name in warm if name.startswith(("visual.", "audio_tower."))} - {"audio_tower.audio_bos_eos_token.weight"}
    assert moved == towers


def test_a_model_without_ears_learns_from_pictures_and_clips(examples: list[tuple[Record, Path]], tmp_path: Path) -> None:
    vl = {"family": "qwen2_5_vl", "audio_config": None}
    build_small(tmp_path / "cold", examples, **vl, warm_start=None)
    build_small(tmp_path / "warm", examples, **vl)
    build_small(tmp_path / "clips", examples[:2], **vl)
    cold, warm, clips = (weights(tmp_path / name) for name in ("cold", "warm", "clips"))
    for trained in (warm, clips):
        assert {name for name in cold if (trained[name] != cold[name]).any()} == {name for name in cold if name.startswith("visual.")}
    assert any((warm[name] != clips[name]).any() for name in warm)


def test_the_towers_learn_to_name_what_the_records_say(examples: list[tuple[Record, Path]], tmp_path: Path) -> None:
    seen = build_small(tmp_path / "base", examples, warm_start={"steps": 60, "batch_size": 4, "learning_rate": 0.01})
    losses = [loss for _, _, loss in seen]
    assert max(losses[-5:]) < losses[0] / 10


def test_an_omni_thinker_loads_back_and_reads_clip_sound_and_text(omni_path: Path, examples: list[tuple[Record, Path]]) -> None:
    import torch
    from transformers import AutoProcessor, Qwen2_5OmniThinkerForConditionalGeneration

    from emoreason.media import record_media
    from emoreason.models import load_model

    processor = AutoProcessor.from_pretrained(omni_path, local_files_only=True)
    model = load_model(ModelSettings(path=str(omni_path), dtype="float32"))
    assert type(model) is Qwen2_5OmniThinkerForConditionalGeneration and sum(p.numel() for p in model.parameters()) < 60_000
    (row, path) = examples[0]
    clip, sound = record_media(row, path, MEDIA)
    parts = [{"type": "video"}, {"type": "audio"}, {"type": "text", "text": "Which emotion is shown?"}]
    text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    frames = torch.from_numpy(clip.content.copy()).permute(0, 3, 1, 2)
    size = {"size": dict(processor.video_processor.size), "fps": clip.fps}
    batch = processor(text=[text], videos=[frames], audio=[sound.content], videos_kwargs=size, return_tensors="pt")
    # A second at 4 frames a second is 2 grids of two frames; 48 x 32 pixels are 6 x 4 patches and 3 x 2 tokens.
    assert batch["video_grid_thw"].tolist() == [[2, 4, 6]]
    # 1.5 s are rounded up to a window of 2 s, a hundred frames each.
    assert batch["input_features"].shape == (1, 8, 200)
    num_frames = int(batch["feature_attention_mask"].sum())
    ids = batch["input_ids"][0].tolist()
    assert ids.count(model.config.video_token_id) == 12 and ids.count(model.config.audio_token_id) == ((num_frames - 1) // 2 + 1) // 2
    with torch.no_grad():
        logits = model(**batch).logits
    assert logits.shape == (1, len(ids), len(processor.tokenizer)) and logits.isfinite().all()
    assert model.generate(**batch, max_new_tokens=2, do_sample=False).shape[1] - len(ids) in (1, 2)


def test_records_without_media_need_no_warm_start(tmp_path: Path) -> None:
    assert build_small(tmp_path / "base", [(record("a", label="joy"), tmp_path / "records.jsonl")]) == []
    assert (tmp_path / "base" / "config.json").exists()


# What the towers learn.


def taught(kind: str, rows: list[Record], tokens: list[list[list[float]]] | None = None):
    """The lesson of these records over a tower that answers with `tokens`, (steps, tokens a step, 1) for each item."""
    import torch

    from emoreason.from_scratch_warm_start import make_lesson

    answers = [torch.tensor(item, dtype=torch.float32)[:, :, None] for item in tokens or [[[1.0]]] * len(rows)]
    return make_lesson(kind, rows, list(range(len(rows))), lambda items: [answers[item] for item in items], 0)


def test_in_a_conflict_label_and_words_belong_to_the_aligned_modality() -> None:
    cues = {"video": ["smile"], "audio": ["sobbing"]}
    rows = [record("a", aligned="video", label="joy", labels=["joy"], cues=cues), record("b", label="anger", labels=["anger"])]
    seen, heard = taught("video", rows), taught("audio", rows)
    # Facts in order: anger, joy, smile; labels: anger, joy.
    assert seen.fact_hits.tolist() == [[0, 1, 1], [1, 0, 0]] and seen.fact_weights.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert seen.label_ids.tolist() == [1, 0] and seen.sizes == [3, 2, 1]
    # Facts in order: anger, sobbing; of the first record only the cue is known.
    assert heard.fact_hits.tolist() == [[0, 1], [1, 0]] and heard.fact_weights.tolist() == [[0, 1], [1, 1]]
    assert heard.label_ids.tolist() == [-100, 0] and heard.sizes == [2, 1, 1]


def test_the_loss_is_eight_times_the_facts_half_the_groups_and_the_labels() -> None:
    rows = [record("a", label="joy", labels=["joy"], group="g"), record("b", label="anger", labels=["anger"], group="h")]
    lesson = taught("image", rows)
    lesson.head.weight.data.zero_()
    lesson.head.bias.data.zero_()
    # At logits of zero each of the three is the logarithm of 2.
    assert lesson.loss(2, None).item() == pytest.approx((8 + 0.5 + 1) * math.log(2))


def test_records_that_only_name_a_group_still_teach() -> None:
    lesson = taught("audio", [record("a", group="g"), record("b", group="h")])
    assert lesson.sizes == [0, 0, 2] and math.isfinite(lesson.loss(2, None).item())


def test_time_is_averaged_and_the_tokens_of_a_step_stand_side_by_side() -> None:
    from emoreason.from_scratch_warm_start import side_by_side

    rows = [record("a"), record("b")]
    alike = taught("video", rows, [[[1, 2], [3, 4]], [[5, 6]]])
    assert alike.head.in_features == 2
    assert side_by_side(alike.encode([0, 1]), 2).tolist() == [[2, 3], [5, 6]]
    # Frames of different sizes have different numbers of tokens: only their means compare.
    mixed = taught("video", rows, [[[1, 2, 6]], [[5, 6]]])
    assert mixed.head.in_features == 1
    assert side_by_side(mixed.encode([0, 1]), 1).tolist() == [[3], [5.5]]


def test_every_item_is_seen_as_often_as_any_other() -> None:
    lesson = taught("image", [record(name) for name in "abcde"])
    for _ in range(5):
        lesson.loss(4, None)
    assert lesson.waiting == []  # five batches of four are every item four times


def test_a_sound_is_encoded_as_the_model_hears_it_whatever_stands_beside_it() -> None:
    import torch
    from tiny_models import qwen2_5_omni_thinker

    from emoreason.from_scratch_warm_start import log_mel, sound_tokens
    from emoreason.media import Medium

    model, processor = qwen2_5_omni_thinker()
    sounds = [Medium.of("audio", tone(hertz, seconds), sample_rate=16000) for hertz, seconds in ((300, 0.5), (700, 2.5))]
    mels = [log_mel(processor.feature_extractor, sound) for sound in sounds]
    assert [mel.shape for mel in mels] == [(50, 16), (250, 16)]
    with torch.no_grad():
        together = sound_tokens(model, mels)
        assert [tokens.shape for tokens in together] == [(12, 1, 128), (62, 1, 128)]
        for sound, tokens in zip(sounds, together, strict=True):
            inputs = processor.feature_extractor(sound.content, sampling_rate=16000, padding="max_length", return_attention_mask=True)
            features, mask = torch.tensor(inputs["input_features"]), torch.tensor(inputs["attention_mask"])
            expected = model.get_audio_features(features, mask).last_hidden_state
            assert torch.allclose(tokens[:, 0], expected, atol=1e-5)


# The recipe.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio_config": None}, "audio_config is missing but family is qwen2_5_omni_thinker"),
        ({"family": "qwen2_5_vl"}, "audio_config is given but family is qwen2_5_vl"),
        ({"audio_config": AUDIO_CONFIG | {"output_dim": 64}}, "audio_config.output_dim is 64 but text_config.hidden_size is 32"),
        ({"vision_config": {"depth": 1}}, "vision_config.out_hidden_size is None but text_config.hidden_size is 32"),
    ],
)
def test_parts_that_do_not_fit_are_named_before_anything_is_built(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FromScratch.model_validate(OMNI | changes)
