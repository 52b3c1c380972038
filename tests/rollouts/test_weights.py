"""The policy's weights as an engine loads them: names of a checkpoint, values of a merged model, and digests that tell them apart."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

import pytest
import tiny_models
import torch
from media_samples import messages, picture
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import PreTrainedModel

from emoreason.collate import PromptEncoder
from emoreason.models import lora_config
from emoreason.recipe import LoraSettings, MediaSettings
from emoreason.rollouts import weights
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.weights import adapter_key, digest, engine_weights, policy_weights, write_adapter, write_weights

SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
LORA = LoraSettings(r=4, alpha=12)
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.uint8, torch.float8_e4m3fn]


def adapted(model: PreTrainedModel, seed: int = 0) -> PeftModel:
    """The model with an adapter that changes it: PEFT starts with one that does nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = get_peft_model(model, lora_config(LORA, model))
        for name, parameter in found.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return found.eval()


def numbers(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return torch.randint(0, 100, shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_single_bit_changes_the_digest(dtype: torch.dtype) -> None:
    tensor = numbers(dtype, 6)
    found = {digest(tensor)}
    for place in range(6 * dtype.itemsize):
        for bit in range(8):
            changed = tensor.clone()
            changed.view(torch.uint8)[place] ^= 1 << bit
            found.add(digest(changed))
    assert len(found) == 1 + 6 * dtype.itemsize * 8


def test_the_order_of_values_changes_the_digest() -> None:
    assert len({digest(torch.tensor(order)) for order in permutations([0.0, 1.0, 2.0, 3.0, -1.0])}) == 120
    rows = numbers(torch.bfloat16, 512, 8)
    swapped = rows.clone()
    swapped[[3, 400]] = rows[[400, 3]]
    assert digest(swapped) != digest(rows)


def test_shape_and_type_change_the_digest_of_the_same_bits() -> None:
    zeros = torch.zeros(6)
    others = [zeros.view(2, 3), zeros.view(3, 2), zeros.view(1, 6), zeros.int(), zeros.half(), zeros.bfloat16(), zeros[:5],
              torch.zeros(12, dtype=torch.float16), torch.tensor(0.0), torch.zeros(0), torch.zeros(0, 3)]  # fmt: skip
    assert len({digest(one) for one in (zeros, *others)}) == 12
    square = numbers(torch.float32, 3, 3)
    assert digest(square.T) != digest(square)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equal_tensors_have_one_digest_wherever_they_lie(dtype: torch.dtype) -> None:
    wide = numbers(dtype, 6, 8)
    assert digest(wide.T) == digest(wide.T.contiguous()) == digest(wide.clone().T)
    assert digest(wide[1:5, 2:7]) == digest(wide[1:5, 2:7].clone())
    assert digest(torch.nn.Parameter(wide, requires_grad=False)) == digest(wide)
    assert digest(wide[:0]) == digest(torch.empty(0, 8, dtype=dtype))
    assert digest(wide[0, 0]) == digest(wide.flatten()[0])


def test_a_digest_does_not_depend_on_how_much_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [numbers(torch.bfloat16, size) for size in (0, 1, 6, 7, 8, 14, 50)]
    whole = [digest(tensor) for tensor in tensors]
    monkeypatch.setattr(weights, "CHUNK", 7)
    assert [digest(tensor) for tensor in tensors] == whole
    swapped = tensors[-1].clone()
    swapped[[0, 7]] = swapped[[7, 0]]  # the same place of two chunks
    assert digest(swapped) != whole[-1]


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_without_adapters_the_weights_are_the_models_own(family: str) -> None:
    model, _ = tiny_models.BUILDERS[family](0)
    found = list(policy_weights(model))
    own = list(model.named_parameters())
    assert [name for name, _ in found] == [name for name, _ in own]
    assert all(ours.data_ptr() == theirs.data_ptr() and not ours.requires_grad for (_, ours), (_, theirs) in zip(found, own, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_with_an_adapter_they_are_those_of_the_merged_model(family: str) -> None:
    model, _ = tiny_models.BUILDERS[family](0)
    names = [name for name, _ in model.named_parameters()]
    policy = adapted(model)
    merged = dict(copy.deepcopy(policy).merge_and_unload().named_parameters())
    found = dict(policy_weights(policy))
    assert list(found) == names
    assert all(torch.allclose(found[name], merged[name], atol=1e-6, rtol=0) for name in names)
    plain = dict(tiny_models.BUILDERS[family](0)[0].named_parameters())
    changed = {name for name in names if not torch.equal(found[name], plain[name])}
    assert changed == {f"{name}.weight" for name in policy.peft_config["default"].target_modules}


def test_two_signs_turned_are_not_the_same_as_none() -> None:
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        tensor = numbers(dtype, 6)
        changed = [tensor * torch.tensor([-1 if place in pair else 1 for place in range(6)]) for pair in permutations(range(6), 2)]
        assert len({digest(one) for one in changed}) == 15 and digest(tensor) not in {digest(one) for one in changed}


@pytest.mark.slow
def test_fifty_times_over_leaves_the_policy_as_it_was() -> None:
    policy = adapted(tiny_models.qwen2_5_vl()[0])
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    digests = {tuple(digest(tensor) for _, tensor in policy_weights(policy)) for _ in range(50)}
    assert len(digests) == 1
    after = policy.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_over_a_base_in_bfloat16_the_sum_is_rounded_once() -> None:
    policy = adapted(tiny_models.qwen2_5_vl()[0].bfloat16())
    layers = policy.get_base_model().model.language_model.layers
    assert layers[0].self_attn.q_proj.lora_A["default"].weight.dtype == torch.float32
    found = dict(policy_weights(policy))
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    for index, layer in enumerate(layers):
        module = layer.mlp.down_proj
        delta = (module.lora_B["default"].weight @ module.lora_A["default"].weight) * 3.0  # 12 / 4
        expected = (module.base_layer.weight.float() + delta).bfloat16()
        assert torch.equal(found[f"model.language_model.layers.{index}.mlp.down_proj.weight"], expected)
        assert not torch.equal(expected, module.base_layer.weight + delta.bfloat16()), "rounding twice gives other numbers"


@pytest.mark.slow
def test_weights_that_are_whole_only_while_they_are_gathered(tmp_path: Path) -> None:
    """As with ZeRO-3: outside of `gather` a parameter is empty on every process."""
    policy = adapted(tiny_models.qwen2_5_vl()[0])
    expected = {name: digest(tensor) for name, tensor in policy_weights(policy)}
    factors = write_adapter(policy, tmp_path, torch.float32)
    held = {parameter: parameter.data for parameter in policy.parameters()}
    most = []

    @contextmanager
    def gather(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
        for parameter in parameters:
            parameter.data = held[parameter]
        most.append(len(parameters))
        yield
        for parameter in parameters:
            parameter.data = torch.empty(0)

    for parameter in held:
        parameter.data = torch.empty(0)
    assert {name: digest(tensor) for name, tensor in policy_weights(policy, gather)} == expected
    assert max(most) == 3, "a weight and the factors of its adapter"
    assert write_adapter(policy, tmp_path / "gathered", torch.float32, gather) == factors
    written, plain = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "gathered", tmp_path))
    assert written.keys() == plain.keys() and all(torch.equal(written[name], plain[name]) for name in plain)
    assert all(parameter.numel() == 0 for parameter in held)


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_an_engine_gets_what_a_checkpoint_holds(family: str, tmp_path: Path) -> None:
    model, _ = tiny_models.BUILDERS[family](0)
    model.save_pretrained(tmp_path)
    prefix = "thinker." if family.endswith("_thinker") else ""
    saved = {prefix + name: tensor for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    found = list(engine_weights(model.config, policy_weights(model)))
    assert sorted(name for name, _ in found) == sorted(saved)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in found)


@pytest.mark.slow
def test_an_engine_gets_tied_embeddings_once(tmp_path: Path) -> None:
    model, _ = tiny_models.qwen2_5_vl()
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tmp_path)
    names = [name for name, _ in engine_weights(model.config, policy_weights(model))]
    assert sorted(names) == sorted(load_file(tmp_path / "model.safetensors")) and "lm_head.weight" not in names


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "smolvlm"])
def test_peft_reads_a_written_adapter(family: str, tmp_path: Path) -> None:
    model, processor = tiny_models.BUILDERS[family](0)
    prompt = PromptEncoder(processor, model.config, SETTINGS)(messages((picture(0),)), (picture(0),))
    plain = TransformersEngine(model, processor).log_probs([lambda: prompt], [[5, 6, 7]])
    policy = adapted(model)
    write_adapter(policy, tmp_path, torch.float32)
    read = PeftModel.from_pretrained(tiny_models.BUILDERS[family](0)[0], tmp_path).get_base_model()
    ours, theirs = (TransformersEngine(one, processor).log_probs([lambda: prompt], [[5, 6, 7]]) for one in (policy.get_base_model(), read))
    assert theirs == ours and max(abs(one - other) for one, other in zip(ours[0], plain[0], strict=True)) > 0.01


@pytest.mark.slow
def test_a_thinkers_adapter_is_named_as_a_part_of_the_whole_model(tmp_path: Path) -> None:
    model, _ = tiny_models.qwen2_5_omni_thinker()
    digests = write_adapter(adapted(model), tmp_path, torch.float32)
    names = list(load_file(tmp_path / "adapter_model.safetensors"))
    assert len(names) == len(digests) == 2 * 7 * 2  # layers, projections, factors
    assert all(name.startswith("base_model.model.thinker.model.layers.") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_digests_of_an_adapter_are_those_of_its_scaled_factors(dtype: torch.dtype, tmp_path: Path) -> None:
    policy = adapted(tiny_models.qwen2_5_vl()[0])
    found = write_adapter(policy, tmp_path, dtype)
    expected = {}
    for name, tensor in load_file(tmp_path / "adapter_model.safetensors").items():
        module, factor = name.removesuffix(".weight").rsplit(".", 1)
        scale = 3.0 if factor == "lora_B" else 1.0  # 12 / 4
        expected[adapter_key(module, factor)] = digest(tensor.to(dtype) * scale)
    assert found == expected and "layers.1.mlp.up_proj.lora_B" in found


@pytest.mark.slow
def test_who_does_not_write_an_adapter_still_has_its_digests(tmp_path: Path) -> None:
    policy = adapted(tiny_models.qwen2_5_vl()[0])
    digests = write_adapter(policy, tmp_path / "nothing", torch.float32, is_writer=False)
    assert not (tmp_path / "nothing").exists()
    assert digests == write_adapter(policy, tmp_path / "adapter", torch.float32)


@pytest.mark.parametrize(("shard_bytes", "sizes"), [(64, [64, 64, 72]), (1, [32, 32, 32, 32, 72]), (10**6, [200]), (128, [128, 72])])
def test_weights_are_written_in_files_of_about_one_size(tmp_path: Path, shard_bytes: int, sizes: list[int]) -> None:
    whole = numbers(torch.float32, 4, 8)  # its rows share one memory, as the parts of a tensor do that was split
    tensors = {**{f"part{row}": whole[row] for row in range(4)}, "last": numbers(torch.float32, 3, 6)}  # of 32 bytes, and of 72
    write_weights(tensors.items(), tmp_path, shard_bytes)
    files = [load_file(path) for path in sorted(tmp_path.glob("*.safetensors"))]
    assert [sum(tensor.nbytes for tensor in file.values()) for file in files] == sizes
    found = {name: tensor for file in files for name, tensor in file.items()}
    assert sum(map(len, files)) == 5 and all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_without_a_folder_weights_are_only_walked_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    walked = []

    def made() -> Iterator[tuple[str, torch.Tensor]]:
        for name in "abc":
            walked.append(name)
            yield name, torch.zeros(2)

    write_weights(made(), None, shard_bytes=1)
    assert walked == ["a", "b", "c"] and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_written_weights_of_every_family_are_read_back(tmp_path: Path) -> None:
    for family, build in tiny_models.BUILDERS.items():
        model, _ = build(0)
        folder = tmp_path / family
        folder.mkdir()
        sent = {name: tensor.clone() for name, tensor in engine_weights(model.config, policy_weights(model))}
        write_weights(engine_weights(model.config, policy_weights(model)), folder, 1 << 20)
        found = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
        assert {name: digest(tensor) for name, tensor in found.items()} == {name: digest(tensor) for name, tensor in sent.items()}
