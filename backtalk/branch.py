"""The way through a conversation's tree to one of its messages."""

from sqlmodel import Session

from backtalk.tables import Message


def branch(session: Session, last: Message) -> list[Message]:
    """The messages that lead to one, and itself, oldest first."""
    turns, above = [last], last.parent_id
    while above is not None and (turn := session.get(Message, above)) is not None:
        turns.append(turn)
        above = turn.parent_id
    return turns[::-1]
