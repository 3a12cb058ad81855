"""Runs one step of one version: every decoding request gets its next token, and prompt chunks are computed beside them.

It knows seats (rows) and tensors, and no queue: who sits down, who gets up and which chunk comes is decided outside.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backtalk.engine.adapter import Adapter
from backtalk.engine.batch import Batch, Piece
from backtalk.engine.draw import Settings, Wishes, draw
from backtalk.engine.model import Model
from backtalk.engine.pages import pages_for
from backtalk.engine.scheduler import Chunk, Request
from backtalk.engine.shape import Shape
from backtalk.engine.staging import send

LAST, LENGTH, POSITION, SEED, TOP_K = range(5)
"""What is kept of each seat as integers: the token drawn last, its place in the text, the next one's in the reply, …"""
TEMPERATURE, TOP_P, MIN_P = range(3)
"""… and as numbers."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step drew, one entry for each request that has a next token."""

    requests: list[Request]
    tokens: list[int]
    logprobs: list[float]
    """Of the behaviour: after temperature and filters (see `draw.Drawn`)."""
    raw_logprobs: list[float]
    """At temperature 1 without bias, penalty or filters."""
    finite: list[bool]
    """False: the logits were not finite, and the token means nothing."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A step under way, whose tokens may not be known yet."""

    requests: list[Request]
    """Those that get a token in it."""
    land: Callable[[], Step]
    """Wait for it; to be called once, and in the order of the launches."""


class Runner(ABC):
    """A version's weights with the seats of the requests that it is answering."""

    def __init__(self, context: int, vocabulary: int, eos: frozenset[int], device: torch.device, dtype: torch.dtype):
        self.context = context
        """Most tokens of prompt and reply together."""
        self.vocabulary = vocabulary
        self.eos = eos
        """Tokens that end a reply."""
        self.device = device
        self.dtype = dtype
        self.why = ""
        """Why it computes in this dtype."""
        self.rows: list[Request] = []
        self._row: dict[Request, int] = {}
        self._filling: set[Request] = set()
        self._integers = torch.zeros(5, 0, dtype=torch.int64, device=device)  # [field, row]
        self._numbers = torch.zeros(3, 0, dtype=torch.float32, device=device)  # [field, row]
        self._settings: Settings | None = None  # of all rows; made again when someone sits down or gets up

    @torch.inference_mode()
    def step(self, chunks: Sequence[Chunk]) -> Step:
        """Draw a token for every decoding request and for each whose prompt these chunks complete.

        The caller appends each token to its request, or releases it.
        """
        for chunk in chunks:
            if chunk.request not in self._row:
                self._sit(chunk.request)
        decoding = self._decoding()
        if not chunks and not (self.rows if decoding is None else decoding):
            return Step([], [], [], [], [])  # all prompts wait: those of another version take up the step
        completed = [self._row[chunk.request] for chunk in chunks if chunk.is_last]
        if decoding is None and not completed:
            index, requests = None, list(self.rows)
        else:
            drawing = (list(range(len(self.rows))) if decoding is None else decoding) + completed
            index = send(drawing, self.device, torch.int64)
            requests = [self.rows[row] for row in drawing]
        logits = self._compute(decoding, chunks)  # [m, V]; nobody may draw: m = 0
        self._filling -= {chunk.request for chunk in chunks if chunk.is_last}
        if not requests:
            return Step([], [], [], [], [])
        drawn = draw(logits, self._settings_of(index), self._wishes_of(requests))
        rows = slice(0, len(requests)) if index is None else index
        self._integers[LAST, rows] = drawn.tokens
        self._integers[LENGTH, rows] += 1
        self._integers[POSITION, rows] += 1
        return Step(requests, drawn.tokens.tolist(), drawn.logprobs.tolist(), drawn.raw.tolist(), drawn.finite.tolist())

    def launch(self, chunks: Sequence[Chunk]) -> Flight:
        """Begin a step. Here it is over with that; on a device it may go on while the caller does something else."""
        step = self.step(chunks)
        return Flight(step.requests, lambda: step)

    @property
    def runs_ahead(self) -> bool:
        """May a step be launched before the one before it has landed?"""
        return False

    @torch.inference_mode()
    def release(self, request: Request) -> None:
        """Free the seat of a request that has one; the last row moves into it."""
        row = self._row.pop(request, None)
        if row is None:
            return
        last = len(self.rows) - 1
        if row != last:
            mover = self.rows[last]
            self.rows[row], self._row[mover] = mover, row
            self._integers[:, row] = self._integers[:, last]
            self._numbers[:, row] = self._numbers[:, last]
        self._vacate(row, last)
        self.rows.pop()
        self._filling.discard(request)
        self._settings = None

    @abstractmethod
    def _compute(self, decoding: list[int] | None, chunks: Sequence[Chunk]) -> Tensor:
        """Logits [m, V] float32: of the decoding rows (None = all), then of the chunks that complete their prompt."""

    @abstractmethod
    def _vacate(self, row: int, last: int) -> None:
        """Forget what is kept for `row`; that of row `last` (maybe the same) moves there."""

    @property
    def how(self) -> str:
        """How it computes, in words for an operator."""
        return "transformers, one request after the other"

    @property
    def shares_pages(self) -> bool:
        """Does it keep keys and values in the pages that requests hold, so that they may share them?"""
        return False

    def prepare(self, seats: int) -> None:  # noqa: B027  # nothing to do unless steps are captured
        """Get ready for so many requests at once; its room does not change any more."""

    def make_room(self, pages: int) -> None:  # noqa: B027  # nothing to do unless it keeps pages
        """Have a cache of so many pages."""

    def share_room(self, other: "Runner") -> bool:
        """Use the other one's cache, if it is of the same kind: no page belongs to two requests at once."""
        return False

    def forget_version(self, version: int) -> None:  # noqa: B027  # likewise
        """It is answered no more, though others of this runner may be."""

    def scrub(self, pages: list[int]) -> None:  # noqa: B027  # likewise
        """What these pages hold is not finite: leave nothing of it."""

    def _sit(self, request: Request) -> None:
        row = len(self.rows)
        if row >= self._integers.shape[1]:
            self._integers = _widen(self._integers)
            self._numbers = _widen(self._numbers)
        self.rows.append(request)
        self._row[request] = row
        self._filling.add(request)
        self._settings = None
        wish = request.sampling
        # The first draw, which adds one to length and position, comes after the whole prompt is in the cache.
        values = [0, len(request.tokens) - 1, len(request.tokens) - request.drawn_before, request.seed, wish.top_k]
        self._integers[:, row] = send(values, self.device)
        self._numbers[:, row] = send([wish.temperature, wish.top_p, wish.min_p], self.device)

    def _decoding(self) -> list[int] | None:
        if not self._filling:
            return None
        return [row for row, request in enumerate(self.rows) if request not in self._filling]

    def _settings_of(self, index: Tensor | None) -> Settings:
        if self._settings is None:
            count = len(self.rows)
            wishes = [request.sampling for request in self.rows]
            filtered = [row for row, wish in enumerate(wishes) if wish.top_k or wish.top_p < 1 or wish.min_p]
            self._settings = Settings(
                temperature=self._numbers[TEMPERATURE, :count],
                top_k=self._integers[TOP_K, :count],
                top_p=self._numbers[TOP_P, :count],
                min_p=self._numbers[MIN_P, :count],
                filtered=send(filtered, self.device, torch.int64),
                seed=self._integers[SEED, :count],
                position=self._integers[POSITION, :count],
                any_greedy=any(wish.temperature == 0 for wish in wishes),
                all_plain=all(wish.temperature == 1 for wish in wishes),
            )
        return self._settings if index is None else self._settings.at(index)

    def _wishes_of(self, requests: list[Request]) -> list[Wishes]:
        return [
            Wishes(place, request.sampling.logit_bias, request.sampling.repetition_penalty, request.tokens)
            for place, request in enumerate(requests)
            if request.sampling.repetition_penalty != 1 or request.sampling.logit_bias
        ]


SHORT = 2048
"""Later chunks with up to so many pairs of a token and a key are left to the native attention, token by token: it needs
nothing gathered. Longer ones gain by being multiplied as a matrix."""


class PackedRunner(Runner):
    """Our own forward passes on a paged cache: decoding requests and prompt chunks packed into one of them."""

    def __init__(self, model: Model, eos: frozenset[int]) -> None:
        super().__init__(model.shape.context, model.shape.vocabulary, eos, model.device, model.dtype)
        self._model = model
        self._cache = model.new_cache()
        self._tables = torch.zeros(0, 0, dtype=torch.int64, device=self.device)  # [row, page of its text]
        self._tabled: list[int] = []  # by row: how many of its pages stand there
        self._adapters: dict[int, Adapter] = {}  # by version
        self._adapted: list[tuple[Tensor, Adapter]] | None = None
        """Of all rows; None once someone has sat down or got up."""

    @property
    def shape(self) -> Shape:
        """Of its model."""
        return self._model.shape

    def adapt(self, version: int, adapter: Adapter) -> None:
        """From now on, requests of this version are answered with this adapter."""
        self._adapters[version] = adapter

    def forget_version(self, version: int) -> None:
        """See `Runner`."""
        self._adapters.pop(version, None)

    @property
    def how(self) -> str:
        """See `Runner`."""
        return self._model.how

    @property
    def shares_pages(self) -> bool:
        """See `Runner`."""
        return True

    def make_room(self, pages: int) -> None:
        """See `Runner`."""
        self._cache.reserve(pages)

    def share_room(self, other: Runner) -> bool:
        """See `Runner`."""
        if not isinstance(other, PackedRunner) or not self._cache.fits(other._cache):
            return False
        self._cache = other._cache
        return True

    def scrub(self, pages: list[int]) -> None:
        """See `Runner`."""
        self._cache.clear(pages)

    def _compute(self, decoding: list[int] | None, chunks: Sequence[Chunk]) -> Tensor:
        count = len(self.rows)
        self._write_tables(range(count))
        decoding_requests = self.rows if decoding is None else [self.rows[row] for row in decoding]
        longest = max((len(request.tokens) for request in decoding_requests), default=1)
        if decoding is None and not chunks:
            tokens, lengths = self._integers[LAST, :count], self._integers[LENGTH, :count]
            if self._adapted is None:
                self._adapted = self._find_adapted([request.version for request in self.rows])
            tables = self._tables[:count, : pages_for(longest)]
            batch = Batch(tokens, lengths, tables, longest, longest, (), self._adapted)
            return self._model.logits(self._model.forward(batch, self._cache)).float()
        batch, drawing = self._mixed(decoding, chunks, longest)
        hidden = self._model.forward(batch, self._cache)
        return self._model.logits(hidden[send(drawing, self.device, torch.int64)]).float()

    def _mixed(self, decoding: list[int] | None, chunks: Sequence[Chunk], longest: int) -> tuple[Batch, list[int]]:
        """Decoding rows and prompt chunks in one batch, and which of its tokens are followed by a draw."""
        # Rows that sat down in this step are in `rows` already; those that decode are the ones not being filled.
        decoding = list(range(len(self.rows))) if decoding is None else decoding
        tokens = [self.rows[row].tokens[-1] for row in decoding]
        positions = [len(self.rows[row].tokens) - 1 for row in decoding]
        rows, last, pieces = list(decoding), dict[Request, int](), list[Piece]()
        versions = [self.rows[row].version for row in decoding]
        is_short = [
            chunk.start > 0 and chunk.count * (chunk.start + chunk.count) <= SHORT and self._model.fused is not None
            for chunk in chunks
        ]
        order = sorted(range(len(chunks)), key=lambda at: not is_short[at])  # stable: who came first is computed first
        for chunk, short in ((chunks[at], is_short[at]) for at in order):
            row, end = self._row[chunk.request], chunk.start + chunk.count
            if short:
                rows += [row] * chunk.count
                longest = max(longest, end)
            else:
                pieces.append(Piece(chunk.start, chunk.count, len(tokens), self._tables[row]))
            tokens += chunk.request.tokens[chunk.start : end]
            positions += range(chunk.start, end)
            versions += [chunk.request.version] * chunk.count
            last[chunk.request] = len(tokens) - 1
        drawing = list(range(len(decoding))) + [last[chunk.request] for chunk in chunks if chunk.is_last]
        packed = send([tokens, positions], self.device)
        index = send(rows, self.device, torch.int64)
        tables = self._tables[:, : pages_for(longest)].index_select(0, index)
        whole = max([longest, *(chunk.start + chunk.count for chunk in chunks)])
        self._adapted = None  # whoever sits down comes with a chunk
        adapted = self._find_adapted(versions) if self._adapters else []
        return Batch(packed[0], packed[1], tables, whole, longest, pieces, adapted), drawing

    def _find_adapted(self, versions: list[int]) -> list[tuple[Tensor, Adapter]]:
        """The adapters among these versions, each with the places at which it stands."""
        return [
            (send([at for at, own in enumerate(versions) if own == version], self.device), adapter)
            for version, adapter in self._adapters.items()
            if version in versions
        ]

    def _write_tables(self, written: Iterable[int]) -> None:
        """Bring these rows of the tables up to what their requests hold."""
        most = max((len(request.held.pages) for request in self.rows), default=0)
        rows, columns = self._tables.shape
        if len(self.rows) > rows or most > columns:
            wider = self._tables.new_zeros(max(2 * rows, len(self.rows), 8), max(2 * columns, most, 8))
            wider[:rows, :columns] = self._tables
            self._tables = wider
        self._tabled += [0] * (len(self.rows) - len(self._tabled))
        cells: list[tuple[int, int, int]] = []
        for row in written:
            pages, tabled = self.rows[row].held.pages, self._tabled[row]
            if len(pages) > tabled:
                cells += [(row, column, pages[column]) for column in range(tabled, len(pages))]
                self._tabled[row] = len(pages)
        if cells:
            places = send(cells, self.device)
            self._tables[places[:, 0], places[:, 1]] = places[:, 2]

    def _vacate(self, row: int, last: int) -> None:
        self._adapted = None
        if last >= len(self._tabled):  # it sat down in a step that failed
            self._tabled += [0] * (last + 1 - len(self._tabled))
        if last < len(self._tables):
            self._tables[row] = self._tables[last]
            self._tables[last] = 0
        self._tabled[row] = self._tabled[last]
        self._tabled.pop()


def _widen(table: Tensor) -> Tensor:
    wider = table.new_zeros(table.shape[0], max(8, 2 * table.shape[1]))
    wider[:, : table.shape[1]] = table
    return wider
