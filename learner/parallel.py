"""Several processes train one model together: `torchrun` starts them, `fully_shard` (FSDP2) shares its weights out.

Every process runs the same code from top to bottom on the same data; what is heavy is divided and put together again,
so that all know the same numbers. A process alone divides nothing, and computes what it would without this module.

A loss is a mean over the rows (or tokens) of a step. Each process takes its share of them, in pieces that fit its
memory, and weighs the mean over a piece by how many it had: the gradients, means over the processes, are then those of
the mean over the step.
"""

import copy
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, PreTrainedModel

from backtalk import lifeline
from learner import lora

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

PATIENCE = timedelta(minutes=60)
"""A process may wait so long for the others; the one that died is noticed by torchrun, and at once."""
SMALL = 20_000_000
"""Parameters of a model that one thread of a CPU computes best."""


# The processes -------------------------------------------------------------------------------------------------------


def join() -> None:
    """Take part, if `torchrun` has started this process; otherwise it is alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        return
    lifeline.hold(os.getppid())  # torchrun, which may be killed before it can end us
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Nobody changes a state in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=PATIENCE)


def leave() -> None:
    """Part from the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def here() -> int:
    """How many of them share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def rank() -> int:
    """Which of them this is, from 0. The first one alone writes to the database."""
    return dist.get_rank() if dist.is_initialized() else 0


def settle(policy: PreTrainedModel) -> None:
    """Compute a small model on a CPU with one thread.

    Its operations are too short to be shared out: a second thread mostly waits for the first, the more so beside a
    server that chats meanwhile. And with one the engine's compiled attention draws the replies.
    """
    if policy.device.type == "cpu" and policy.num_parameters() < SMALL:
        torch.set_num_threads(1)


def device(wanted: torch.device) -> torch.device:
    """This process's own device where each has one."""
    return torch.device("cuda", torch.cuda.current_device()) if size() > 1 and wanted.type == "cuda" else wanted


# Work divided and put together ---------------------------------------------------------------------------------------


def share(rows: Sequence[T]) -> Sequence[T]:
    """This process's rows: every so-manieth, and none where there are fewer than processes."""
    return rows[rank() :: size()] if size() > 1 else rows


def pieces(rows: Sequence[T], most: int | None) -> list[tuple[Sequence[T], bool]]:
    """This process's rows of a step, `most` at a time; every process gets as many pieces.

    Returns:
        Pieces, and whether each counts: one that had none left looks at another's row again.
    """
    own, count = share(rows), -(-len(rows) // size())
    each = most or max(count, 1)
    parts = [own[start : start + each] for start in range(0, count, each)]
    return [(part, True) if part else (rows[:1], False) for part in parts]


def turns(batches: Sequence[T]) -> Iterator[tuple[T, bool]]:
    """This process's batches. All processes get as many, since a sharded model needs all of them for each look.

    Yields:
        A batch, and whether it counts: the last ones may be another's, again.
    """
    own = share(batches)
    for batch in own:
        yield batch, True
    if batches:
        for _ in range(-(-len(batches) // size()) - len(own)):
            yield batches[0], False


def total(tensor: Tensor) -> Tensor:
    """The sum over all processes."""
    if size() > 1:
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def shares(counts: Sequence[float]) -> list[float]:
    """What the mean over each of this process's pieces weighs, so that the mean over all processes of their sums is
    that over the step.

    Args:
        counts: rows or tokens of each piece.
    """
    everything = float(total(torch.tensor(float(sum(counts)), dtype=torch.float64)))
    return [count * size() / max(everything, 1.0) for count in counts]


def weigh(loss: Tensor, weight: float) -> Tensor:
    """A piece's mean loss, by its share of the step."""
    return loss if weight == 1.0 else loss * weight


def means(values: Mapping[str, float]) -> dict[str, float]:
    """Means over the processes: of measures that each has weighed by its share of the step."""
    if size() == 1:
        return dict(values)
    sums = total(torch.tensor(list(values.values()), dtype=torch.float64)) / size()
    return dict(zip(values, sums.tolist(), strict=True))


def gather(line: Tensor) -> list[Tensor]:
    """Every process's line [any length], in the order of the processes."""
    if size() == 1:
        return [line]
    mine = line.detach().cpu().contiguous()
    lengths = torch.zeros(size(), dtype=torch.int64)
    lengths[rank()] = len(mine)
    dist.all_reduce(lengths)
    padded = torch.zeros(int(lengths.max()), dtype=mine.dtype)
    padded[: len(mine)] = mine
    lines = [torch.empty_like(padded) for _ in range(size())]
    dist.all_gather(lines, padded)
    return [found[: int(length)] for found, length in zip(lines, lengths, strict=True)]


def fill(rows: Tensor, own: Sequence[int]) -> Tensor:
    """A tensor of which each process has computed its own rows, whole: [N, …] with 0 elsewhere -> [N, …]."""
    if size() == 1:
        return rows
    kept = torch.zeros_like(rows)
    kept[list(own)] = rows[list(own)]
    return total(kept)


def join_lines(lines: Sequence[Tensor], lengths: Sequence[int], device: torch.device) -> list[Tensor]:
    """Lines of which each process has its own and the others are empty, all of them in every process."""
    if size() == 1:
        return list(lines)
    flat = torch.zeros(sum(lengths), device=device)
    for place, line in zip(_places(lengths), lines, strict=True):
        if len(line):
            flat[place] = line
    flat = total(flat)
    return [flat[place] for place in _places(lengths)]


def _places(lengths: Sequence[int]) -> Iterator[slice]:
    start = 0
    for length in lengths:
        yield slice(start, start + length)
        start += length


def told(content: bytes) -> bytes:
    """What the first process says; the others' own content does not matter."""
    if size() == 1:
        return content
    length = torch.tensor([len(content)])
    dist.broadcast(length, 0)
    letters = torch.frombuffer(bytearray(content), dtype=torch.uint8) if rank() == 0 else None
    if letters is None or len(letters) != int(length):
        letters = torch.empty(int(length), dtype=torch.uint8)
    if int(length):
        dist.broadcast(letters, 0)
    return letters.numpy().tobytes()


def agreed(claim: bool) -> bool:
    """What the first process claims: clocks differ, and all must do the same."""
    return told(b"1" if claim else b"0") == b"1"


# Models --------------------------------------------------------------------------------------------------------------


def shard(model: M) -> M:
    """Share the weights out; each layer is whole only while it computes. In place; nothing where a process is alone.

    Args:
        model: a policy or its trunk, the same in every process.
    """
    if size() == 1:
        return model
    root = cast(nn.Module, model)
    for layer in list(_layers(root)):
        fully_shard(layer)
    # Otherwise what stands outside of layers stays whole after a look, and its parameters are others than before it.
    fully_shard(root, reshard_after_forward=True)
    for part in root.modules():
        if isinstance(part, PreTrainedModel):
            _note_states(part)
    root.through = lambda forward, *given: forward(*given)  # type: ignore[assignment]  # nn.Module takes any attribute
    register_fsdp_forward_method(root, "through")
    return model


def _note_states(model: PreTrainedModel) -> None:
    """A sharded model is of another class; transformers knows by the model, at first (5.17) by its class's name, which
    states it can show."""
    from transformers.utils import output_capturing

    known: Any = output_capturing._CAN_RECORD_REGISTRY
    known[str(type(model)) if type(known) is dict else model] = model._can_record_outputs


def through(model: nn.Module, forward: Callable[..., T], *given: Any) -> T:
    """`forward(*given)`, which looks at parts of the model, as one forward pass of it: all parts are whole then."""
    if isinstance(model, FSDPModule):
        return cast(T, cast(Any, model).through(forward, *given))
    return forward(*given)


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """All weights by name, in every process; those of adapters are in the sum."""
    state = model.state_dict()
    if isinstance(model, FSDPModule):
        state = {n: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor for n, tensor in state.items()}
    return lora.summed(model, state)


def copied(model: PreTrainedModel, checkpointing: bool = False) -> PreTrainedModel:
    """An unsharded copy of a policy, with what its adapters have learned in its weights.

    Args:
        checkpointing: whether each layer's states are computed anew for its backward pass, and not kept until then.
    """
    if isinstance(model, FSDPModule) or lora.is_adapted(model):
        attention = model.config._attn_implementation
        made = cast(Any, AutoModelForCausalLM).from_config(
            model.config, attn_implementation=attention, dtype=torch.float32
        )
        made.load_state_dict(whole_state(model))
        made.train(False)
        made.to(model.device)
    else:
        made = copy.deepcopy(model)
    for layer in _layers(made) if checkpointing else ():
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    return cast(PreTrainedModel, made)


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    for part in model.modules():
        if isinstance(part, nn.ModuleList):
            yield from part


def synchronise(parameters: Sequence[nn.Parameter]) -> None:
    """Bring gradients of parameters that every process has whole to their mean; sharded ones are there already."""
    if size() == 1:
        return
    for parameter in parameters:
        if not isinstance(parameter, DTensor) and parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= size()


def clip(parameters: Sequence[nn.Parameter], maximum: float) -> Tensor:
    """Scale all gradients together down to this norm; returns what it was."""
    if size() == 1:
        return nn.utils.clip_grad_norm_(parameters, maximum)
    synchronise(parameters)
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    squares = torch.zeros((), dtype=torch.float32)
    for grad in grads:
        if isinstance(grad, DTensor):
            squares += grad.to_local().float().square().sum().cpu()
    squares = total(squares)
    squares += sum(grad.float().square().sum().cpu() for grad in grads if not isinstance(grad, DTensor))
    norm = squares.sqrt()
    factor = float((maximum / (norm + 1e-6)).clamp(max=1.0))
    for grad in grads:
        grad.mul_(factor)
    return norm


# Checkpoints ---------------------------------------------------------------------------------------------------------


def save(directory: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors by name as safetensors, each process its own parts of those that are sharded. It appears whole.

    Any number of processes can read it again.
    """
    beside = directory.with_name(f".{directory.name}.part")
    if rank() == 0:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
    wait()
    writer = HuggingFaceStorageWriter(str(beside), save_distributed=True)
    state_dict_saver.save(dict(state), storage_writer=writer, no_dist=size() == 1)
    if rank() == 0:
        beside.rename(directory)
    wait()


def restore(directory: Path, state: Mapping[str, Tensor]) -> None:
    """Read what `save` has written into these tensors, in place."""
    state_dict_loader.load(dict(state), storage_reader=HuggingFaceStorageReader(str(directory)), no_dist=size() == 1)


def wait() -> None:
    """Until all processes are here."""
    if size() > 1:
        dist.barrier()


def state_of(models: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights that learn and AdamW's moments of them by name, the very tensors that training goes on with."""
    found: dict[str, Tensor] = {}
    for title, model in models.items():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            found[f"{title}.{name}"] = parameter.detach()
            moments = optimizer.state[parameter]
            if not moments:  # as before its first step
                moments["step"] = torch.zeros(())
                moments["exp_avg"] = torch.zeros_like(parameter.detach())
                moments["exp_avg_sq"] = torch.zeros_like(parameter.detach())
            found |= {f"{title}.{name}.{moment}": tensor for moment, tensor in moments.items()}
    return found
