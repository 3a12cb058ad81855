"""How much one person may do at once and in a minute (contract §7). Every refusal names its number."""

import time
from collections import Counter
from uuid import UUID

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from server.errors import Busy, RateLimited

MESSAGE_BYTES = 32 * 1024
FRAME_BYTES = 64 * 1024
BODY_BYTES = 256 * 1024
JSON_DEPTH = 20
RUNNING_REPLIES = 2
SOCKETS = 5
PROMPTS = 30
OPINIONS = 60
LOGINS = 5
LOGINS_AN_ADDRESS = 30
SIGN_UPS_AN_ADDRESS = 60
GUESTS_AN_ADDRESS = 600


class PerMinute:
    """At most `number` of something in any sixty seconds, for each one who does it."""

    def __init__(self, number: int, what: str) -> None:
        self.number = number
        self.what = what
        self._item = RateLimitItemPerMinute(number)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def use(self, who: object) -> None:
        """Count one more.

        Raises:
            RateLimited: it would be one too many; `retry_after` says when it no longer is.
        """
        if not self._limiter.hit(self._item, str(who)):
            wait = max(1.0, self._limiter.get_window_stats(self._item, str(who)).reset_time - time.time())
            raise RateLimited(f"at most {self.number} {self.what} a minute; try again in {wait:.0f} s", wait)


class AtOnce:
    """At most `number` of something at the same time, for each person."""

    def __init__(self, number: int, what: str) -> None:
        self.number = number
        self.what = what
        self._taken: Counter[UUID] = Counter()

    @property
    def taken(self) -> int:
        """Places that are taken by all people together."""
        return self._taken.total()

    def take(self, person_id: UUID) -> None:
        """Take one more place.

        Raises:
            Busy: all are taken.
        """
        if self._taken[person_id] >= self.number:
            raise Busy(f"at most {self.number} {self.what} at once; end one first", retry_after=1)
        self._taken[person_id] += 1

    def take_back(self, person_id: UUID) -> None:
        """Take a place whether or not one is free: what was promised before a restart goes on after it."""
        self._taken[person_id] += 1

    def free(self, person_id: UUID) -> None:
        """Give one place back."""
        self._taken[person_id] -= 1
        if self._taken[person_id] <= 0:
            del self._taken[person_id]


class Limits:
    """All limits of one server; they are counted in its memory and begin anew with it."""

    def __init__(self) -> None:
        self.prompts = PerMinute(PROMPTS, "messages")
        self.opinions = PerMinute(OPINIONS, "opinions")
        self.logins = PerMinute(LOGINS, "attempts to sign in")
        self.sign_ins = PerMinute(LOGINS_AN_ADDRESS, "attempts to sign in from one address")
        self.sign_ups = PerMinute(SIGN_UPS_AN_ADDRESS, "new accounts from one address")
        self.guests = PerMinute(GUESTS_AN_ADDRESS, "new guests from one address")
        self.replies = AtOnce(RUNNING_REPLIES, "running replies")
        self.sockets = AtOnce(SOCKETS, "open connections")
