"""How a version that has passed the gate becomes live: at once, once an operator has said so, or by way of a canary."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from backtalk import audit, canary, policies
from backtalk.announcements import announce
from backtalk.policies import PolicyError
from backtalk.tables import Announcement, Policy, ReleaseRules, now

APPROVALS = ("automatic", "operator")
LARGEST_SHARE = 0.5
"""More than half leaves too few people to hold the canary against."""


class ReleaseError(ValueError):
    """A rule that cannot be had; the message says what was found, what was expected and what to do."""


def rules(session: Session) -> ReleaseRules:
    """The rules as they stand; the defaults where nobody has set any."""
    return session.get(ReleaseRules, 1) or ReleaseRules()


def set_rules(session: Session, actor: object, **changes: Any) -> ReleaseRules:
    """Change some of the rules.

    Raises:
        ReleaseError: a value that cannot be.
    """
    found = rules(session)
    for name, value in changes.items():
        setattr(found, name, value)
    _check(found)
    found.updated_at = now()
    session.add(found)
    session.flush()
    audit.record(session, actor, "release.set", **changes)
    return found


def release(session: Session, number: int, actor: object, reason: str = "") -> Policy:
    """Do with a version that has passed the gate what the rules say: make it live, try it on some, or let it wait."""
    if rules(session).approval == "operator":
        return _wait(session, number, "it waits for an operator")
    return approve(session, number, actor, reason)


def approve(session: Session, number: int, actor: object, reason: str = "") -> Policy:
    """Let a version out: to a share of the people first where the rules say so, otherwise to all at once.

    Raises:
        PolicyError: there is no such version, or it is not fit to go live.
    """
    found = rules(session)
    if not found.canary:
        return policies.go_live(session, number, actor, reason=reason)
    if policies.running_canary(session) is not None:
        return _wait(session, number, "another version is being tried on some of the people")
    return canary.begin(session, number, actor, found, reason)


def reject(session: Session, number: int, actor: object, reason: str = "") -> Policy:
    """Turn down a version that waits: it will not go live.

    Raises:
        PolicyError: there is no such version, or it does not wait.
    """
    policy = policies.waiting(session, number)
    policy.state, policy.reason = "rejected", reason or "an operator turned it down"
    session.add(policy)
    audit.record(session, actor, "policy.reject", number, reason=reason)
    announce(session, "rejected", policy=number, reason=policy.reason)
    return policy


def waiting(session: Session) -> list[Policy]:
    """Versions that wait for a decision: made by a run from where runs begin now, and not decided upon."""
    start = policies.start(session)
    if start is None:
        return []
    made = select(Policy).where(Policy.state == "candidate", col(Policy.run_id).is_not(None))
    return list(session.exec(made.where(Policy.parent == start.number).order_by(col(Policy.number))))


def test(session: Session, actor: object) -> Announcement:
    """Announce something harmless, to see whether the webhook takes it.

    Raises:
        ReleaseError: there is no webhook.
    """
    if rules(session).webhook_url is None:
        raise ReleaseError("no webhook is set; give its address first")
    sent = announce(session, "test", by=str(actor))
    session.flush()
    audit.record(session, actor, "release.test", sent.id)
    return sent


def next_out(session: Session) -> Policy | None:
    """The newest version that was made while another was being tried, now that this has ended: it need wait no more.

    Where operators approve, it waits for them; where the one that was tried went live, it comes from too far back.
    """
    tried = canary.last(session)
    if rules(session).approval == "operator" or tried is None or tried.ended_at is None:
        return None
    made = [one for one in waiting(session) if tried.began_at <= one.created_at <= tried.ended_at]
    return made[-1] if made else None


def announcements(session: Session, limit: int) -> list[Announcement]:
    """The newest of them."""
    return list(session.exec(select(Announcement).order_by(col(Announcement.at).desc()).limit(limit)))


def _wait(session: Session, number: int, why: str) -> Policy:
    policy = session.get(Policy, number)
    if policy is None:
        raise PolicyError(f"there is no policy {number}; `backtalk policy list` shows those there are")
    announce(session, "candidate_waiting", policy=number, run=str(policy.run_id) if policy.run_id else None, why=why)
    return policy


def _check(found: ReleaseRules) -> None:
    if found.approval not in APPROVALS:
        raise ReleaseError(f"approval is {found.approval!r}; expected {' or '.join(APPROVALS)}")
    shares = found.canary_shares
    if not shares or sorted(set(shares)) != list(shares) or not all(0 < share <= LARGEST_SHARE for share in shares):
        raise ReleaseError(
            f"the canary's shares are {shares}; expected one or more, rising, above 0 and at most {LARGEST_SHARE}, "
            "such as 0.05, 0.25: the step after the last is everybody"
        )
    for name, lowest in (("canary_people", 1), ("canary_replies", 1)):
        if getattr(found, name) < lowest:
            raise ReleaseError(f"{name} is {getattr(found, name)}; expected {lowest} or more")
    if not 0 < found.alpha < 1:
        raise ReleaseError(f"alpha is {found.alpha}; expected a chance between 0 and 1, such as 0.05")
    if found.webhook_url is not None:
        _check_address(found.webhook_url, found.webhook_private)


def _check_address(url: str, may_be_private: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ReleaseError(
            f"the webhook's address is {url[:200]!r}; expected http:// or https://, a host, and no password"
        )
    try:
        is_public = ipaddress.ip_address(parts.hostname).is_global
    except ValueError:
        is_public = parts.hostname.lower().rstrip(".") != "localhost"  # names are looked up when something is sent
    if not is_public and not may_be_private:
        raise ReleaseError(
            f"the webhook's host {parts.hostname} is in a private network; "
            "choose a public one, or allow private addresses for it"
        )
