"""What a failed run tells its operators, in one sentence: in which step, why, and what to do."""

import errno

from sqlalchemy.exc import SQLAlchemyError

from backtalk.weights import WeightsError

LESS_MEMORY = (
    "lower `ppo.minibatch`, `ppo.episodes` or `reward_model.batch` in the recipe, give the learner more memory, or "
    "another device with BACKTALK_LEARNER_DEVICE"
)
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
SIGKILL = 9


def of_error(stage: str | None, error: Exception) -> str:
    """The sentence for an error that nobody foresaw."""
    return _sentence(stage, f"{type(error).__name__}: {error}", _remedy(error))


def of_exit(stage: str | None, code: int) -> str:
    """The sentence for a training process that left without a word; below 0 the code is that of a signal."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    remedy = "see the run's log and the learner's, then train again"
    if code == -SIGKILL:
        remedy = f"that is how a system that is out of memory takes some back: {LESS_MEMORY}"
    return _sentence(stage, f"the training process {how}", remedy)


def _sentence(stage: str | None, why: str, remedy: str) -> str:
    return f"in step {stage or 'start'}: {why}; {remedy}"


def _remedy(error: Exception) -> str:
    words = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in words for sign in OUT_OF_MEMORY):
        return LESS_MEMORY
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "free some disk space, then train again"
    if isinstance(error, WeightsError):
        return "bring the version back from a backup, or roll back to another one, then train again"
    if isinstance(error, SQLAlchemyError):
        return "check the database with `backtalk verify`, then train again"
    if isinstance(error, OSError):
        return "see to the file or the connection that it names, then train again"
    return "the run's log shows where; if training again ends alike, report it with that log"
