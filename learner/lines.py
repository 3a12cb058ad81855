"""The log of one run: what the learner, and whatever it uses, says while the run goes on, kept with the run."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_CHARACTERS = 4000
"""Of one line; of a longer one the end is kept, where a traceback says what happened."""


class Lines(logging.Handler):
    """Hands on what is logged: everything of the learner's own, warnings of all others."""

    def __init__(self, tell: Callable[[str, str], object]) -> None:
        """
        Args:
            tell: called with level and text, in the thread that logs.
        """
        super().__init__(logging.INFO)
        self._tell = tell

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filterer.filter`."""
        return record.name.split(".")[0] == "learner" or record.levelno >= logging.WARNING

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        self._tell(level, self.format(record)[-MOST_CHARACTERS:])


@contextmanager
def told_to(tell: Callable[[str, str], object]) -> Iterator[None]:
    """While the block runs, `tell` hears what is logged, whether or not the process logs anywhere else."""
    root, learner = logging.getLogger(), logging.getLogger("learner")
    handler, level = Lines(tell), learner.level
    root.addHandler(handler)
    learner.setLevel(logging.INFO)
    try:
        yield
    finally:
        learner.setLevel(level)
        root.removeHandler(handler)
