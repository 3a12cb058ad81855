"""The engine without any process around it: versions, the scheduler, and one step after the other."""

import logging
import random
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from backtalk.engine.errors import EngineRefused
from backtalk.engine.pace import Pace
from backtalk.engine.pages import PAGE
from backtalk.engine.runner import Flight, Runner, Step
from backtalk.engine.sampling import FinishReason, Priority, Sampling
from backtalk.engine.scheduler import Chunk, Course, Limits, Plan, Request, Scheduler
from backtalk.engine.text import TextStream

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Resident:
    """A version that is loaded."""

    runner: Runner
    tokenizer: Tokenizer | None = None
    """Without one there is no text, only tokens."""
    is_leaving: bool = False
    """It takes no new requests, and is freed when its last one has ended."""


@dataclass(slots=True)
class Output:
    """What a step made for one request. `token` is None if it ended without a new one."""

    request: Request
    text: str
    token: int | None = None
    logprob: float = 0.0
    raw_logprob: float = 0.0
    finish_reason: FinishReason | None = None


@dataclass(slots=True)
class _Launched:
    """A step of all runners that is under way."""

    flights: list[tuple[Runner, Flight]]
    decoding: int
    """Chats that get their next token in it."""
    prompt: int
    """Tokens of prompts that it computes."""
    filled: list[Course]
    """Of requests that are traced: those whose first token it draws."""


class Core:
    """Everything that one device does. Not safe for threads: one owner calls it.

    Where a runner runs ahead, a step is launched before the tokens of the one before it are taken in, so that device
    and processor work at the same time. Who ended meanwhile has then one token too many, which is dropped: its seat was
    still its own, and what is released here is used by others only in later steps of the device.
    """

    def __init__(self, limits: Limits) -> None:
        self.scheduler = Scheduler(limits)
        self.versions: dict[int, Resident] = {}
        self.steps = 0
        """How many steps were run: the sign of life."""
        self.tokens = 0
        """How many tokens were drawn."""
        self.prompt_tokens = 0
        """How many tokens of prompts were computed; what the cache had is not among them."""
        self._pace = Pace()
        self._clock = time.thread_time
        """For the pace: where others use the CPU too, what they take tells nothing of prompts and replies."""
        self._requests: dict[Hashable, Request] = {}
        self._launched: _Launched | None = None
        self._landed = 0.0
        """When the last step was over, by the clock."""

    @property
    def has_work(self) -> bool:
        """Is there anything to step for?"""
        return self.scheduler.has_work or self._launched is not None

    def install(self, number: int, resident: Resident) -> None:
        """Make a version available from now on."""
        pages = self.scheduler.pages
        runners = [other.runner for other in self.versions.values()]
        if resident.runner not in runners and not any(map(resident.runner.share_room, runners)):
            resident.runner.make_room(pages.count)
        if resident.runner.device.type != "cpu":
            self._clock = time.perf_counter  # this thread only waits for the device
        self.versions[number] = resident

    def retire(self, number: int) -> None:
        """Let a version run dry: it takes nobody new, and `sweep` frees it after its last request."""
        if number in self.versions:
            self.versions[number].is_leaving = True

    def sweep(self) -> list[int]:
        """Free the retired versions that nobody uses any more, and name them."""
        gone = [n for n, resident in self.versions.items() if resident.is_leaving and not self.scheduler.uses(n)]
        for number in gone:
            self.versions.pop(number).runner.forget_version(number)
            self.scheduler.pages.forget_version(number)
        return gone

    def submit(
        self,
        id: Hashable,
        prompt: Sequence[int],
        sampling: Sampling,
        *,
        version: int,
        priority: Priority = "chat",
        group: str = "",
        position: int = 0,
        traceparent: str | None = None,
    ) -> None:
        """Take a request, bound to its version to the end.

        Args:
            id: the caller's name for it, unique among those that have not ended.
            prompt: token ids; its last `position` tokens are the beginning of the reply, drawn earlier.
            sampling: how to draw; `max_tokens` counts the whole reply.
            version: a resident version's number.
            priority: chats go before rollouts.
            group: groups take turns.
            position: see `prompt`.
            traceparent: the span that it belongs to, if it is traced.

        Raises:
            EngineRefused: `bad_request`, `too_long`, `version`; EngineBusy when the line is full.
        """
        resident = self.versions.get(version)
        if resident is None or resident.is_leaving:
            able = sorted(n for n, other in self.versions.items() if not other.is_leaving)
            raise EngineRefused("version", f"version {version} is not loaded; loaded are {able}")
        self._check(id, prompt, position, resident, sampling)
        request = Request(
            id,
            list(prompt),
            sampling,
            seed=random.getrandbits(63) if sampling.seed is None else sampling.seed,
            version=version,
            priority=priority,
            group=group,
            position=position,
            course=None if traceparent is None else Course(traceparent, asked=time.time_ns()),
        )
        request.shares = resident.runner.shares_pages
        request.limit = min(request.limit, resident.runner.context, PAGE * self.scheduler.pages.count)
        if len(request.tokens) >= request.limit:
            raise EngineRefused("bad_request", f"the reply has {position} tokens already, and may have no more")
        if resident.tokenizer is not None:
            request.stream = TextStream(resident.tokenizer, sampling.stop)
            for token in request.tokens[request.drawn_before :]:
                request.stream.push(token)  # its text went out before the interruption
        self.scheduler.add(request)
        self._requests[id] = request

    def cancel(self, id: Hashable) -> Output | None:
        """End a request now; None if it has ended already. What was held back of its text comes with it."""
        request = self._requests.get(id)
        return None if request is None else self._end(request, "stopped")

    def step(self) -> list[Output]:
        """One step for everybody: schedule, launch, take in what has landed, hand out."""
        outputs: list[Output] = []
        if self._launched is not None and (
            self.scheduler.may_preempt or not all(runner.runs_ahead for runner, _ in self._launched.flights)
        ):
            self._land(outputs)
        before, self._launched = self._launched, None
        if self.scheduler.has_work:
            if before is None:
                self._landed = self._clock()
            self._launched = self._launch(outputs)
        if before is not None:
            self._take_down(before, outputs)
        if self._launched is not None and not all(runner.runs_ahead for runner, _ in self._launched.flights):
            self._land(outputs)
        self.steps += 1
        return outputs

    def _launch(self, outputs: list[Output]) -> _Launched:
        # Rollouts are in no hurry: only chats are spared long steps.
        chats = [request for request in self.scheduler.running.values() if request.priority == "chat"]
        decoding = sum(not request.is_filling for request in chats)
        plan = self.scheduler.plan(self._pace.prefill(decoding, self.scheduler.filling))
        for request in plan.preempted:
            self.versions[request.version].runner.release(request)
        together: dict[Runner, list[Chunk]] = {}  # a base and its adapters are one runner, and one batch
        for number, chunks in plan.chunks.items():
            together.setdefault(self.versions[number].runner, []).extend(chunks)
        prompt = sum(chunk.count for chunks in plan.chunks.values() for chunk in chunks)
        self.prompt_tokens += prompt
        launched = _Launched([], decoding, prompt, self._note_courses(plan))
        for runner, chunks in together.items():
            try:
                flight = runner.launch(chunks)
            except Exception:
                self._fail(runner, outputs)
            else:
                launched.flights.append((runner, flight))
                for request in flight.requests:
                    request.ahead += 1
        return launched

    def _note_courses(self, plan: Plan) -> list[Course]:
        """Write down whose prompt is begun in this step; those whose first token it draws are returned."""
        filled: list[Course] = []
        for chunks in plan.chunks.values():
            for chunk in chunks:
                course = chunk.request.course
                if course is None:
                    continue
                if course.begun is None:
                    course.begun, course.kept = time.time_ns(), chunk.start
                course.steps += 1
                if chunk.is_last:
                    filled.append(course)
        return filled

    def _land(self, outputs: list[Output]) -> None:
        launched, self._launched = self._launched, None
        if launched is not None:
            self._take_down(launched, outputs)

    def _take_down(self, launched: _Launched, outputs: list[Output]) -> None:
        for runner, flight in launched.flights:
            try:
                step = flight.land()
            except Exception:
                self._fail(runner, outputs)
            else:
                self._take_in(step, outputs)
        for course in launched.filled:
            course.filled = time.time_ns()
        now = self._clock()
        self._pace.learn(now - self._landed, launched.decoding, launched.prompt)
        self._landed = now

    def _fail(self, runner: Runner, outputs: list[Output]) -> None:
        """The device may run out of memory; the other versions and the process go on."""
        numbers = [number for number, resident in self.versions.items() if resident.runner is runner]
        log.exception("versions %s failed in a step; their requests end with an error", numbers)
        outputs += [self._end(request, "error") for number in numbers for request in self._running(number)]

    def _take_in(self, step: Step, outputs: list[Output]) -> None:
        drawn = zip(step.requests, step.tokens, step.logprobs, step.raw_logprobs, step.finite, strict=True)
        for request, token, logprob, raw, finite in drawn:
            request.ahead -= 1
            if self._requests.get(request.id) is not request:
                continue  # it ended while this was under way
            if not finite:
                outputs.append(self._end(request, "error"))
                continue
            request.tokens.append(token)
            self.tokens += 1
            stream = request.stream
            ends = token in self.versions[request.version].runner.eos
            text = stream.push(token) if stream is not None and not ends else ""
            output = Output(request, text, token, logprob, raw)
            if ends or (stream is not None and stream.is_stopped):
                output.finish_reason = "stop"
            elif len(request.tokens) >= request.limit:
                output.finish_reason = "length"
            if output.finish_reason is not None:
                output.text += self._end(request, output.finish_reason).text
            outputs.append(output)

    def _end(self, request: Request, reason: FinishReason) -> Output:
        if reason == "error":
            self._forget(request)
        self.scheduler.drop(request)
        self.versions[request.version].runner.release(request)
        del self._requests[request.id]
        return Output(request, request.stream.finish() if request.stream is not None else "", finish_reason=reason)

    def _forget(self, request: Request) -> None:
        """What it computed may be no numbers: nobody shall find it, nor what is left of it in memory."""
        pages = self.scheduler.pages
        self.versions[request.version].runner.scrub(pages.own(request.held))
        pages.forget(request.held.pages)

    def _running(self, version: int) -> list[Request]:
        return [request for request in self.scheduler.running.values() if request.version == version]

    def _check(
        self, id: Hashable, prompt: Sequence[int], position: int, resident: Resident, sampling: Sampling
    ) -> None:
        runner = resident.runner
        if id in self._requests:
            raise EngineRefused("bad_request", f"a request with id {id!r} is under way; ids must be unique")
        if not prompt:
            raise EngineRefused("bad_request", "the prompt is empty; expected at least one token")
        if not 0 <= position < len(prompt):
            raise EngineRefused("bad_request", f"position is {position}; expected 0 to {len(prompt) - 1}")
        if min(prompt) < 0 or max(prompt) >= runner.vocabulary:
            raise EngineRefused("bad_request", f"a token id is outside the vocabulary 0 to {runner.vocabulary - 1}")
        most = min(runner.context, PAGE * self.scheduler.pages.count)
        if len(prompt) >= most:
            raise EngineRefused("too_long", f"the prompt has {len(prompt)} tokens; here fewer than {most} are taken")
        if any(token >= runner.vocabulary for token, _ in sampling.logit_bias):
            raise EngineRefused("bad_request", f"logit_bias names a token above {runner.vocabulary - 1}, the last one")
        if sampling.stop and resident.tokenizer is None:
            raise EngineRefused("bad_request", "stop strings need a tokenizer, and this version was loaded without one")
