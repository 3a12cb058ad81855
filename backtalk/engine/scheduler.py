"""Who runs next. Plain Python: it counts tokens and seats and knows no tensor."""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from backtalk.engine.errors import EngineBusy
from backtalk.engine.pages import PAGE, Held, Pages, pages_for
from backtalk.engine.sampling import Priority, Sampling
from backtalk.engine.text import TextStream


@dataclass(slots=True)
class Course:
    """What a request that is traced came to: the core writes it down, the process tells it (`courses.py`).

    Moments are nanoseconds since 1970.
    """

    traceparent: str
    """The span that it belongs to (W3C Trace Context)."""
    asked: int
    begun: int | None = None
    """It has a seat, and its prompt is computed from here on."""
    kept: int = 0
    """Tokens of its prompt that were known already."""
    steps: int = 0
    """In so many steps its prompt was computed."""
    filled: int | None = None
    """Its first token is drawn."""


@dataclass(eq=False, slots=True)
class Request:
    """One reply under way: the core makes it and appends to it, the scheduler moves it, the runner reads it."""

    id: Hashable
    tokens: list[int]
    """The prompt, then every token drawn so far."""
    sampling: Sampling
    seed: int
    version: int = 0
    priority: Priority = "chat"
    group: str = ""
    """Requests of one group (a person) take turns with those of the others."""
    position: int = 0
    """How many tokens at the prompt's end are already part of this reply (it was interrupted, and goes on here)."""
    limit: int = 0
    """`len(tokens)` at which the reply ends with `length`."""
    computed: int = 0
    """How many of `tokens` the cache holds once the step that is planned has run."""
    is_filling: bool = True
    """Some of its prompt is not in the cache yet, so there is no next token to draw."""
    ahead: int = 0
    """How many tokens are being drawn for it in steps that were launched and have not landed: 0 or 1 when planning."""
    shares: bool = True
    """May it use what others have computed, and they what it computes?"""
    stream: TextStream | None = None
    course: Course | None = None
    drawn_before: int = field(init=False)
    """`len(tokens)` at which the reply began."""
    held: Held = field(init=False)
    """Its pages of the cache."""

    def __post_init__(self) -> None:
        self.drawn_before = len(self.tokens) - self.position
        self.limit = self.limit or self.drawn_before + self.sampling.max_tokens
        self.held = Held((self.version, 0))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a prompt to compute in this step: `request.tokens[start : start + count]`."""

    request: Request
    start: int
    count: int

    @property
    def is_last(self) -> bool:
        """Nothing of the prompt is left after it, so the step draws this request's next token."""
        return self.start + self.count == len(self.request.tokens)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the device can hold and what a step may do."""

    slots: int = 64
    """Requests that run at once."""
    waiting: int = 256
    """Requests that may wait; more are refused as busy."""
    prefill: int = 512
    """The most prompt tokens computed in one step."""
    tokens: int = 262_144
    """The most tokens of cache; what is not in use keeps what was computed before."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One step: for every version with running requests, the prompt chunks to compute beside its decoding ones."""

    chunks: dict[int, list[Chunk]]
    preempted: list[Request]
    """Rollouts that gave their seat to a chat."""


class Scheduler:
    """Admission by budget, chat before rollouts, groups in turn, prompts in chunks.

    Whoever runs has been promised pages for the longest that it may become, so nobody ever stops for want of one.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pages = Pages(limits.tokens // PAGE)
        self.running: dict[Hashable, Request] = {}
        self._filling: dict[Priority, deque[Request]] = {"chat": deque(), "rollout": deque()}
        self._lines: dict[Priority, _Line] = {"chat": _Line(), "rollout": _Line()}
        self._promised = 0  # pages

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._lines["chat"]) + len(self._lines["rollout"])

    @property
    def filling(self) -> int:
        """How many of those that run have a prompt that is not computed yet."""
        return sum(map(len, self._filling.values()))

    @property
    def may_preempt(self) -> bool:
        """Could the next plan take a rollout's seat?"""
        return len(self._lines["chat"]) > 0 and any(r.priority == "rollout" for r in self.running.values())

    @property
    def has_work(self) -> bool:
        """Is anyone running or waiting?"""
        return bool(self.running) or self.waiting > 0

    def add(self, request: Request) -> None:
        """Put a request into its line.

        Raises:
            EngineBusy: the line is full.
        """
        seats = self.limits.slots - len(self.running)  # the next plan fills these from the line
        if self.waiting >= self.limits.waiting + seats:
            raise EngineBusy(f"{self.waiting} requests are waiting, the most allowed now; ask again in a moment")
        self._lines[request.priority].push(request)

    def plan(self, prefill: int | None = None) -> Plan:
        """Decide the next step, and count all that it computes as computed.

        Args:
            prefill: prompt tokens to compute in it; the limit unless told.
        """
        preempted = self._preempt()
        for request in self.running.values():
            if not request.is_filling:
                self._advance(request, len(request.tokens) + request.ahead)  # with the token that it drew last
        self._admit()
        chunks: dict[int, list[Chunk]] = {request.version: [] for request in self.running.values()}
        budget = self.limits.prefill if prefill is None else min(prefill, self.limits.prefill)
        for filling in self._filling.values():
            while filling and budget > 0:
                request = filling[0]
                if request.computed == 0 and request.shares:
                    request.computed = self.pages.match(request.held, request.tokens)
                chunk = Chunk(request, request.computed, min(len(request.tokens) - request.computed, budget))
                chunks[request.version].append(chunk)
                # At once, so that the next one in this very step may begin alike: keys are written before any is read.
                self._advance(request, request.computed + chunk.count)
                budget -= chunk.count
                if chunk.is_last:
                    request.is_filling = False
                    filling.popleft()
        return Plan(chunks, preempted)

    def _advance(self, request: Request, computed: int) -> None:
        self.pages.extend(request.held, computed)
        request.computed = computed
        if request.shares:
            self.pages.learn(request.held, request.tokens, min(computed, len(request.tokens)))

    def drop(self, request: Request) -> None:
        """Forget a request that has ended or is cancelled, wherever it stands. What it computed stays known."""
        if self.running.pop(request.id, None) is None:
            self._lines[request.priority].remove(request)
            return
        self._promised -= pages_for(request.limit)
        self.pages.release(request.held)
        if request.is_filling:
            self._filling[request.priority].remove(request)

    def uses(self, version: int) -> bool:
        """Does any request, running or waiting, still name this version?"""
        lines = self._lines.values()
        return any(request.version == version for request in self.running.values()) or any(
            request.version == version for line in lines for request in line
        )

    def _preempt(self) -> list[Request]:
        """Free seats and pages for waiting chats: the youngest rollouts go back to the head of their line.

        What they computed stays known, so they go on where they were unless its room was needed meanwhile.
        """
        preempted: list[Request] = []
        chats = list(self._lines["chat"])
        if not chats:
            return preempted
        rollouts = [request for request in self.running.values() if request.priority == "rollout"]
        wanted = sum(pages_for(chat.limit) for chat in chats)
        while rollouts and (
            len(chats) > self.limits.slots - len(self.running) or wanted > self.pages.count - self._promised
        ):
            request = rollouts.pop()
            self.drop(request)
            request.computed, request.is_filling = 0, True
            self._lines["rollout"].push_first(request)
            preempted.append(request)
        return preempted

    def _admit(self) -> None:
        for line in self._lines.values():
            while (request := line.first) is not None:
                wanted = pages_for(request.limit)
                if len(self.running) >= self.limits.slots or self._promised + wanted > self.pages.count:
                    return  # nobody overtakes: a large chat would otherwise wait for ever behind small rollouts
                line.pop()
                self.running[request.id] = request
                self._filling[request.priority].append(request)
                self._promised += wanted


class _Line:
    """A waiting line in which groups take turns and each group keeps its own order."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, deque[Request]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Request]:
        return (request for group in self._groups.values() for request in group)

    @property
    def first(self) -> Request | None:
        """Whose turn it is."""
        return next(iter(self._groups.values()))[0] if self._size else None

    def push(self, request: Request) -> None:
        self._groups.setdefault(request.group, deque()).append(request)
        self._size += 1

    def push_first(self, request: Request) -> None:
        self._groups.setdefault(request.group, deque()).appendleft(request)
        self._groups.move_to_end(request.group, last=False)
        self._size += 1

    def pop(self) -> Request:
        name, group = next(iter(self._groups.items()))
        request = group.popleft()
        self._size -= 1
        if group:
            self._groups.move_to_end(name)
        else:
            del self._groups[name]
        return request

    def remove(self, request: Request) -> None:
        group = self._groups.get(request.group)
        if group is None or request not in group:
            return
        group.remove(request)
        self._size -= 1
        if not group:
            del self._groups[request.group]
