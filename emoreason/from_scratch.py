"""A small Qwen2.5-VL or Qwen2.5-Omni thinker made here: a tokenizer trained on the recipe's text, random weights, towers with a head start.

What comes out is an ordinary checkpoint folder; no other module knows that it was not downloaded.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

from emoreason.from_scratch_warm_start import warm_start
from emoreason.recipe import Augmentation, FromScratch, MediaSettings
from emoreason.records import Record
from emoreason.run_dir import publish

END, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# The special tokens of each family, under the names that its config knows their ids by.
TOKENS = {
    "qwen2_5_vl": {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>",
                   "vision_token_id": "<|vision_pad|>", "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"},
    "qwen2_5_omni_thinker": {"vision_start_token_id": "<|vision_bos|>", "vision_end_token_id": "<|vision_eos|>",
                             "audio_start_token_id": "<|audio_bos|>", "audio_end_token_id": "<|audio_eos|>",
                             "image_token_id": "<|IMAGE|>", "video_token_id": "<|VIDEO|>", "audio_token_id": "<|AUDIO|>"},
}  # fmt: skip
# The Omni processor looks the same tokens up on its tokenizer, under names of its own.
OMNI_TOKENIZER_NAMES = {"vision_start_token_id": "vision_bos_token", "vision_end_token_id": "vision_eos_token",
                        "audio_start_token_id": "audio_bos_token", "audio_end_token_id": "audio_eos_token",
                        "image_token_id": "image_token", "video_token_id": "video_token", "audio_token_id": "audio_token"}  # fmt: skip
MAX_TOKEN_CHARACTERS = 24
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{ part.text }}"
    "MEDIA"
    "{%- else -%}{{ raise_exception('this model does not read ' + part.type) }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def build_checkpoint(
    path: Path,
    settings: FromScratch,
    media: MediaSettings,
    texts: list[str],
    examples: list[tuple[Record, Path]],
    seed: int,
    augment: Augmentation | None,
    progress: Callable[[int, int, float], None],
) -> None:
    """Write a checkpoint folder at `path`, whole or not at all.

    `texts` trains the tokenizer; `examples` are records with the files they come from, whose media the warm start shows.
    """
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(texts, settings.vocab_size, settings.family)
    model = make_model(settings, tokenizer)
    processor = make_processor(settings.family, model, tokenizer, media)
    if settings.warm_start and settings.warm_start.steps:
        warm_start(model, processor, settings.warm_start, media, examples, seed, augment, progress)
    temporary = path.with_name(f".tmp_{path.name}")
    model.save_pretrained(temporary)
    processor.save_pretrained(temporary)
    publish(temporary, path)


def train_tokenizer(texts: list[str], vocab_size: int, family: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with Qwen's special tokens, trained on `texts`.

    Unlike Qwen's, a token may span words: the texts of a small recipe repeat whole phrases, and rows get three times shorter.
    """
    special = [END, TURN_START, TURN_END, *TOKENS[family].values()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
                                  max_token_length=MAX_TOKEN_CHARACTERS)  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    if family == "qwen2_5_vl":
        named: dict[str, Any] = {"additional_special_tokens": special[1:]}
    else:
        named = {"extra_special_tokens": {OMNI_TOKENIZER_NAMES[key]: token for key, token in TOKENS[family].items()}}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=TURN_END, pad_token=END, **named)


def make_model(settings: FromScratch, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The model with random weights, from torch's generator as it stands."""
    ids = {key: tokenizer.convert_tokens_to_ids(token) for key, token in TOKENS[settings.family].items()}
    end = tokenizer.convert_tokens_to_ids(TURN_END)
    text_config = {**settings.text_config, "vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": end,
                   "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    if settings.family == "qwen2_5_vl":
        config = Qwen2_5_VLConfig(text_config=text_config, vision_config=settings.vision_config, **ids)
        model: PreTrainedModel = Qwen2_5_VLForConditionalGeneration(config)
    else:
        towers = {"vision_config": settings.vision_config, "audio_config": settings.audio_config}
        # The output layer starts from the range of the whole thinker, every other layer from that of its part.
        ranges = {key: value for key, value in settings.text_config.items() if key == "initializer_range"}
        model = Qwen2_5OmniThinkerForConditionalGeneration(Qwen2_5OmniThinkerConfig(text_config=text_config, **towers, **ranges, **ids))
    model.generation_config.eos_token_id = [end]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def make_processor(family: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, media: MediaSettings) -> ProcessorMixin:
    """What turns text, pictures, clips and, for the Omni thinker, sounds into the model's inputs."""
    vision = model.config.vision_config
    sizes = {"patch_size": vision.patch_size, "merge_size": vision.spatial_merge_size, "temporal_patch_size": vision.temporal_patch_size}
    pictures = Qwen2VLImageProcessor(size={"shortest_edge": media.min_pixels, "longest_edge": media.max_pixels}, **sizes)
    frame = {"shortest_edge": media.video_min_pixels, "longest_edge": media.video_max_pixels}
    # The frames are limited one by one already; left open, transformers warns of a limit on whole clips to come.
    clips = Qwen2VLVideoProcessor(size=frame, cap_pixels_per_frame=False, **sizes)
    template = chat_template(family)
    if family == "qwen2_5_vl":
        return Qwen2_5_VLProcessor(pictures, tokenizer, clips, chat_template=template)
    # A hundred frames a second, each a window of 25 ms. The window in `chunk_length` is filled up for every sound and what
    # goes beyond is cut off, so it is as long as the longest sound that is read, not Whisper's 30 s.
    sounds = WhisperFeatureExtractor(
        feature_size=model.config.audio_config.num_mel_bins,
        sampling_rate=media.sample_rate,
        hop_length=media.sample_rate // 100,
        n_fft=media.sample_rate // 40,
        chunk_length=math.ceil(media.max_seconds),
    )
    return Qwen2_5OmniProcessor(pictures, clips, sounds, tokenizer, chat_template=template)


def chat_template(family: str) -> str:
    """Turns as Qwen writes them, each medium as its placeholder between start and end."""
    tokens = TOKENS[family]
    cases = ""
    for kind, side in (("image", "vision"), ("video", "vision"), ("audio", "audio")):
        if f"{kind}_token_id" in tokens:
            medium = tokens[f"{side}_start_token_id"] + tokens[f"{kind}_token_id"] + tokens[f"{side}_end_token_id"]
            cases += "{%- elif part.type == '" + kind + "' -%}{{ '" + medium + "' }}"
    return CHAT_TEMPLATE.replace("MEDIA", cases)
