"""Random models of below a million parameters, one of each family, with complete processors: the real classes, made small.

Each builder returns (model, processor): float32, eval mode, the same weights for the same seed. `checkpoint` saves them.

What a caller of these families has to know (transformers 5.24):
- Pixels of a clip: Qwen2-VL's video processor, which Qwen2.5-VL and both Omni families use, counts `size` by frame, Qwen3-VL's
  over all frames. The Omni processors hand their own class attribute `videos_kwargs["size"]` to the video processor, whose
  saved `size` is never read: give `videos_kwargs={"size": ...}` in the call.
- Time of a clip: Qwen2.5-Omni takes every clip for 2 fps and Qwen3-Omni for 1 fps, unless the call names one `fps` for all of
  them; `video_second_per_grid` has to be overwritten clip by clip. Qwen2.5-VL, Qwen3-VL and SmolVLM read each clip's
  `VideoMetadata`; without it they assume 24 fps, and write wrong times into the prompt.
- Qwen3-VL's video processor samples frames again unless told `do_sample_frames=False`.
- A sound track heard in its clip: `load_audio_from_video=True`, `audio` and `audio_from_video_indices` for the processor, and
  `use_audio_in_video=True` for the model. The latter holds for the whole batch, and gives wrong positions to every row that
  has a clip without sound.
- Length of a sound: Qwen2.5-Omni pads to the feature extractor's `chunk_length` whatever `padding` says, and cuts off what is
  longer; Qwen3-Omni does neither.
- The Omni thinkers compute positions from `vision_start_token_id`, which their config classes do not declare.
- SmolVLM's processor needs the package `num2words`, and replaces the chat template by its own where a turn has a clip.
"""

from collections.abc import Callable
from pathlib import Path

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
    Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
    WhisperFeatureExtractor,
)

SENTENCES = [
    "<think>The brows are lowered and the jaw is tight, so the face looks angry.</think><answer>anger</answer>",
    "<think>The voice is low and slow; the words speak of a loss.</think><answer>sadness</answer><confidence>0.75</confidence>",
    "system\nYou are a helpful assistant.\nuser\nWhich emotion is shown?\nassistant\n",
    "joy, fear, surprise, disgust, contempt, neutral",
]
HIDDEN = 128  # 4 heads of 32: the smallest that vLLM's attention takes
WEIGHTS = {"initializer_range": 0.1}  # wide enough that media and positions show in the logits
TEXT = {**WEIGHTS, "hidden_size": HIDDEN, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 4096}  # fmt: skip
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}}  # adds up to half a head
INTERLEAVED_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [6, 5, 5], "mrope_interleaved": True}}
VISION = {**WEIGHTS, "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": HIDDEN,
          "spatial_merge_size": 2, "temporal_patch_size": 2}  # fmt: skip
WINDOWED_VISION = {**VISION, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
DEEPSTACK_VISION = {**VISION, "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
AUDIO = {**WEIGHTS, "num_mel_bins": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "d_model": 32,
         "output_dim": HIDDEN}  # fmt: skip
PIXELS = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}  # of a picture, or of a frame
QWEN3_VL_CLIP_PIXELS = {"shortest_edge": 4 * 56 * 56, "longest_edge": 32 * 112 * 112}  # of all frames of a clip together

VL_TOKENS = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "vision_bos_token": "<|vision_start|>",
             "vision_eos_token": "<|vision_end|>", "vision_token": "<|vision_pad|>"}  # fmt: skip
OMNI_TOKENS = {"image_token": "<|IMAGE|>", "video_token": "<|VIDEO|>", "audio_token": "<|AUDIO|>", "vision_bos_token": "<|vision_bos|>",
               "vision_eos_token": "<|vision_eos|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}  # fmt: skip
QWEN3_OMNI_TOKENS = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "audio_token": "<|audio_pad|>",
                     "vision_bos_token": "<|vision_start|>", "vision_eos_token": "<|vision_end|>",
                     "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>"}  # fmt: skip
SMOLVLM_TOKENS = {"image_token": "<image>", "video_token": "<video>", "fake_image_token": "<fake_token_around_image>",
                  "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>"}  # fmt: skip


def qwen2_5_vl(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures and clips."""
    tokenizer = _tokenizer(VL_TOKENS)
    config = Qwen2_5_VLConfig(
        text_config=TEXT | ROPE | _ends(tokenizer),
        vision_config=WINDOWED_VISION | {"tokens_per_second": 2},
        vision_start_token_id=_id(tokenizer, "vision_bos_token"),
        vision_end_token_id=_id(tokenizer, "vision_eos_token"),
        vision_token_id=_id(tokenizer, "vision_token"),
        **_media_ids(tokenizer),
        **WEIGHTS,
    )
    processor = Qwen2_5_VLProcessor(_picture_reader(14), tokenizer, _clip_reader(14), chat_template=_qwen_template(VL_TOKENS))
    return _model(Qwen2_5_VLForConditionalGeneration, config, tokenizer, seed), processor


def qwen3_vl(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures and clips; features of the first vision block go into the first text layer too (deepstack)."""
    tokenizer = _tokenizer(VL_TOKENS)
    config = Qwen3VLConfig(
        text_config=TEXT | INTERLEAVED_ROPE | {"head_dim": 32} | _ends(tokenizer),
        vision_config=DEEPSTACK_VISION,
        vision_start_token_id=_id(tokenizer, "vision_bos_token"),
        vision_end_token_id=_id(tokenizer, "vision_eos_token"),
        **_media_ids(tokenizer),
        **WEIGHTS,
    )
    clips = Qwen3VLVideoProcessor(size=QWEN3_VL_CLIP_PIXELS, patch_size=16)
    processor = Qwen3VLProcessor(_picture_reader(16), tokenizer, clips, chat_template=_qwen_template(VL_TOKENS))
    return _model(Qwen3VLForConditionalGeneration, config, tokenizer, seed), processor


def qwen2_5_omni_thinker(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures, clips and sounds of up to 8 seconds, a clip's own sound track among them."""
    tokenizer = _tokenizer(OMNI_TOKENS)
    config = Qwen2_5OmniThinkerConfig(
        text_config=TEXT | ROPE | _ends(tokenizer),
        vision_config=WINDOWED_VISION,
        audio_config=AUDIO | {"n_window": 100},
        **_omni_ids(tokenizer),
        **WEIGHTS,
    )
    parts = (_picture_reader(14), _clip_reader(14), _sound_reader(), tokenizer)
    processor = Qwen2_5OmniProcessor(*parts, chat_template=_qwen_template(OMNI_TOKENS))
    return _model(Qwen2_5OmniThinkerForConditionalGeneration, config, tokenizer, seed), processor


def qwen3_omni_thinker(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures, clips and sounds of up to 8 seconds; four experts, two of which see each token."""
    tokenizer = _tokenizer(QWEN3_OMNI_TOKENS)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "head_dim": 32}
    config = Qwen3OmniMoeThinkerConfig(
        text_config=TEXT | INTERLEAVED_ROPE | experts | _ends(tokenizer),
        vision_config=DEEPSTACK_VISION,
        audio_config=AUDIO | {"n_window": 50, "n_window_infer": 100, "downsample_hidden_size": 16},
        **_omni_ids(tokenizer),
        **WEIGHTS,
    )
    parts = (_picture_reader(16), _clip_reader(16), _sound_reader(), tokenizer)
    processor = Qwen3OmniMoeProcessor(*parts, chat_template=_qwen_template(QWEN3_OMNI_TOKENS))
    return _model(Qwen3OmniMoeThinkerForConditionalGeneration, config, tokenizer, seed), processor


def smolvlm(seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Pictures of any size as one square of 4 tokens, and clips as such squares under their times. Needs `num2words`."""
    tokenizer = _tokenizer(SMOLVLM_TOKENS, end="<end_of_utterance>")
    config = SmolVLMConfig(
        text_config=TEXT | {"model_type": "llama"} | _ends(tokenizer),
        vision_config={**WEIGHTS, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                       "image_size": 56, "patch_size": 14},
        scale_factor=2,
        image_token_id=_id(tokenizer, "image_token"),
        pad_token_id=tokenizer.pad_token_id,
        **WEIGHTS,
    )  # fmt: skip
    size, side = {"longest_edge": 56}, {"longest_edge": 56}
    pictures = SmolVLMImageProcessor(size=size, max_image_size=side, do_image_splitting=False)
    clips = SmolVLMVideoProcessor(size=size, max_image_size=side, video_sampling={"max_frames": 8, "fps": 1, "video_size": size})
    processor = SmolVLMProcessor(pictures, tokenizer, clips, image_seq_len=4, chat_template=SMOLVLM_TEMPLATE)
    return _model(SmolVLMForConditionalGeneration, config, tokenizer, seed), processor


BUILDERS: dict[str, Callable[[int], tuple[PreTrainedModel, ProcessorMixin]]] = {
    builder.__name__: builder for builder in (qwen2_5_vl, qwen3_vl, qwen2_5_omni_thinker, qwen3_omni_thinker, smolvlm)
}


def checkpoint(name: str, folder: Path, seed: int = 0) -> Path:
    """`folder / name` with the model and the processor of that builder, as a trainer would save them."""
    model, processor = BUILDERS[name](seed)
    path = folder / name
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


def _tokenizer(named: dict[str, str], end: str = "<|im_end|>") -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer over `SENTENCES`; the named tokens become attributes that processors read and folders keep."""
    special = list(dict.fromkeys(["<|endoftext|>", "<|im_start|>", end, *named.values()]))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token="<|endoftext|>", padding_side="left", extra_special_tokens=named
    )


def _qwen_template(tokens: dict[str, str]) -> str:
    """Turns as Qwen writes them, each medium as its placeholder between begin and end."""
    media = {"image": "vision", "video": "vision", "audio": "audio"}
    cases = "".join(
        "{% elif part.type == '" + kind + "' %}" + tokens[f"{side}_bos_token"] + tokens[f"{kind}_token"] + tokens[f"{side}_eos_token"]
        for kind, side in media.items()
        if f"{kind}_token" in tokens
    )
    return (
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
        "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
        "{% if part.type == 'text' %}{{ part.text }}" + cases + "{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


# SmolVLM writes one start token for the whole conversation, and `User:` with a space only before text.
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content is string %}{{ ': ' + message.content }}{% else %}"
    "{{ ':' if message.content[0].type == 'image' else ': ' }}{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% elif part.type == 'image' %}<image>{% elif part.type == 'video' %}<video>{% endif %}"
    "{% endfor %}{% endif %}{{ '<end_of_utterance>\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def _id(tokenizer: PreTrainedTokenizerFast, name: str) -> int:
    return tokenizer.convert_tokens_to_ids(getattr(tokenizer, name))


def _media_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {f"{name}_id": _id(tokenizer, name) for name in ("image_token", "video_token")}


def _omni_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    names = {"audio_token_id": "audio_token", "vision_start_token_id": "vision_bos_token", "vision_end_token_id": "vision_eos_token",
             "audio_start_token_id": "audio_bos_token", "audio_end_token_id": "audio_eos_token"}  # fmt: skip
    return _media_ids(tokenizer) | {key: _id(tokenizer, name) for key, name in names.items()}


def _ends(tokenizer: PreTrainedTokenizerFast) -> dict[str, int | None]:
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return {"vocab_size": len(tokenizer), **ends}


def _model(model_class: type, config, tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.float().eval()


def _picture_reader(patch_size: int) -> Qwen2VLImageProcessor:
    return Qwen2VLImageProcessor(size=PIXELS, patch_size=patch_size)


def _clip_reader(patch_size: int) -> Qwen2VLVideoProcessor:
    return Qwen2VLVideoProcessor(size=PIXELS, patch_size=patch_size)


def _sound_reader() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=AUDIO["num_mel_bins"], chunk_length=8)
