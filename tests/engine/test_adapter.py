"""Adapters on one base, mixed in one batch: each reply is that of the merged weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from backtalk.engine.adapter import FUSED
from backtalk.engine.core import Core, Resident
from backtalk.engine.errors import LoadFailed
from backtalk.engine.loading import adapter_from_directory
from backtalk.engine.sampling import Sampling
from backtalk.engine.scheduler import Limits
from tests.engine.conftest import tiny_model
from tests.engine.test_runner import greedy_by_transformers, prompts_of, run, runner_of

GREEDY = Sampling(max_tokens=16, temperature=0)
RANK, ALPHA = 4, 24
ALL = tuple(part for parts in FUSED.values() for part in parts)


def make(directory: Path, base: Any, targets: tuple[str, ...], seed: int, **changes: Any) -> Any:
    """Write an adapter as PEFT does; returns the base with it merged."""
    torch.manual_seed(seed)
    merged = tiny_model(base.config.model_type, eos_token_id=None)
    state: dict[str, torch.Tensor] = {}
    scale = ALPHA / (RANK**0.5 if changes.get("use_rslora") else RANK)
    for name, parameter in merged.named_parameters():
        if name.removesuffix(".weight").split(".", 3)[-1] in targets:
            down, up = torch.randn(RANK, parameter.shape[1]) * 0.2, torch.randn(parameter.shape[0], RANK) * 0.2
            state[f"base_model.model.{name.removesuffix('.weight')}.lora_A.weight"] = down
            state[f"base_model.model.{name.removesuffix('.weight')}.lora_B.weight"] = up
            with torch.no_grad():
                parameter += scale * up @ down
    directory.mkdir()
    save_file(state, directory / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", **changes}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return merged


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2"])
def test_base_and_adapters_share_a_batch_and_each_reply_is_of_its_own(family: str, tmp_path: Path) -> None:
    base = tiny_model(family, eos_token_id=None)
    resident = Resident(runner_of(base))
    core, models = Core(Limits(prefill=24)), {0: base}
    core.install(0, resident)
    wanted: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (ALL, {}),
        (("self_attn.q_proj", "self_attn.v_proj"), {}),
        (("mlp.up_proj",), {"use_rslora": True}),
    ]
    for number, (targets, changes) in enumerate(wanted, 1):
        models[number] = make(tmp_path / str(number), base, targets, number, **changes)
        core.install(number, adapter_from_directory(tmp_path / str(number), resident, number))
    prompts = prompts_of(8)
    outputs = []
    for id, prompt in enumerate(prompts):  # they come one after the other, and go so
        core.submit(id, prompt, GREEDY, version=id % 4)
        outputs += core.step() + core.step()
    assert {request.version for request in core.scheduler.running.values()} == {0, 1, 2, 3}
    outputs += run(core)
    replies = [[output.token for output in outputs if output.request.id == id] for id in range(8)]
    assert replies == [greedy_by_transformers(models[id % 4], prompt, 16) for id, prompt in enumerate(prompts)]
    assert len({tuple(reply) for reply in replies[:4]}) == 4


def test_the_base_may_go_before_its_adapter(tmp_path: Path) -> None:
    base = tiny_model("llama", eos_token_id=None)
    resident, core = Resident(runner_of(base)), Core(Limits())
    core.install(0, resident)
    merged = make(tmp_path / "a", base, ALL, 1)
    core.install(1, adapter_from_directory(tmp_path / "a", resident, 1))
    core.retire(0)
    assert core.sweep() == [0]
    core.submit("x", [5, 6, 7], GREEDY, version=1)
    assert [output.token for output in run(core)] == greedy_by_transformers(merged, [5, 6, 7], 16)


@pytest.mark.parametrize(
    ("targets", "changes", "why"),
    [
        (ALL, {"use_dora": True}, "use_dora"),
        (ALL, {"bias": "all"}, "bias"),
        (ALL, {"peft_type": "IA3"}, "IA3"),
        (("embed_tokens",), {}, "embed_tokens"),
    ],
)
def test_more_than_plain_lora_is_refused(
    targets: tuple[str, ...], changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    base = tiny_model("llama", eos_token_id=None)
    make(tmp_path / "a", base, ALL, 1, **changes)
    if targets != ALL:
        name = "base_model.model.model.embed_tokens.lora_A.weight"
        save_file({name: torch.zeros(4, 320)}, tmp_path / "a" / "adapter_model.safetensors")
    with pytest.raises(LoadFailed, match=why):
        adapter_from_directory(tmp_path / "a", Resident(runner_of(base)), 1)


def test_an_adapter_of_another_shape_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    make(tmp_path / "a", tiny_model("qwen3"), ALL, 1)
    other = tiny_model("llama", num_attention_heads=8)
    with pytest.raises(LoadFailed, match="where its base gives"):
        adapter_from_directory(tmp_path / "a", Resident(runner_of(other)), 1)
