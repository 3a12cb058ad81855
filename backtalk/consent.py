"""What may train, and what raters and operators may read: words of people who said yes, save what they kept out.

Consent is a person's, asked once (`person.consent_train`); of a conversation they can say that nothing in it trains
(`conversation.train`).
"""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from backtalk.tables import Conversation, Person, now


def consents(person_id: Any, account_days: float = 0.0) -> sa.ColumnElement[bool]:
    """Has the person in this column said yes, no operator excluded them, and is their account at least so old?"""
    return sa.exists().where(col(Person.id) == person_id, *trains(), is_settled(account_days))


def trains() -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """The conditions on a person whose words may train."""
    return col(Person.consent_train).is_(True), ~col(Person.excluded)


def is_settled(days: float) -> sa.ColumnElement[bool]:
    """The condition on a person whose account is at least so old."""
    return col(Person.created_at) <= now() - timedelta(days)


def may_train(message: Any) -> sa.ColumnElement[bool]:
    """May the words of this message (a table or an alias of it) train, as far as their owner goes?"""
    is_kept_out = sa.exists().where(col(Conversation.id) == message.conversation_id, ~col(Conversation.train))
    return sa.and_(consents(message.person_id), ~is_kept_out)
