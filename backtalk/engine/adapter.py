"""Low-rank adapters (LoRA, arXiv 2106.09685) in PEFT's files: many small differences from one base, in one batch.

An adapter is a version like any other, but its weights are those of its base plus, for some matrices, up x down: it
costs a hundredth of the memory, and requests of several adapters and of the base itself are computed together.

Shapes: k tokens of an adapter among the T of a step, R rank (of matrices that are fused: of all parts together).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from backtalk.engine.errors import LoadFailed
from backtalk.engine.shape import Shape

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

FUSED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""Which of PEFT's matrices each of ours is made of."""

Spot = tuple[int, str]
"""(layer, name in FUSED)"""


@dataclass(frozen=True, slots=True)
class Pair:
    """What is added to one multiplication: x -> (x downᵀ) upᵀ, scaled."""

    down: Tensor  # [R, in]
    up: Tensor  # [out, R]

    def __call__(self, x: Tensor) -> Tensor:
        """[k, in] -> [k, out]"""
        return x @ self.down.T @ self.up.T


Adapter = dict[Spot, Pair]


def is_adapter(path: Path) -> bool:
    """Does this directory hold an adapter?"""
    return (path / CONFIG).is_file()


def read(path: Path, shape: Shape, dtype: torch.dtype, device: torch.device) -> Adapter:
    """Read an adapter for a base of this shape.

    Raises:
        LoadFailed: it changes what cannot be changed here, or does not fit the base.
    """
    if shape.family == "gpt2":
        raise LoadFailed("adapters are served on bases of the Llama family and Gemma; this one is GPT-2")
    config = json.loads((path / CONFIG).read_text())
    _demand_plain(config)
    state = {_plain_name(name): tensor for name, tensor in load_file(path / WEIGHTS).items()}
    is_root = bool(config.get("use_rslora"))  # arXiv 2312.03732
    adapter: Adapter = {}
    for layer in range(shape.layers):
        for name, parts in FUSED.items():
            outs = _outs(shape, name, state, f"model.layers.{layer}")
            found = [_take(state, f"model.layers.{layer}.{part}") for part in parts]
            if any(pair is not None for pair in found):
                adapter[layer, name] = _fuse(found, outs, config["lora_alpha"], is_root, dtype, device)
    if state:
        raise LoadFailed(f"the adapter changes {sorted(state)[0]}, which cannot be changed here")
    return adapter


def _demand_plain(config: Mapping[str, Any]) -> None:
    """Raises: LoadFailed: it is more than plain LoRA."""
    for name, plain in {"bias": "none", "use_dora": False, "modules_to_save": None, "alpha_pattern": {}}.items():
        if config.get(name, plain) not in (plain, None):
            raise LoadFailed(f"the adapter has {name} = {config[name]!r}; only plain LoRA is served")
    if config.get("peft_type", "LORA") != "LORA":
        raise LoadFailed(f"the adapter is of the kind {config['peft_type']}; only LORA is served")


def _plain_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".default.", ".")


def _take(state: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor] | None:
    """down [r, in] and up [out, r] of one of PEFT's matrices, if it is changed; they are removed from `state`."""
    down, up = state.pop(f"{name}.lora_A.weight", None), state.pop(f"{name}.lora_B.weight", None)
    if down is None or up is None:
        return None
    if not bool(down.isfinite().all() and up.isfinite().all()):
        raise LoadFailed(f"the adapter's {name} holds NaN or infinity; expected finite numbers only")
    return down, up


def _outs(shape: Shape, name: str, state: Mapping[str, Tensor], layer: str) -> list[int | None]:
    """How many values each part gives; None where only its own matrix tells."""
    if name == "qkv":
        return [shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.kv_heads * shape.head_size]
    known = [state.get(f"{layer}.{part}.lora_B.weight") for part in FUSED[name]]
    some = next((up.shape[0] for up in known if up is not None), None)  # gate and up are alike
    return [some] * len(known)


def _fuse(
    found: list[tuple[Tensor, Tensor] | None],
    outs: list[int | None],
    alpha: float,
    is_root: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> Pair:
    """One pair for parts that stand one below the other: each part's `up` at its own place, 0 elsewhere."""
    downs: list[Tensor] = []
    ups: list[Tensor] = []
    for pair, out in zip(found, outs, strict=True):
        if pair is None:
            assert out is not None
            ups.append(torch.zeros(out, 0))
            continue
        down, up = pair
        if out is not None and up.shape[0] != out:
            raise LoadFailed(f"the adapter gives {up.shape[0]} values where its base gives {out}")
        rank = down.shape[0]
        downs.append(down.float())
        ups.append(up.float() * (alpha / (rank**0.5 if is_root else rank)))
    up = torch.zeros(sum(map(len, ups)), sum(each.shape[1] for each in ups))
    row = column = 0
    for each in ups:
        up[row : row + each.shape[0], column : column + each.shape[1]] = each
        row, column = row + each.shape[0], column + each.shape[1]
    return Pair(torch.cat(downs).to(device, dtype), up.to(device, dtype))
