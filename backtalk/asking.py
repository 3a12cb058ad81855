"""What people are asked for beyond the thumb, as operators have set it."""

from sqlmodel import Session

from backtalk import audit
from backtalk.tables import OpinionRules, now


def rules(session: Session) -> OpinionRules:
    """The rules as they stand; the defaults where nobody has set any."""
    return session.get(OpinionRules, 1) or OpinionRules()


def set_compare_share(session: Session, actor: object, share: float) -> OpinionRules:
    """Set below which share of the replies a comparison with a second answer is offered."""
    found = rules(session)
    found.compare_share, found.updated_at = share, now()
    session.add(found)
    session.flush()
    audit.record(session, actor, "asking.set", compare_share=share)
    return found
