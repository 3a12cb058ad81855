"""Training a small difference in place of all weights: low-rank adapters (LoRA, arXiv 2106.09685), with PEFT.

W + (α/√r)·up·down, of which only up and down learn: gradients and an optimiser's moments are those of a small part of
the weights. By the root of r any rank learns at the same rates (arXiv 2312.03732). What is published is the sum, a
policy like any other.

Shapes: W [out, in] (of GPT-2 [in, out]), down [r, in], up [out, r].
"""

import warnings
from collections.abc import Iterator
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from backtalk.recipe import Lora

M = TypeVar("M", bound=nn.Module)
NAME = "default"


def adapt(model: M, lora: Lora | None) -> M:
    """Freeze the model and put adapters beside each matrix of its layers, in place; nothing where none are wanted.

    They begin as nothing: the model says what it said before.
    """
    if lora is None:
        return model
    from peft import LoraConfig, inject_adapter_in_model  # seconds, and few runs want it

    wish = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, use_rslora=True, target_modules=list(_matrices(model)))
    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(0)  # the same in every process
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")  # it is set right by itself
        inject_adapter_in_model(wish, model, NAME)
    return model


def _matrices(model: nn.Module) -> Iterator[str]:
    """Names of the matrices in the layers: neither embeddings nor what becomes of the last state."""
    from transformers.pytorch_utils import Conv1D

    for title, part in model.named_modules():
        if isinstance(part, nn.ModuleList):
            for name, matrix in part.named_modules(prefix=title):
                if isinstance(matrix, nn.Linear | Conv1D):
                    yield name


def is_adapted(model: nn.Module) -> bool:
    """Are there adapters in it?"""
    return hasattr(model, "peft_config")


def summed(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an adapted model under the names that they have without adapters, each with its difference.

    Args:
        state: the model's own, nothing of it sharded.
    """
    if not is_adapted(model):
        return state
    from peft.tuners.lora import LoraLayer

    found = dict(state)
    for name, part in model.named_modules():
        if isinstance(part, LoraLayer):
            layer = cast(Any, part)
            base = f"{name}.base_layer."
            down, up = (found.pop(f"{name}.{side}.{NAME}.weight") for side in ("lora_A", "lora_B"))
            change = up @ down * layer.scaling[NAME]
            for own in [key for key in found if key.startswith(base)]:
                found[f"{name}.{own.removeprefix(base)}"] = found.pop(own)
            found[f"{name}.weight"] = found[f"{name}.weight"] + (change.T if layer.fan_in_fan_out else change)
    return found
