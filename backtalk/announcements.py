"""What operators shall hear of without looking: written down in the transaction that did it, sent afterwards.

The rows are an outbox: whoever delivers them (`server/webhook.py`) may die at any moment, and nothing is lost.
"""

import base64
import hmac

from sqlmodel import Session

from backtalk.settings import Settings
from backtalk.tables import Announcement, ReleaseRules, now

KINDS = (
    "candidate_waiting",
    "promoted",
    "rejected",
    "rolled_back",
    "run_failed",
    "canary_began",
    "canary_paused",
    "test",
)


def announce(session: Session, kind: str, **content: object) -> Announcement:
    """Write down that something happened; a webhook that is set is told once this transaction is durable."""
    rules = session.get(ReleaseRules, 1)
    is_heard = rules is not None and rules.webhook_url is not None
    announcement = Announcement(kind=kind, content=content, next_at=now() if is_heard else None)
    session.add(announcement)
    return announcement


def secret(settings: Settings) -> str:
    """What receivers check signatures with, in the form their libraries take: derived, so that no row holds it."""
    key = hmac.digest(settings.secret_key(), b"webhook", "sha256")
    return "whsec_" + base64.b64encode(key).decode()
