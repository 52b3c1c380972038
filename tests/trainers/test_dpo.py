"""DPO beyond pairs: by hand from log-probabilities, equal to TRL's where TRL can, fair to order."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from conftest import copy_records, rows_of
from media_samples import clip, messages, picture, sound
from torch.nn import functional as F
from trl import DPOConfig

from emoreason.collate import PreferenceCollator, PromptEncoder
from emoreason.faults import UserError
from emoreason.files import read_json, read_jsonl, write_jsonl
from emoreason.pair_files import linked_records, read_pairs, write_pairs
from emoreason.recipe import DpoRecipe, MediaSettings, Packing, PreferenceLoss
from emoreason.records import read_records
from emoreason.run_dir import RunDir
from emoreason.stages import dpo
from emoreason.trainers.dpo import ComparisonCollator, MediaDPOTrainer, without_media
from emoreason.trainers.session import open_model, share_prompts, trainer_config
from emoreason.training_data import completion_message, lazy_dataset, read_sources

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
TEXTS = ["joy, the lips part", "anger", "a loud voice, fear", "sadness"]


def row(media, rejected: list[str], weights: list[float], other=None) -> dict:
    return {"prompt": messages(media), "media": media, "chosen": completion_message(TEXTS[0]),
            "rejected": [completion_message(text) for text in rejected], "weights": weights, "rejected_media": other, "images": [],
            "id": "x"}  # fmt: skip


ROWS = [
    row((clip(0), sound(0)), TEXTS[1:3], [0.75, 0.25], (clip(1), sound(1))),
    row((picture(0),), TEXTS[3:], [1.0]),
    row((sound(2),), TEXTS[1:], [0.5, 0.3, 0.2], (sound(3),)),
]


def trainer(tmp_path: Path, preference: PreferenceLoss, packing: str = "always", **settings) -> MediaDPOTrainer:
    model, processor = tiny_models.qwen2_5_omni_thinker()
    reference, _ = tiny_models.qwen2_5_omni_thinker(seed=1)
    config = DPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1,
                       gradient_checkpointing=False, remove_unused_columns=False, **settings)  # fmt: skip
    collator = ComparisonCollator(PreferenceCollator(PromptEncoder(processor, model.config, SETTINGS)), preference.text_prior > 0)
    made = MediaDPOTrainer(
        model, reference, config, train_dataset=lazy_dataset(len(ROWS), ROWS.__getitem__), processing_class=processor, data_collator=collator,
        preference=preference,
    )  # fmt: skip
    share_prompts(made, SimpleNamespace(packing=Packing(shared_prefix=packing)))
    made.model.eval()
    return made


def log_probability(model, encoder: PromptEncoder, media, text: str, with_media: bool = True) -> torch.Tensor:
    """Of the whole assistant turn, from one plain row."""
    from emoreason.collate import completion_ids, padded_rows

    prompt = messages(media)
    encoded = encoder(prompt, media) if with_media else encoder(without_media(prompt), ())
    batch = padded_rows([encoded], [completion_ids(encoder.processor, prompt, completion_message(text))], 0)
    labels = batch["input_ids"].masked_fill(batch.pop("completion_mask") == 0, -100)
    return model(**batch, labels=labels, fused_lm_head=True).log_probs.sum()


@pytest.mark.parametrize("text_prior", [0.0, 0.2])
@pytest.mark.parametrize("packing", ["always", "never"])
def test_the_loss_is_the_formula_on_separate_rows(tmp_path: Path, text_prior: float, packing: str) -> None:
    made = trainer(tmp_path, PreferenceLoss(media_weight=0.7, text_prior=text_prior), packing, beta=0.3)
    batch = made.data_collator(ROWS)
    encoder = made.data_collator.pairs.encoder
    with torch.no_grad():
        expected = []
        for one in ROWS:
            texts = [message[0]["content"][0]["text"] for message in (one["chosen"], *one["rejected"])]

            def ratio(media, text):
                policy, reference = (log_probability(model, encoder, media, text) for model in (made.model, made.ref_model))
                return policy - reference

            chosen, *rejected = [ratio(one["media"], text) for text in texts]
            known, *others = [log_probability(made.model, encoder, one["media"], text, with_media=False) for text in texts]
            margin = chosen - sum(weight * value for weight, value in zip(one["weights"], rejected, strict=True))
            prior = known - sum(weight * value for weight, value in zip(one["weights"], others, strict=True))
            loss = -F.logsigmoid(0.3 * margin - text_prior * prior)
            if one["rejected_media"]:
                loss = loss - 0.7 * F.logsigmoid(0.3 * (chosen - ratio(one["rejected_media"], texts[0])))
            expected.append(loss)
        found = made._compute_loss(made.model, batch)
    assert found.item() == pytest.approx(torch.stack(expected).mean().item(), abs=1e-5)
    logged = {name: values[0] for name, values in made._metrics["eval"].items()}
    assert {"loss/answers", "loss/media", "rewards/margins", "rewards/accuracies", "entropy"} <= logged.keys()


def test_the_text_prior_has_no_gradient(tmp_path: Path) -> None:
    made = trainer(tmp_path, PreferenceLoss(text_prior=0.05), beta=0.01)
    batch = made.data_collator([{**ROWS[1], "media": (), "prompt": messages(())}])  # no media: prior and policy see the same rows
    without = trainer(tmp_path, PreferenceLoss(text_prior=0.0), beta=0.01)
    made._compute_loss(made.model, batch).backward()
    weight = made.model.lm_head.weight
    # d/dtheta of -log sigmoid(beta m - prior p) with p held fixed points along dm alone
    with_prior = weight.grad.clone()
    without._compute_loss(without.model, {name: value for name, value in batch.items() if name != "without_media"}).backward()
    plain = without.model.lm_head.weight.grad
    cosine = (with_prior * plain).sum() / (with_prior.norm() * plain.norm())
    assert cosine == pytest.approx(1.0, abs=1e-4) and not torch.allclose(with_prior, plain)


def test_one_rejected_answer_is_trls_own_loss(tmp_path: Path) -> None:
    made = trainer(tmp_path, PreferenceLoss())
    pair = {**ROWS[1]}
    assert "comparisons" in made.data_collator([pair])  # the other rows are no pairs, and all batches take one way
    made.data_collator.plain = True
    plain = made.data_collator([pair])
    assert "comparisons" not in plain
    comparing = trainer(tmp_path, PreferenceLoss(text_prior=1e-9))
    batch = comparing.data_collator([pair])
    assert "comparisons" in batch
    with torch.no_grad():
        assert comparing._compute_loss(comparing.model, batch).item() == pytest.approx(made._compute_loss(made.model, plain).item(), abs=1e-5)
    for name in ("rewards/margins", "rewards/chosen", "logps/chosen", "logps/rejected", "entropy"):
        assert comparing._metrics["eval"][name] == pytest.approx(made._metrics["eval"][name], abs=1e-4), name


def test_comparisons_train(tmp_path: Path) -> None:
    schedule = {"max_steps": 4, "per_device_train_batch_size": 3, "learning_rate": 1e-3, "lr_scheduler_type": "constant"}
    made = trainer(tmp_path, PreferenceLoss(text_prior=0.2), **schedule)
    made.train()
    logged = [row for row in made.state.log_history if "loss" in row]
    assert logged[-1]["loss"] < logged[0]["loss"] and logged[-1]["rewards/margins"] > logged[0]["rewards/margins"]


def test_other_losses_than_sigmoid_are_refused_for_comparisons(tmp_path: Path) -> None:
    made = trainer(tmp_path, PreferenceLoss(), loss_type="ipo")
    with pytest.raises(UserError, match="defined for the plain sigmoid loss"):
        made._compute_loss(made.model, made.data_collator(ROWS))


# The stage on pairs of every source and medium.


@pytest.fixture(scope="module")
def mixed_data(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Records of talking faces (a sound track, a sound beside a clip, frames), of their voices alone, and of drawn faces."""
    folder = tmp_path_factory.mktemp("mixed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "data_prep"))
        importlib.import_module("talking_faces").build(ROOT / "recipes/tiny/data", folder / "clips", num_per_label=4, seed=0, voice="synthetic")
    clips = rows_of(folder / "clips/train.jsonl")
    spoken = [row for row in clips if "audio" in row["media"] and row.get("aligned_modality") != "video"]
    voices = [{**row, "id": f"voice of {row['id']}", "media": {"audio": row["media"]["audio"]}, "question": "What does the voice carry?",
               "target": {**row["target"], "cues": {"audio": row["target"]["cues"]["audio"]}}} for row in spoken]  # fmt: skip
    write_jsonl(folder / "clips/voices.jsonl", voices)
    faces = rows_of(ROOT / "recipes/tiny/data/train_text.jsonl")[::20]
    faces[0]["preference"] = {"chosen": "<think>a smile</think><answer>joy</answer>", "rejected": "<think>a frown</think><answer>fear</answer>",
                              "rejected_media": faces[-1]["media"]}  # fmt: skip
    copy_records(faces, ROOT / "recipes/tiny/data", folder / "faces/faces.jsonl")
    return [folder / "clips/train.jsonl", folder / "clips/voices.jsonl", folder / "faces/faces.jsonl"]


def recipe_for(folder: Path, data: list[Path], sources: list[str], **more: object) -> DpoRecipe:
    settings = {"max_steps": 2, "per_device_train_batch_size": 4, "gradient_checkpointing": False, "save_steps": 50, "logging_steps": 1,
                "learning_rate": 1e-3}  # fmt: skip
    model = {"path": str(tiny_models.checkpoint("qwen2_5_omni_thinker", folder)), "dtype": "float32", "lora": {"r": 4}}
    return DpoRecipe.model_validate({
        "stage": "dpo", "output_dir": str(folder / "run"), "model": model, "data": [{"path": str(path)} for path in data],
        "media": {**SETTINGS.model_dump(), "max_seconds": 8.0}, "label_space": "shaver_6_disgust_neutral", "augment": {}, "trainer": settings,
        "prompt": {"question": "What does the face show?"}, "pairs": {"sources": sources}, **more,
    })  # fmt: skip


def test_the_stage_trains_on_pairs_of_every_source_and_medium(tmp_path: Path, mixed_data: list[Path]) -> None:
    recipe = recipe_for(tmp_path, mixed_data, ["records", "conflict", "cues"])
    run_dir = dpo.run(recipe)
    pairs = read_records(run_dir.pairs_path)
    balance = read_json(run_dir.balance_path)
    assert len(pairs) == sum(source["num_pairs"] for source in balance["sources"].values()) == run_dir.manifest["num_pairs"]
    assert all(source["num_pairs"] for source in balance["sources"].values())
    under_others = [pair.media for pair in pairs if pair.preference.rejected_media]
    assert {tuple(media.kinds) for media in under_others} == {("picture",), ("clip", "sound"), ("clip", "sound track"), ("sound",)}
    assert any(pair.preference.rejected_media.sound_track for pair in pairs if pair.preference.rejected_media)
    logged = [row for _, row in read_jsonl(run_dir.metrics_path, []) if "loss/media" in row]
    assert len(logged) == 2 and all(0 < row["loss/answers"] < 10 and row["loss"] > 0 for row in logged)
    written = run_dir.pairs_path.stat().st_mtime_ns
    dpo.run(recipe)
    assert run_dir.pairs_path.stat().st_mtime_ns == written, "what is done already is not done again"


def test_every_kind_of_rejected_media_has_a_loss_and_a_gradient(tmp_path: Path, mixed_data: list[Path]) -> None:
    recipe = recipe_for(tmp_path, mixed_data, ["cues"])
    run_dir = RunDir(recipe.output_dir)
    run_dir.path.mkdir()
    records = linked_records([one for source in read_sources(recipe.data) for one in source], run_dir.path)
    write_pairs(run_dir, {"cues": dpo.pairs_of("cues", recipe, records, [])}, recipe.template.build(), len)
    by_kind = {tuple(pair.record.media.kinds): pair for pair in read_pairs(run_dir)[0] if pair.record.preference.rejected_media}
    config = trainer_config("dpo", recipe, run_dir.trainer_path)
    model, processor = open_model(recipe, [])
    made = dpo.make_trainer(recipe, config, model, processor, [list(by_kind.values()), [], []], run_dir)
    rows = {row["id"]: row for row in map(made.train_dataset.__getitem__, range(len(made.train_dataset)))}
    assert len(by_kind) == len(rows) == 4
    for kinds, pair in by_kind.items():
        row = rows[pair.record.id]
        assert [one.kind for one in row["media"]] == [one.kind for one in row["rejected_media"]], kinds
        assert [one.digest for one in row["media"]] != [one.digest for one in row["rejected_media"]], kinds
        made.model.zero_grad()
        (made._compute_loss(made.model, made.data_collator([row]))).backward()
        assert made._metrics["train" if made.model.training else "eval"]["loss/media"][-1] > 0, kinds
        assert any(one.grad is not None and one.grad.abs().sum() > 0 for one in made.model.parameters()), kinds


def test_augmentation_changes_both_media_alike(tmp_path: Path, mixed_data: list[Path]) -> None:
    """Where the voice is exchanged the clip stays the same to the last pixel, so that nothing but the voice tells the two apart."""
    recipe = recipe_for(tmp_path, mixed_data[:1], ["cues"])
    run_dir = RunDir(recipe.output_dir)
    run_dir.path.mkdir()
    records = linked_records(read_sources(recipe.data)[0], run_dir.path)
    write_pairs(run_dir, {"cues": dpo.pairs_of("cues", recipe, records, [])}, recipe.template.build(), len)
    pairs = [pair for pair in read_pairs(run_dir)[0] if pair.record.aligned_modality == "audio"]
    model, processor = open_model(recipe, [])
    made = dpo.make_trainer(recipe, trainer_config("dpo", recipe, run_dir.trainer_path), model, processor, [pairs], run_dir)
    by_id = {pair.record.id: pair for pair in pairs}
    for row in map(made.train_dataset.__getitem__, range(len(made.train_dataset))):
        (clip_of, sound_of), (other_clip, other_sound) = ([one.digest for one in row[key]] for key in ("media", "rejected_media"))
        assert clip_of == other_clip and sound_of != other_sound
        assert clip_of != by_id[row["id"]].media(recipe.media)[0].digest, "and it is augmented"


def test_pairs_are_drawn_by_the_weight_of_their_file(tmp_path: Path, mixed_data: list[Path]) -> None:
    """Four steps of ten draws: 24 pairs of weight 1 and 6 of weight 4 share them alike."""
    recipe = recipe_for(tmp_path, mixed_data[:2], ["cues"])
    recipe.trainer |= {"max_steps": 4, "per_device_train_batch_size": 10}
    recipe.data[1] = recipe.data[1].model_copy(update={"weight": 4.0})
    run_dir = RunDir(recipe.output_dir)
    run_dir.path.mkdir()
    sources = read_sources(recipe.data)
    assert [len(source) for source in sources] == [24, 6]
    records = linked_records([one for source in sources for one in source], run_dir.path)
    write_pairs(run_dir, {"cues": dpo.pairs_of("cues", recipe, records, [])}, recipe.template.build(), len)
    by_source = [dpo.from_records(read_pairs(run_dir)[0], {one.record.id for one in source}) for source in sources]
    assert [len(source) for source in by_source] == [24, 6]
    model, processor = open_model(recipe, [])
    made = dpo.make_trainer(recipe, trainer_config("dpo", recipe, run_dir.trainer_path), model, processor, by_source, run_dir)
    ids = [made.train_dataset[index]["id"] for index in range(len(made.train_dataset))]
    assert len(ids) == 40 and sum(name.startswith("voice of") for name in ids) == 20


def test_rejected_media_that_do_not_fit_are_refused(tmp_path: Path, mixed_data: list[Path]) -> None:
    recipe = recipe_for(tmp_path, mixed_data[:1], ["cues"])
    recipe.trainer["max_length"] = 60
    with pytest.raises(UserError, match=r"are more than trainer.max_length 60"):
        dpo.run(recipe)
