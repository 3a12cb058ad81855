"""What a reply writes down, on both databases."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from backtalk import people
from backtalk.database import Database
from backtalk.engine.sampling import Sampling
from backtalk.tables import Conversation, Delta, Message, Policy, Reply
from backtalk.template import Turn
from server import ledger
from server.errors import NotFound
from server.ledger import Entry, KeyReused, Outcome, Piece, Place, Plan
from server.log import Log

NOWHERE = Place(None, None, None, [])


@pytest.fixture
def person_id(database: Database) -> UUID:
    """Somebody, in a database with a live version 3."""
    with database.write() as session:
        session.add(Policy(number=3, state="live", directory="3-abc", digest="abc"))
        return people.add(session, "Ada").id


def plan(person_id: UUID, **changes: object) -> Plan:
    """A question in a new conversation."""
    usual = Plan(
        person_id=person_id,
        place=NOWHERE,
        asked=[Turn("user", "Hi")],
        key="k",
        request_digest="d",
        version=3,
        sampling=Sampling(seed=-(2**63)),
        template_digest="t",
        prompt=[1, 2, 2**31 - 1],
        engine="local",
    )
    return replace(usual, **changes)  # type: ignore[arg-type]  # the tests give fields of the right types


def enter(database: Database, entered: Plan) -> Entry:
    with database.write() as session:
        entry, is_new = ledger.enter(session, entered)
    assert is_new
    return entry


def end(database: Database, entry: Entry, *texts: str, state: str = "done") -> None:
    """The reply ends after these deltas."""
    reason = {"done": "stop", "failed": "error"}[state]
    with database.write() as session:
        ledger.record(session, [], [Outcome(entry.reply_id, texts, [5], [-0.5], state, reason)])  # type: ignore[arg-type]


def test_a_reply_left_in_the_middle_is_found_as_it_was_shown(database: Database, person_id: UUID) -> None:
    entry = enter(database, plan(person_id))
    with database.write() as session:
        pieces = [
            Piece(entry.reply_id, 1, "Good ", [7, 8], [-0.5, -1.25]),
            Piece(entry.reply_id, 2, "day🙂", [9], [float("-inf")]),
        ]
        assert ledger.record(session, pieces, []) == set()
    with database.write() as session:
        ledger.count_resumptions(session, entry.reply_id, 2)
    with database.read() as session:
        [left] = ledger.unfinished(session)
        assert ledger.texts_so_far(session, [entry.reply_id]) == {entry.reply_id: "Good day🙂"}
        assert ledger.ended_log(session, person_id, entry.reply_id) is None
    assert (left.entry, left.person_id, left.resumptions) == (entry, person_id, 2)
    assert (left.prompt, left.sampling) == ([1, 2, 2**31 - 1], Sampling(seed=-(2**63)))
    assert (left.texts, left.tokens, left.logprobs) == (
        ["Good ", "day🙂"],
        [7, 8, 9],
        [-0.5, -1.25, float("-inf")],
    )


def test_a_reply_that_has_ended_keeps_its_deltas_in_its_content(database: Database, person_id: UUID) -> None:
    entry = enter(database, plan(person_id))
    with database.write() as session:
        ledger.record(session, [Piece(entry.reply_id, 1, "你", [7], [-1])], [])
    with database.write() as session:
        outcome = Outcome(entry.reply_id, ["你", "好🙂"], [7, 8, 0], [-1, -2, -3], "done", "stop")
        ledger.record(session, [], [outcome])
    with database.read() as session:
        log = ledger.ended_log(session, person_id, entry.reply_id)
        message, reply = session.get(Message, entry.reply_id), session.get(Reply, entry.reply_id)
        assert ledger.unfinished(session) == []
        assert session.exec(select(Delta)).all() == []
    assert isinstance(log, Log)
    assert log.ended is not None
    assert message is not None
    assert reply is not None
    assert (message.content, message.state, log.texts) == ("你好🙂", "done", ["你", "好🙂"])
    assert (log.ended.seq, log.ended.finish_reason, log.ended.usage.completion_tokens) == (3, "stop", 3)
    assert ledger.unpack_tokens(reply.tokens) == [7, 8, 0]
    assert ledger.unpack_logprobs(reply.logprobs) == [-1, -2, -3]


def test_the_same_key_enters_nothing_twice(database: Database, person_id: UUID) -> None:
    entry = enter(database, plan(person_id))
    with database.write() as session:
        assert ledger.enter(session, plan(person_id)) == (entry, False)
        with pytest.raises(KeyReused):
            ledger.enter(session, plan(person_id, request_digest="other"))
    with database.read() as session:
        assert len(session.exec(select(Message)).all()) == 2


def test_what_a_deleted_reply_still_makes_is_named_and_the_others_are_kept(database: Database, person_id: UUID) -> None:
    kept, gone = enter(database, plan(person_id)), enter(database, plan(person_id, key="other"))
    with database.write() as session:
        session.execute(sa.delete(Conversation).where(col(Conversation.id) == gone.conversation_id))
    with database.write() as session:
        pieces = [Piece(entry.reply_id, 1, "x", [1], [-1]) for entry in (gone, kept)]
        assert ledger.record(session, pieces, []) == {gone.reply_id}
    with database.read() as session:
        assert [delta.reply_id for delta in session.exec(select(Delta))] == [kept.reply_id]


def test_a_new_question_follows_the_newest_message_and_knows_its_thread(database: Database, person_id: UUID) -> None:
    first = enter(database, plan(person_id))
    end(database, first, "Hello")
    with database.read() as session:
        place = ledger.place_question(session, person_id, first.conversation_id, None)
        beside = ledger.place_sibling(session, person_id, first.reply_id)
        root = ledger.place_question(session, person_id, first.conversation_id, first.conversation_id)
    assert (place.parent_id, place.turns) == (first.reply_id, [Turn("user", "Hi"), Turn("assistant", "Hello")])
    assert (beside.question_id, beside.turns) == (first.question_id, [Turn("user", "Hi")])
    assert (root.parent_id, root.turns) == (None, [])


def test_another_branch_is_not_part_of_the_thread(database: Database, person_id: UUID) -> None:
    first = enter(database, plan(person_id))
    end(database, first, "One")
    with database.read() as session:
        beside = ledger.place_sibling(session, person_id, first.reply_id)
    second = enter(database, plan(person_id, place=beside, asked=[], key="again"))
    end(database, second, "Two")
    with database.read() as session:
        place = ledger.place_question(session, person_id, first.conversation_id, first.reply_id)
        newest = ledger.place_question(session, person_id, first.conversation_id, None)
    assert [turn.content for turn in place.turns] == ["Hi", "One"]
    assert [turn.content for turn in newest.turns] == ["Hi", "Two"]
    assert second.question_id == first.question_id


def test_a_failed_reply_leaves_no_gap_between_the_turns() -> None:
    turns = [Turn("user", "One"), Turn("assistant", ""), Turn("user", "Two"), Turn("assistant", "Yes")]
    assert ledger.alternating(turns) == [Turn("user", "One\n\nTwo"), Turn("assistant", "Yes")]


@pytest.mark.parametrize("missing", ["conversation", "parent"])
def test_a_place_that_is_not_ones_own_is_not_found(database: Database, person_id: UUID, missing: str) -> None:
    with database.write() as session:
        stranger = people.add(session, "Bob").id
    entry = enter(database, plan(stranger))
    with database.read() as session, pytest.raises(NotFound):
        if missing == "conversation":
            ledger.place_question(session, person_id, entry.conversation_id, None)
        else:
            ledger.place_question(session, stranger, entry.conversation_id, uuid4())
