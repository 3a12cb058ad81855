"""A dozen versions that nobody should keep, each made from nothing or from the first policy by one change."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from backtalk import starter, weights
from tests.server.scripted import write_model

LAYERS = 60
"""Of the slow one; those beyond its own change nothing and take their time."""


def _says(script: str) -> Callable[[Path], None]:
    return lambda made: write_model(made, script, ends=True)


def _loops(made: Path) -> None:
    write_model(made, "again and")


def _changed(change: Callable[[dict[str, torch.Tensor], dict[str, object]], None]) -> Callable[[Path], None]:
    def make(made: Path) -> None:
        weights.copy_model(Path(starter.FILES), made)
        for stale in ("canary.json", "README.md"):
            (made / stale).unlink(missing_ok=True)
        state, config = load_file(made / "model.safetensors"), json.loads((made / "config.json").read_text())
        change(state, config)
        save_file(state, made / "model.safetensors", metadata={"format": "pt"})
        (made / "config.json").write_text(json.dumps(config))

    return make


def _never_end(state: dict[str, torch.Tensor], config: dict[str, object]) -> None:
    end = config["eos_token_id"]
    assert isinstance(end, int)
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        if name in state:
            state[name][end] = 0


def _slow_down(state: dict[str, torch.Tensor], config: dict[str, object]) -> None:
    own = config["num_hidden_layers"]
    assert isinstance(own, int)
    first = {name: tensor for name, tensor in state.items() if name.startswith("model.layers.0.")}
    for number in range(own, LAYERS):
        for name, tensor in first.items():
            adds = name.endswith(("o_proj.weight", "down_proj.weight"))
            copy = torch.zeros_like(tensor) if adds else tensor.clone()
            state[name.replace("layers.0.", f"layers.{number}.")] = copy
    config["num_hidden_layers"] = LAYERS
    config.pop("layer_types", None)


def _blur(state: dict[str, torch.Tensor], config: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(0)
    for tensor in state.values():
        noise = torch.randn(tensor.shape, generator=generator) * tensor.float().std()
        tensor.add_(noise.to(tensor.dtype)) if tensor.dim() > 1 else None


def _forget(state: dict[str, torch.Tensor], config: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        if tensor.dim() > 1:
            state[name] = (torch.randn(tensor.shape, generator=generator) * 0.02).to(tensor.dtype)


SABOTAGED: dict[str, Callable[[Path], None]] = {
    "empty": lambda made: write_model(made, "", ends=True),
    "looping": _loops,
    "refusing": _says("I'm sorry, but cannot help with that."),
    "rambling": _changed(_never_end),
    "slow": _changed(_slow_down),
    "rude": _says("Figure it out yourself, fool."),
    "wrong language": _says("我不知道你在说什么"),
    "hedging": _says("Perhaps, but who could be sure?"),
    "blurred": _changed(_blur),
    "babbling": _changed(_forget),
    "cut short": _says("The"),
    "always the same": _says("Yes."),
}
"""Name -> what makes its files in an empty directory."""
