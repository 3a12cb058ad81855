"""All figures, the cheapest strong claims first."""

from tests.faults import (
    crowd,
    engine_faults,
    erasures,
    fuzz,
    hostile,
    learner_kill,
    link,
    not_finite,
    postgres_faults,
    power,
    races,
    rfc6455,
    schema,
    server_kill,
    slots,
    swaps,
    syscalls,
)
from tests.security import corpus, matrix

FIGURES = (
    power.FIGURE,
    races.FIGURE,
    slots.FIGURE,
    syscalls.FIGURE,
    link.FIGURE,
    rfc6455.FIGURE,
    fuzz.FIGURE,
    schema.FIGURE,
    matrix.FIGURE,
    matrix.ENDINGS,
    hostile.MUTATIONS,
    hostile.PACKAGES,
    server_kill.FIGURE,
    learner_kill.FIGURE,
    not_finite.FIGURE,
    erasures.FIGURE,
    corpus.FIGURE,
    engine_faults.KILLS,
    engine_faults.FREEZES,
    postgres_faults.FIGURE,
    swaps.FIGURE,
    crowd.LEAVING,
    crowd.DEAF,
    crowd.OVERLOAD,
)

NOT_HERE: tuple[tuple[str, str], ...] = (
    (
        "G10",
        "sabotaged versions: `backtalk bench canary` tries a dozen through the canary, with a table in "
        "`docs/operating.md`: 12 of 12 taken back, each within 144 replies; `tests/server/test_canary.py` tries some "
        "at each commit.",
    ),
    ("G13", "Autobahn's 517 cases: their container needs an engine for containers; our own table of cases is above."),
    (
        "G17",
        "poisoned raters on the bundled model: `backtalk bench raters` tells who is found and what that saves, with a "
        "table in `docs/learning.md`; how far few raters move a version through a whole run is not measured.",
    ),
    ("G20", "the soak: `backtalk bench soak` is there; an hour of it was not run."),
    ("G22", "coverage and mutation score: not measured."),
)
"""Goals without a figure, and why."""
