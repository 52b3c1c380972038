"""The released folder: loads with transformers alone, answers as the run's checkpoint did, and says where it came from."""

import json
from pathlib import Path

import pytest
from conftest import Line

from emoreason.files import read_json

pytestmark = pytest.mark.slow


def test_transformers_loads_it_and_answers_are_those_of_the_adapter(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from peft import PeftModel
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    monkeypatch.chdir(line.folder)
    released, run = Path("runs/tiny/release"), Path("runs/tiny/stage3_grpo")
    processor = AutoProcessor.from_pretrained(released, local_files_only=True)
    merged = AutoModelForImageTextToText.from_pretrained(released, local_files_only=True)
    adapter = run / "checkpoint"
    base = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    apart = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32), adapter)
    picture = next((Path("recipes/tiny/data/images")).rglob("*.png"))
    content = [{"type": "image", "image": Image.open(picture).convert("RGB")}, {"type": "text", "text": "What does the face show?"}]
    inputs = processor.apply_chat_template(
        [[{"role": "user", "content": content}]], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    with torch.no_grad():
        assert torch.allclose(merged(**inputs).logits, apart(**inputs).logits, atol=1e-4)
        answers = [model.generate(**inputs, do_sample=False, max_new_tokens=24).tolist() for model in (merged, apart)]
    assert answers[0] == answers[1]
    assert processor.image_processor.size["longest_edge"] == 4096


def test_it_carries_settings_lineage_and_card(line: Line) -> None:
    released = line.folder / "runs/tiny/release"
    settings = read_json(released / "emoreason.json")
    assert settings["template"] == {"think": "free", "answer": "list", "confidence": True, "sections": [], "prefilled": False}
    assert [step["stage"] for step in settings["lineage"]] == ["sft", "confidence", "grpo"]
    card = (released / "README.md").read_text()
    for needed in ("| stage3_grpo | heldout_style |", "CC-BY-4.0", "Apache-2.0", "MIT", "recipes/tiny/data/train.jsonl"):
        assert needed in card
    assert not [path for path in released.rglob("*") if path.suffix in {".bin", ".pt", ".pkl"}]
    assert read_json(released / "generation_config.json")["eos_token_id"]


def test_predict_prints_reasoning_label_and_confidence(line: Line) -> None:
    pictures = sorted(str(path.relative_to(line.folder)) for path in (line.folder / "recipes/tiny/data/images").rglob("*.png"))[:2]
    rows = [json.loads(text) for text in line.emoreason("predict", "runs/tiny/release", *pictures, "--json").stdout.splitlines()]
    assert [row["file"] for row in rows] == pictures
    assert all(set(row) == {"file", "reasoning", "emotions", "confidence", "problems"} for row in rows)
    table = line.emoreason("predict", "runs/tiny/release", pictures[0]).stdout
    assert "reasoning" in table and "confidence" in table


def test_bad_pictures_are_named_together(line: Line) -> None:
    (line.folder / "text.png").write_text("not a picture")
    done = line.emoreason("predict", "runs/tiny/release", "text.png", "absent.png", check=False)
    assert done.returncode == 2
    assert "text.png: not a picture" in done.stderr and "absent.png: no such picture" in done.stderr


def test_a_folder_that_is_no_release_is_left_alone(line: Line) -> None:
    (line.folder / "mine").mkdir(exist_ok=True)
    (line.folder / "mine" / "thesis.txt").write_text("do not lose")
    done = line.emoreason("release", "runs/tiny/stage3_dpo", "mine", check=False)
    assert done.returncode == 2 and "holds files but no release" in done.stderr
    assert (line.folder / "mine" / "thesis.txt").read_text() == "do not lose"


def test_an_unfinished_run_is_not_released(line: Line) -> None:
    done = line.emoreason("release", "runs/tiny/absent", "out", check=False)
    assert done.returncode == 2 and "no finished run" in done.stderr and not (line.folder / "out").exists()


def test_an_adapter_on_an_adapter_keeps_both(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch
    from peft import get_peft_model

    from emoreason.models import load_model, lora_config
    from emoreason.recipe import LoraSettings, ModelSettings

    monkeypatch.chdir(line.folder)
    first = load_model(ModelSettings(path="runs/tiny/stage3_grpo/checkpoint", dtype="float32"))
    inputs = {"input_ids": torch.arange(40, 60)[None]}
    with torch.no_grad():
        before = first(**inputs).logits
        second = get_peft_model(first, lora_config(LoraSettings(r=4), first))
        for name, parameter in second.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        expected = second(**inputs).logits
        second.save_pretrained(tmp_path / "second")
        found = load_model(ModelSettings(path=str(tmp_path / "second"), dtype="float32"))(**inputs).logits
    assert torch.allclose(found, expected, atol=1e-4) and not torch.allclose(found, before, atol=1e-2)


def test_a_merged_model_that_answers_otherwise_is_not_released(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from emoreason import release
    from emoreason.faults import UserError
    from emoreason.run_dir import RunDir

    monkeypatch.chdir(line.folder)
    right = release.load_model

    def perturbed(settings):
        model = right(settings)
        model.get_output_embeddings().weight.data.neg_()
        return model

    monkeypatch.setattr(release, "load_model", perturbed)
    with pytest.raises(UserError, match="nothing was released"):
        release.release(RunDir("runs/tiny/stage3_grpo"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
