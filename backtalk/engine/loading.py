"""Weights on disk or in memory to a runner: checked first, never pickle, never remote code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from backtalk import weights
from backtalk.engine import adapter, canary
from backtalk.engine.calibrate import Choice, choose
from backtalk.engine.core import Resident
from backtalk.engine.errors import LoadFailed
from backtalk.engine.fused import kernels_of
from backtalk.engine.generate import generate
from backtalk.engine.gpt2 import Gpt2
from backtalk.engine.llama import Llama
from backtalk.engine.runner import PackedRunner, Runner
from backtalk.engine.sampling import Sampling
from backtalk.engine.shape import Shape


def pick_device(wish: str = "auto") -> torch.device:
    """`auto` is the first GPU if there is one, else the CPU."""
    if wish != "auto":
        return torch.device(wish)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def aside(device: torch.device) -> Iterator[None]:
    """What is done on a GPU in here does not hold up what is done there outside; it is over at the end."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(torch.cuda.Stream(device)):
        yield
        torch.cuda.current_stream(device).synchronize()


def from_directory(
    path: Path,
    device: torch.device,
    dtype: torch.dtype | None = None,
    *,
    keys_dir: Path | None = None,
    digest: str | None = None,
) -> Resident:
    """Load a Hugging Face directory: configuration, safetensors, tokenizer.

    Args:
        path: the directory; if it has a manifest, every file is checked against it first.
        device: where it shall run.
        dtype: see `calibrate.choose`.
        keys_dir: where the key lies that must have signed the manifest; None asks for no signature.
        digest: what the manifest's digest must be; None asks for no manifest.

    Raises:
        LoadFailed: something is missing, damaged, not finite, cannot generate a token, or says something else than its
            maker wrote down (see `canary.py`).
    """
    try:
        verify(path, keys_dir, digest)
        config = read_config(path)
        state = read_state(path)
        runner = from_state(config, state, device=device, dtype=dtype, eos=read_eos(path))
        tokenizer = Tokenizer.from_file(str(_demand(path / "tokenizer.json")))
        smoke(runner)
        canary.check(path, runner)
    except LoadFailed:
        raise
    except Exception as error:  # whatever is wrong with a directory, the answer is the same: it is not served
        raise LoadFailed(f"{path} cannot be served: {type(error).__name__}: {error}") from error
    return Resident(runner, tokenizer)


def adapter_from_directory(
    path: Path, base: Resident, number: int, *, keys_dir: Path | None = None, digest: str | None = None
) -> Resident:
    """Load an adapter in PEFT's files as a version of its own on the runner of its base.

    Args:
        path, keys_dir, digest: see `from_directory`. If the directory has no tokenizer, its base's is its own.
        base: what it was trained on.
        number: the version that it shall be.

    Raises:
        LoadFailed: it is damaged, does not fit the base, or changes what cannot be changed here.
    """
    if not isinstance(base.runner, PackedRunner):
        raise LoadFailed("its base is run by transformers, which serves no adapters here")
    try:
        verify(path, keys_dir, digest)
        pairs = adapter.read(path, base.runner.shape, base.runner.dtype, base.runner.device)
        own = path / "tokenizer.json"
        tokenizer = Tokenizer.from_file(str(own)) if own.exists() else base.tokenizer
    except LoadFailed:
        raise
    except Exception as error:
        raise LoadFailed(f"{path} cannot be served: {type(error).__name__}: {error}") from error
    base.runner.adapt(number, pairs)
    return Resident(base.runner, tokenizer)


def from_state(
    config: Any,
    state: Mapping[str, Tensor],
    *,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    eos: frozenset[int] | None = None,
) -> Runner:
    """A runner from a `transformers` configuration and a state dictionary with its names; the weights are copied.

    Args:
        config: e.g. `model.config`, or a `Shape`, which has no end tokens.
        state: e.g. `model.state_dict()`.
        device: CPU unless told.
        dtype: see `calibrate.choose`.
        eos: tokens that end a reply; those of the configuration unless told.

    Raises:
        LoadFailed: a weight is missing or not finite.
    """
    device = device or torch.device("cpu")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise LoadFailed(f"weight {name} holds NaN or infinity; expected finite numbers only")
    return from_state_unchecked(config, state, device=device, dtype=dtype, eos=eos)


def from_state_unchecked(
    config: Any,
    state: Mapping[str, Tensor],
    *,
    device: torch.device,
    dtype: torch.dtype | None = None,
    eos: frozenset[int] | None = None,
) -> Runner:
    """As `from_state`, for weights known to be finite (a policy between two steps of its own training)."""
    choice = Choice(dtype, "asked for") if dtype else choose(device, sum(tensor.numel() for tensor in state.values()))
    runner = _runner(config, state, device, choice.dtype, eos_of(config) if eos is None else eos)
    runner.why = choice.why
    return runner


def _runner(
    config: Any, state: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, eos: frozenset[int]
) -> Runner:
    shape = config if isinstance(config, Shape) else Shape.read(config.to_dict())
    if shape is None:
        return _fallback(config, state, device, dtype, eos)
    try:
        with torch.inference_mode():
            model = (Gpt2 if shape.family == "gpt2" else Llama)(shape, state, dtype, device)
    except KeyError as error:
        raise LoadFailed(f"weight {error.args[0]} is missing; expected the names that transformers saves") from error
    if kernels_of(model.fused) is None:
        return PackedRunner(model, eos)
    from backtalk.engine.captured import CapturedRunner

    return CapturedRunner(model, eos)


def _fallback(
    config: Any, state: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, eos: frozenset[int]
) -> Runner:
    from transformers import AutoModelForCausalLM

    from backtalk.engine.fallback import TransformersRunner

    build: Any = AutoModelForCausalLM.from_config  # untyped
    model = build(config, dtype=dtype, trust_remote_code=False)
    missing = [name for name in model.load_state_dict(dict(state), strict=False).missing_keys if name not in state]
    model.tie_weights()
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) | {"lm_head.weight"}
    if lost := [name for name in missing if name not in tied]:
        raise LoadFailed(f"weight {lost[0]} is missing; expected the names that transformers saves")
    return TransformersRunner(model.to(device), eos)


def verify(path: Path, keys_dir: Path | None, digest: str | None) -> None:
    """Check the directory against its manifest, where it has one or must have one.

    Raises:
        weights.WeightsError: a file is not what was published, or the signature is not ours.
        LoadFailed: it is another version than the one that was asked for.
    """
    if digest is None and not (path / weights.MANIFEST).exists():
        return
    manifest = weights.verify(path, weights.public_key(keys_dir) if keys_dir is not None else None)
    if digest is not None and manifest.digest != digest:
        raise LoadFailed(f"{path} has the digest {manifest.digest}; expected {digest}")


def read_config(path: Path) -> Any:
    """A `Shape` where the file says it all, else the `transformers` configuration; code in it is never run."""
    shape = Shape.read(json.loads(_demand(path / "config.json").read_text()))
    if shape is not None:
        return shape
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)


def read_state(path: Path) -> dict[str, Tensor]:
    """All weights of `model.safetensors`, or of the shards that its index names."""
    index = path / "model.safetensors.index.json"
    if not index.exists():
        return load_file(_demand(path / "model.safetensors"))
    names = set(json.loads(index.read_text())["weight_map"].values())
    state: dict[str, Tensor] = {}
    for name in sorted(names):
        if Path(name).name != name:
            raise LoadFailed(f"{index} names the shard {name!r}; expected a file in the same directory")
        state.update(load_file(_demand(path / name)))
    return state


def read_eos(path: Path) -> frozenset[int]:
    """End tokens: of `generation_config.json` if it has any, else of `config.json`."""
    for name in ("generation_config.json", "config.json"):
        given = json.loads((path / name).read_text()).get("eos_token_id") if (path / name).exists() else None
        if given is not None:
            return _as_set(given)
    return frozenset()


def eos_of(config: Any) -> frozenset[int]:
    """The configuration's end tokens: none, one or several."""
    return _as_set(getattr(config, "eos_token_id", None))


def smoke(runner: Runner) -> None:
    """Generate one token from a fixed prompt.

    Raises:
        LoadFailed: the logits are not finite.
    """
    (completion,) = generate(runner, [[0, 1 % runner.vocabulary]], Sampling(max_tokens=1, temperature=0))
    if completion.finish_reason == "error":
        raise LoadFailed("the first token's logits are not finite; the weights cannot be served")


def _as_set(given: int | list[int] | None) -> frozenset[int]:
    if given is None:
        return frozenset()
    return frozenset([given] if isinstance(given, int) else given)


def _demand(path: Path) -> Path:
    if not path.is_file():
        raise LoadFailed(f"{path} is missing; expected a Hugging Face directory with safetensors")
    return path
