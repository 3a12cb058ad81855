"""The engine on a GPU: tokens a second at a thousand tokens of context beside what the memory allows, `transformers`
on the same weights, and what running replies notice of a second version that is loaded beside theirs.

Weights are random: what these models say is noise, what they cost is not.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from backtalk.engine import loading
from backtalk.engine.core import Core, Resident
from backtalk.engine.loading import from_state_unchecked
from backtalk.engine.pages import PAGE
from backtalk.engine.runner import Runner
from backtalk.engine.sampling import Sampling
from backtalk.engine.scheduler import Limits
from bench.report import Row, percentile

SHAPES: dict[str, dict[str, Any]] = {
    "0.5B": {  # Qwen2.5-0.5B
        "model_type": "qwen2",
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "8B": {  # Llama 3.1 8B
        "model_type": "llama",
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
}
CROWDS = (1, 64, 256)
PROMPT, LENGTH = 960, 128
"""Tokens: a mean context of 1,024 while a reply is written."""
BEFORE = 16
"""Tokens of each reply that are not timed."""
SWAPPED = 64
"""Replies that run while another version is loaded."""


def bench(names: list[str]) -> tuple[list[Row], list[Row]]:
    """Rates, and swaps.

    Raises:
        SystemExit: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise SystemExit("backtalk bench device: no GPU here; expected one that CUDA can use")
    device = torch.device("cuda")
    bandwidth, speed = _copied(device), _multiplied(device)
    ceilings = f"{bandwidth / 1e12:.2f} TB/s, {speed / 1e12:.0f} TFLOP/s"
    rates = [_row(torch.cuda.get_device_name(device), ceilings)]
    swaps = []
    for name in names:
        config, state = _model(name, device)
        runner = _runner(config, state)
        for streams in CROWDS:
            rates.append(_rate(name, runner, config, streams, bandwidth, speed))
        swaps.append(_swap(name, runner, config, state))
        del runner
        torch.cuda.empty_cache()
        rates.append(_by_transformers(name, config, state))
        del state
        torch.cuda.empty_cache()
    return rates, swaps


def _model(name: str, device: torch.device) -> tuple[Any, dict[str, Tensor]]:
    """A configuration and random weights with its names, in bfloat16 on the device."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = dict(SHAPES[name])
    config: Any = AutoConfig.for_model(shape.pop("model_type"), **shape, max_position_embeddings=2048)
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    build: Any = AutoModelForCausalLM.from_config
    with torch.device("meta"):
        empty = build(config, dtype=torch.bfloat16)
    torch.manual_seed(0)
    state = {
        key: torch.ones(value.shape, dtype=torch.bfloat16, device=device)
        if value.ndim == 1
        else torch.randn(value.shape, dtype=torch.bfloat16, device=device) * 0.02
        for key, value in empty.state_dict().items()
        if not (config.tie_word_embeddings and key == "lm_head.weight")
    }
    return config, state


def _runner(config: Any, state: dict[str, Tensor]) -> Runner:
    return from_state_unchecked(config, state, device=torch.device("cuda"), dtype=torch.bfloat16, eos=frozenset())


def _core(runner: Runner, streams: int) -> Core:
    core = Core(Limits(slots=streams, prefill=8192, tokens=streams * (PROMPT + LENGTH + PAGE)))
    core.install(0, Resident(runner))
    runner.prepare(streams)
    return core


def _ask(core: Core, config: Any, streams: int, *, version: int = 0, salt: int = 0, tokens: int = LENGTH) -> None:
    chance = torch.Generator().manual_seed(streams + salt)
    prompts = torch.randint(2, config.vocab_size, (streams, PROMPT), generator=chance).tolist()
    for number, prompt in enumerate(prompts):
        wish = Sampling(max_tokens=tokens, temperature=1, seed=number)
        core.submit((salt, number), prompt, wish, version=version, priority="rollout")


def _rate(name: str, runner: Runner, config: Any, streams: int, bandwidth: float, speed: float) -> Row:
    core = _core(runner, streams)
    _ask(core, config, streams)
    began = time.perf_counter()
    while core.tokens < streams:  # every prompt is computed once each has its first token
        core.step()
    filled = time.perf_counter() - began
    while core.tokens < streams * BEFORE:
        core.step()
    start, gaps, before = core.tokens, list[float](), time.perf_counter()
    while len(core.scheduler.running) == streams:
        core.step()
        gaps.append(time.perf_counter() - before)
        before += gaps[-1]
    rate = (core.tokens - start) / sum(gaps)
    while core.has_work:
        core.step()
    limit = streams / _least_seconds(config, runner, streams, bandwidth, speed)
    return _row(
        model=name,
        engine="backtalk",
        streams=streams,
        rate=round(rate),
        limit=round(limit),
        share=f"{rate / limit:.2f}",
        middle=round(1000 * percentile(gaps, 0.5), 2),
        late=round(1000 * percentile(gaps, 0.99), 2),
        prompt=round(streams * PROMPT / filled),
    )


def _least_seconds(config: Any, runner: Runner, streams: int, bandwidth: float, speed: float) -> float:
    """A step's roofline: all weights once, or their products, then every key and value once."""
    size = config.hidden_size // config.num_attention_heads
    kept: float = 2 * config.num_hidden_layers * config.num_key_value_heads * size * 2 * (PROMPT + LENGTH / 2)  # bytes
    attention = config.hidden_size * size * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    layer = attention + 3 * config.hidden_size * config.intermediate_size
    weights: float = config.num_hidden_layers * layer + config.vocab_size * config.hidden_size
    return max(2 * weights / bandwidth, 2 * weights * streams / speed) + streams * kept / bandwidth


def _swap(name: str, runner: Runner, config: Any, state: dict[str, Tensor]) -> Row:
    """Load a second version in another thread from the memory of the host, while replies run; then ask it too."""
    core = _core(runner, 2 * SWAPPED)
    here = {key: value.cpu() for key, value in state.items()}

    def load() -> Runner:
        with loading.aside(torch.device("cuda")):
            made = _runner(config, here)
            assert made.share_room(runner)
            made.prepare(2 * SWAPPED)
        return made

    _ask(core, config, SWAPPED, salt=1, tokens=PROMPT)
    while core.tokens < SWAPPED * BEFORE:
        core.step()
    calm, during, after = list[float](), list[float](), list[float]()
    for _ in range(100):
        calm.append(_step(core))
    with ThreadPoolExecutor(1) as loader:
        began = time.perf_counter()
        loading_it = loader.submit(load)
        while not loading_it.done():
            if not core.has_work:
                _ask(core, config, SWAPPED, salt=round(time.perf_counter() * 1000), tokens=PROMPT)
            during.append(_step(core))
        seconds = time.perf_counter() - began
    before = time.perf_counter()
    core.install(1, Resident(loading_it.result()))
    core.retire(0)
    flip = time.perf_counter() - before
    for _ in range(100):
        after.append(_step(core))
    while core.has_work:
        core.step()
    return {
        "model": name,
        "streams": SWAPPED,
        "loaded after s": round(seconds, 1),
        "flip ms": round(1000 * flip, 2),
        "gap p50 ms before": round(1000 * percentile(calm, 0.5), 2),
        "p99 while loading": round(1000 * percentile(during, 0.99), 2),
        "longest while loading": round(1000 * max(during), 2),
        "longest after": round(1000 * max(after), 2),
    }


def _step(core: Core) -> float:
    """Seconds of a step."""
    before = time.perf_counter()
    core.step()
    return time.perf_counter() - before


def _by_transformers(name: str, config: Any, state: dict[str, Tensor]) -> Row:
    """One static batch of as many replies as stand in the middle, by `generate`."""
    from transformers import AutoModelForCausalLM

    streams, tokens = CROWDS[1], 32
    build: Any = AutoModelForCausalLM.from_config
    with torch.device("cuda"):
        model = build(config, dtype=torch.bfloat16)
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    ids = torch.randint(2, config.vocab_size, (streams, PROMPT), device="cuda")

    def seconds(count: int) -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=True, pad_token_id=0)
        torch.cuda.synchronize()
        return time.perf_counter() - began

    seconds(2)
    rate = streams * (tokens - 1) / (seconds(tokens) - seconds(1))
    return _row(model=name, engine="transformers, static batch", streams=streams, rate=round(rate))


def _row(
    model: str,
    engine: str,
    streams: int | str = "",
    rate: int | str = "",
    limit: int | str = "",
    share: str = "",
    middle: float | str = "",
    late: float | str = "",
    prompt: int | str = "",
) -> Row:
    return {
        "model": model,
        "engine": engine,
        "streams": streams,
        "tokens/s": rate,
        "limit": limit,
        "share": share,
        "step p50 ms": middle,
        "p99 ms": late,
        "prompt tokens/s": prompt,
    }


def _copied(device: torch.device) -> float:
    """Bytes a second, read and written."""
    source = torch.empty(2**32, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / _seconds(lambda: target.copy_(source))


def _multiplied(device: torch.device) -> float:
    """Operations a second of a bfloat16 product."""
    size = 8192
    one, other = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    return 2 * size**3 / _seconds(lambda: one @ other)


def _seconds(work: Any) -> float:
    for _ in range(3):
        work()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(10):
        work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 10_000
