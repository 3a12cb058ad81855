"""What an error says to the operator, in one sentence: for the command line, and for whoever starts a process."""

from sqlalchemy.exc import OperationalError

from backtalk.asking import AskingError
from backtalk.database import DatabaseError
from backtalk.entrance import EntranceError
from backtalk.exports import ExportError
from backtalk.imports import BadRow
from backtalk.instance import InstanceError
from backtalk.opinions import OpinionError
from backtalk.people import PersonError
from backtalk.policies import PolicyError
from backtalk.privacy import PrivacyError
from backtalk.profiles import ProfileError
from backtalk.recipe import RecipeError
from backtalk.release import ReleaseError
from backtalk.runs import RunError
from backtalk.safekeeping import BackupError
from backtalk.schedules import ScheduleError
from backtalk.sealing import SealingError
from backtalk.settings import SettingsError
from backtalk.simulate import SimulationError
from backtalk.template import TemplateError
from backtalk.weights import WeightsError

SPEAKING = (
    AskingError,
    BackupError,
    BadRow,
    DatabaseError,
    EntranceError,
    ExportError,
    InstanceError,
    OpinionError,
    PersonError,
    PolicyError,
    PrivacyError,
    ProfileError,
    RecipeError,
    ReleaseError,
    RunError,
    ScheduleError,
    SealingError,
    SettingsError,
    SimulationError,
    TemplateError,
    WeightsError,
)
"""Errors whose own words are such a sentence."""


def of(error: Exception) -> str | None:
    """What the error says; None for a fault of ours."""
    if isinstance(error, OperationalError):
        return f"the database cannot be used: {str(error.orig).strip()}; check it with `backtalk verify`"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return str(error) if isinstance(error, SPEAKING) else None
