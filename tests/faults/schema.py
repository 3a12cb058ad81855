"""G14: every operation as its own schema describes it, and as it does not, in every role (F24).

Schemathesis reads the server's OpenAPI and makes requests of it: those that fit, those that almost do, and chains in
which one answer's ids go into the next request. Broken is: a server error, a status, type or body that the schema does
not tell of, data that does not fit and is taken all the same, a trace in the log.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import schemathesis
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok

from server.access import RANKS
from tests.faults import figures
from tests.faults.fuzz import on_a_stack
from tests.server.stack import Someone, Stack

ROLES = (None, *RANKS)
EACH = 40
"""Requests of one person, before another of the same role takes over: they erase themselves, or reach a limit."""
load_all_checks()
CHECKED = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
        "negative_data_rejection",
        "unsupported_method",
    ]
)
IN_CHAINS = [*CHECKED, *CHECKS.get_by_names(["use_after_free", "ensure_resource_availability"])]
STEPS = 8
"""Requests of a chain."""


class Callers:
    """Somebody of each role, and somebody else after a while."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self._stack, self._chance = stack, chance
        self._people: dict[str, tuple[Someone, int]] = {}

    def headers(self) -> dict[str, str]:
        """Of one of them, by chance; none for nobody."""
        role = self._chance.choice(ROLES)
        if role is None:
            return {"X-Backtalk": "1"}
        someone, left = self._people.get(role, (None, 0))
        if someone is None or not left:
            someone, left = self._stack.someone(role), EACH
        self._people[role] = someone, left - 1
        return someone.headers


def run(seed: int, trials: int) -> figures.Outcome:
    """Make about `trials` requests, as many of each operation."""
    return on_a_stack(lambda stack: ask_all(stack, seed, trials))


def ask_all(stack: Stack, seed: int, trials: int) -> figures.Outcome:
    """The same on a stack that runs already; a fifth of the requests come in chains."""
    outcome = figures.Outcome()
    callers = Callers(stack, random.Random(seed))
    schema = schemathesis.openapi.from_url(f"{stack.url}/api/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    for operation in operations:
        for mode in GenerationMode:
            count = max(1, round(0.4 * trials / len(operations)))
            _ask(operation, mode, count, seed, callers, outcome)
    _ask_in_chains(schema, max(1, round(0.2 * trials / STEPS)), seed, callers, outcome)
    outcome.measures["operations"] = len(operations)
    return outcome


def _ask(
    operation: Any, mode: GenerationMode, count: int, seed: int, callers: Callers, outcome: figures.Outcome
) -> None:
    @hypothesis.seed(seed)
    @_settings(count)
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        outcome.trials += 1
        case.validate_response(case.call(headers=callers.headers()), checks=CHECKED)

    with _noted(outcome, operation.label):
        ask()


def _ask_in_chains(schema: Any, count: int, seed: int, callers: Callers, outcome: figures.Outcome) -> None:
    class Chain(schema.as_state_machine()):  # type: ignore[misc]  # made at run time
        def setup(self) -> None:
            self.headers = callers.headers()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": self.headers}

        def validate_response(self, response: Any, case: Any, **given: Any) -> None:
            outcome.trials += 1
            case.validate_response(response, checks=IN_CHAINS)

    for number in range(count):  # one at a time: what a server answers is not the same when it is asked again
        with _noted(outcome, "a chain"):
            hypothesis.seed(1000 * seed + number)(run_state_machine_as_test)(Chain, settings=_settings(1, STEPS))


def _settings(count: int, steps: int = STEPS) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],  # to make a finding small would make many more requests
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )


@contextmanager
def _noted(outcome: figures.Outcome, where: str) -> Iterator[None]:
    """What breaks is written down."""
    try:
        yield
    except FailureGroup as group:
        outcome.violations += [f"{where}: {_told(one)}" for one in group.exceptions]
    except Failure as failure:
        outcome.violations.append(f"{where}: {_told(failure)}")
    except hypothesis.errors.Unsatisfiable:
        pass  # nothing can be wrong with an operation that takes nothing


def _told(failure: BaseException) -> str:
    return " ".join(str(failure).split())[:400]


FIGURE = figures.Figure(
    name="G14",
    claim="Requests that fit the schema, almost fit it, or follow from each other are answered as it says",
    unit="requests",
    run=run,
    minimum=8_000,
    goal=25_000,
    slice=2_000,
    faults="F24",
    limits="Of all requests two fifths fit, two fifths do not, a fifth come in chains of eight.",
)
