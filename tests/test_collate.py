"""Prompts are encoded once and told apart by what they show; rows are padded on the right with masks that fit."""

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture, sound

import emoreason.collate
from emoreason.collate import CompletionCollator, PreferenceCollator, PromptEncoder, completion_ids, distinct_media, padded_rows
from emoreason.faults import UserError
from emoreason.recipe import MediaSettings
from emoreason.training_data import completion_message

pytestmark = pytest.mark.slow
SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)


@pytest.fixture(scope="module")
def omni():
    return tiny_models.qwen2_5_omni_thinker()


@pytest.fixture
def encoder(omni) -> PromptEncoder:
    model, processor = omni
    return PromptEncoder(processor, model.config, SETTINGS)


def test_equal_prompts_are_one_object_and_other_media_are_another(encoder: PromptEncoder) -> None:
    first = encoder(messages((picture(0),)), (picture(0),))
    assert encoder(messages((picture(0),)), (picture(0),)) is first
    other = encoder(messages((picture(1),)), (picture(1),))  # the same tokens: pictures of one size, one question
    assert torch.equal(other.token_ids, first.token_ids) and other.key != first.key
    track = (clip(0), sound(0, 1.3, in_video=True))
    beside = (clip(0), sound(0, 1.3))
    assert encoder(messages(track), track).key != encoder(messages(beside), beside).key


def test_other_settings_are_other_prompts(omni, encoder: PromptEncoder) -> None:
    model, processor = omni
    smaller = PromptEncoder(processor, model.config, SETTINGS.model_copy(update={"video_max_pixels": 4704}))
    film = (clip(0, size=(168, 112)),)
    assert len(smaller(messages(film), film).token_ids) < len(encoder(messages(film), film).token_ids)
    assert smaller(messages(()), ()).key != encoder(messages(()), ()).key


def test_kept_prompts_have_a_limit(encoder: PromptEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    one = encoder(messages((picture(0),)), (picture(0),))
    monkeypatch.setattr(emoreason.collate, "MAX_KEPT_BYTES", 2 * one.num_bytes)
    for index in (1, 2):
        encoder(messages((picture(index),)), (picture(index),))
    assert encoder(messages((picture(2),)), (picture(2),)) is encoder(messages((picture(2),)), (picture(2),))
    assert encoder(messages((picture(0),)), (picture(0),)) is not one, "the oldest went"


def test_media_are_given_once_in_the_order_of_their_places(encoder: PromptEncoder) -> None:
    prompts = [encoder(messages(media), media) for media in ((picture(0), picture(1)), (picture(1),), (clip(0),), (clip(0), sound(0)))]
    items, occurrences = distinct_media(prompts)
    assert [item.kind for item in items] == ["image", "image", "video", "audio"]
    assert occurrences == [0, 1, 1, 2, 2, 3]


def test_rows_are_padded_on_the_right(encoder: PromptEncoder) -> None:
    short, long = encoder(messages(()), ()), encoder(messages((picture(0),)), (picture(0),))
    batch = padded_rows([short, long], [[50, 51], [60]], pad_token_id=0)
    width = len(long.token_ids) + 1
    assert batch["input_ids"].shape == (2, width)
    assert batch["input_ids"][0, len(short.token_ids) :].tolist() == [50, 51] + [0] * (width - len(short.token_ids) - 2)
    assert batch["attention_mask"].sum(1).tolist() == [len(short.token_ids) + 2, width]
    assert batch["completion_mask"].sum(1).tolist() == [2, 1]


def test_the_loss_is_on_the_completion_and_its_end(encoder: PromptEncoder) -> None:
    row = {"prompt": messages((sound(0),)), "media": (sound(0),), "completion": completion_message("fear")}
    batch = CompletionCollator(encoder)([row])
    scored = batch["input_ids"][batch["labels"] != -100]
    assert encoder.processor.tokenizer.decode(scored) == "fear<|im_end|>\n"


def test_a_pair_is_all_chosen_then_all_rejected(encoder: PromptEncoder) -> None:
    rows = [{"prompt": messages(()), "media": (), "chosen": completion_message(good), "rejected": completion_message(bad)}
            for good, bad in (("joy", "fear"), ("anger", "sad"))]  # fmt: skip
    batch = PreferenceCollator(encoder)(rows)
    said = [encoder.processor.tokenizer.decode(ids[mask.bool()]) for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)]
    assert [text.removesuffix("<|im_end|>\n") for text in said] == ["joy", "anger", "fear", "sad"]


def test_text_is_taken_as_it_is(encoder: PromptEncoder) -> None:
    assert completion_ids(encoder.processor, "x", "joy") == encoder.processor.tokenizer("joy", add_special_tokens=False)["input_ids"]


def test_a_placeholder_in_the_text_itself_is_refused(encoder: PromptEncoder) -> None:
    with pytest.raises(UserError, match="is a placeholder written in the text itself"):
        encoder(messages((), "What is <|IMAGE|> here?"), ())


def test_a_family_that_cannot_hear_says_so() -> None:
    model, processor = tiny_models.qwen2_5_vl()
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    with pytest.raises(UserError, match="qwen2_5_vl does not read audio; accepted: image, video"):
        encoder(messages(()), (sound(0),))
