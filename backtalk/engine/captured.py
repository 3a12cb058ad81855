"""The runner for GPUs: the step of all decoding requests is captured once (CUDA graphs) and replayed, and the next one
is launched before the tokens of the last are known here.

A captured step reads and writes the same memory every time. So seats, tables and the last tokens lie on the device,
the draw itself counts them on, and a step for n requests is that of the next larger number of seats: the seats without
anyone look at page 0, which is nobody's. Prompt chunks, which differ from step to step, are computed as they come.

Shapes: n seats, V vocabulary, T tokens of prompt chunks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from backtalk.engine import kernel_draw
from backtalk.engine.adapter import Adapter
from backtalk.engine.batch import Batch, Piece
from backtalk.engine.draw import Drawn, Settings, draw
from backtalk.engine.model import Model
from backtalk.engine.pages import pages_for
from backtalk.engine.runner import (
    LAST,
    LENGTH,
    POSITION,
    SEED,
    TEMPERATURE,
    Flight,
    PackedRunner,
    Runner,
    Step,
)
from backtalk.engine.scheduler import Chunk, Request
from backtalk.engine.staging import send

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Numbers of seats for which steps are captured; more run uncaptured, where launching no longer costs the most."""
OFTEN = 8
"""A step that nobody prepared is captured when it is needed for so many times."""


class CapturedRunner(PackedRunner):
    """See above."""

    def __init__(self, model: Model, eos: frozenset[int]) -> None:
        super().__init__(model, eos)
        seats = BUCKETS[-1]
        self._integers = torch.zeros(len(self._integers), seats, dtype=torch.int64, device=self.device)
        self._numbers = torch.zeros(len(self._numbers), seats, dtype=torch.float32, device=self.device)
        self._tables = torch.zeros(seats, pages_for(self.context), dtype=torch.int64, device=self.device)
        self._captured: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._pool: Any = None  # a handle of torch's
        self._needed = Counter[int]()

    @property
    def how(self) -> str:
        """See `Runner`."""
        return f"{super().how}, captured steps"

    @property
    def runs_ahead(self) -> bool:
        """See `Runner`. A penalty looks at all tokens so far, so these must be known."""
        return all(request.sampling.repetition_penalty == 1 for request in self.rows)

    def prepare(self, seats: int) -> None:
        """Capture the steps of up to so many seats."""
        if self.device.type == "cuda":
            # The largest first: the others then fit into its memory.
            for count in reversed(BUCKETS[: 1 + sum(bucket < seats for bucket in BUCKETS)]):
                self._capture(count)

    def make_room(self, pages: int) -> None:
        """See `Runner`."""
        before = self._cache.keys
        super().make_room(pages)
        if self._cache.keys is not before:
            self._uncapture()

    def share_room(self, other: Runner) -> bool:
        """See `Runner`."""
        before = self._cache
        shares = super().share_room(other)
        if self._cache is not before:
            self._uncapture()
        return shares

    def step(self, chunks: Sequence[Chunk]) -> Step:
        """See `Runner`."""
        return self.launch(chunks).land()

    @torch.inference_mode()
    def launch(self, chunks: Sequence[Chunk]) -> Flight:
        """See `Runner`."""
        for chunk in chunks:
            if chunk.request not in self._row:
                self._sit(chunk.request)
        decoding = self._decoding()
        decoding = list(range(len(self.rows))) if decoding is None else decoding
        requests = [self.rows[row] for row in decoding]
        drawn: list[Tensor] = []
        if decoding:
            self._write_tables(decoding)
            drawn.append(self._draw_next(len(self.rows))[:, : len(self.rows)])
        if chunks:
            # After the decoding ones: what they write now may be what a prompt here begins with.
            hidden = self._fill(chunks)
            completed = [chunk.request for chunk in chunks if chunk.is_last]
            if completed:
                drawn.append(self._draw_first(hidden, completed))
                decoding = decoding + [at + (len(self.rows) if requests else 0) for at in range(len(completed))]
                requests = requests + completed
        if not drawn:
            return Flight([], lambda: Step([], [], [], [], []))
        bring = _bring(torch.cat(drawn, 1) if len(drawn) > 1 else drawn[0])

        def land() -> Step:
            tokens, logprobs, raw, finite = ([values[at] for at in decoding] for values in bring())
            return Step(requests, [int(token) for token in tokens], logprobs, raw, [each > 0 for each in finite])

        return Flight(requests, land)

    def _sit(self, request: Request) -> None:
        if len(self.rows) == self._integers.shape[1]:
            self._uncapture()  # the seats move to other memory
        super()._sit(request)
        self._integers[LENGTH, self._row[request]] = 0  # until it decodes it looks at page 0, like an empty seat

    def _vacate(self, row: int, last: int) -> None:
        super()._vacate(row, last)
        self._integers[:, last] = 0

    def _draw_next(self, count: int) -> Tensor:
        """The next token of the first `count` rows: [4, count] float64, see `kernel_draw.draw`."""
        logits = self._logits(count)[:count]
        settings = self._settings_of(None)
        wishes = self._wishes_of(self.rows)
        if not len(settings.filtered) and not wishes:
            last, length, position, seed = (self._integers[field] for field in (LAST, LENGTH, POSITION, SEED))
            return kernel_draw.draw(logits, self._numbers[TEMPERATURE], seed, last, length, position)
        result = draw(logits.float(), settings, wishes)
        self._integers[LAST, :count] = result.tokens
        self._integers[LENGTH : POSITION + 1, :count] += 1
        return _packed(result)

    def _logits(self, count: int) -> Tensor:
        """[≥ count, V] of the first rows."""
        if self._adapters:  # who has which changes from step to step, so nothing is captured
            return self._forward(count, self._find_adapted([request.version for request in self.rows]))
        bucket = next((bucket for bucket in BUCKETS if bucket >= count), None)
        if bucket is None or self.device.type != "cuda":
            return self._forward(count)
        if bucket not in self._captured:
            self._needed[bucket] += 1
            if self._needed[bucket] < OFTEN:
                return self._forward(count)
            self._capture(bucket)
        graph, logits = self._captured[bucket]
        graph.replay()
        return logits

    def _forward(self, count: int, adapted: Sequence[tuple[Tensor, Adapter]] = ()) -> Tensor:
        tokens, positions = self._integers[LAST, :count], self._integers[LENGTH, :count]
        batch = Batch(tokens, positions, self._tables[:count], self.context, self.context, (), adapted)
        return self._model.logits(self._model.forward(batch, self._cache))

    @torch.inference_mode()
    def _capture(self, count: int) -> None:
        """Capture the step of so many seats, aside, so that other threads of this process go on meanwhile."""
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            self._forward(count)  # compiles what is not yet, and makes workspaces, which cannot be captured
            stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                logits = self._forward(count)
            finally:
                graph.capture_end()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        self._captured[count] = graph, logits

    def _uncapture(self) -> None:
        """What the captured steps read and write lies elsewhere now."""
        self._captured.clear()
        self._pool = None  # a pool ends with the last that was captured into it

    def _fill(self, chunks: Sequence[Chunk]) -> Tensor:
        """Compute prompt chunks. Returns the hidden states [m, d] of the last token of those that are complete now."""
        tokens, positions, last = list[int](), list[int](), list[int]()
        pieces: list[tuple[int, int, int]] = []
        for chunk in chunks:
            pieces.append((chunk.start, chunk.count, len(tokens)))
            tokens += chunk.request.tokens[chunk.start : chunk.start + chunk.count]
            positions += range(chunk.start, chunk.start + chunk.count)
            if chunk.is_last:
                last.append(len(tokens) - 1)
        longest = max(chunk.start + chunk.count for chunk in chunks)
        columns = pages_for(longest)
        held = [chunk.request.held.pages[:columns] for chunk in chunks]
        tables = send([pages + [0] * (columns - len(pages)) for pages in held], self.device)
        packed = send([tokens, positions], self.device)
        versions = [chunk.request.version for chunk in chunks for _ in range(chunk.count)]
        batch = Batch(
            packed[0],
            packed[1],
            self._tables[:0],
            longest,
            0,
            [Piece(*piece, table) for piece, table in zip(pieces, tables, strict=True)],
            self._find_adapted(versions) if self._adapters else (),
        )
        hidden = self._model.forward(batch, self._cache)
        return hidden[send(last, self.device, torch.int64)]

    def _draw_first(self, hidden: Tensor, requests: Sequence[Request]) -> Tensor:
        """The first token after their prompts: [4, m] float64, as `_draw_next`. From here on they decode."""
        wishes = [request.sampling for request in requests]
        whole = [
            [request.seed for request in requests],
            [len(request.tokens) - request.drawn_before for request in requests],
            [wish.top_k for wish in wishes],
            [self._row[request] for request in requests],
            [len(request.tokens) for request in requests],
        ]
        seed, position, top_k, rows, lengths = send(whole, self.device)
        temperature, top_p, min_p = send(
            [[w.temperature for w in wishes], [w.top_p for w in wishes], [w.min_p for w in wishes]], self.device
        )
        filtered = [at for at, wish in enumerate(wishes) if wish.top_k or wish.top_p < 1 or wish.min_p]
        settings = Settings(  # not `_settings_of(rows)`, which waits for the device
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            filtered=send(filtered, self.device, torch.int64),
            seed=seed,
            position=position,
        )
        result = draw(self._model.logits(hidden).float(), settings, self._wishes_of(list(requests)))
        self._integers[LAST, rows] = result.tokens
        self._integers[LENGTH, rows] = lengths
        self._integers[POSITION, rows] = position + 1
        self._filling -= set(requests)
        return _packed(result)


def _packed(drawn: Drawn) -> Tensor:
    """[4, n] float64, as `kernel_draw.draw` gives it."""
    return torch.stack([each.double() for each in (drawn.tokens, drawn.logprobs, drawn.raw, drawn.finite)])


def _bring(values: Tensor) -> Callable[[], list[list[float]]]:
    """Start the way of these from the device to here; what is returned waits for their arrival."""
    if values.device.type != "cuda":
        return values.tolist
    here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    here.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()

    def arrive() -> list[list[float]]:
        arrived.synchronize()
        numbers: list[list[float]] = here.tolist()
        return numbers

    return arrive
