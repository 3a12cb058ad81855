"""Opinions that leave and come back: formats others read, consent asked of everybody."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlmodel import Session, select

from backtalk import exports, imports, people, policies
from backtalk.database import Database
from backtalk.exports import Format
from backtalk.formats import Source
from backtalk.opinions import ComparisonIn, Judgement, compare, judge
from backtalk.settings import Settings
from backtalk.tables import Conversation, Message, Opinion, Person, Reply
from backtalk.template import Template


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path / "data")
    settings.prepare()
    return settings


@pytest.fixture
def database(settings: Settings) -> Database:
    database = Database(settings.database)
    database.migrate()
    policies.ensure_first(database, settings)
    return database


@pytest.fixture
def template(settings: Settings, database: Database) -> Template:
    with database.read() as session:
        live = policies.live(session)
    assert live is not None
    return Template(settings.weights_dir / live.directory)


def person(session: Session, name: str, consent: bool | None = True) -> Person:
    made = people.add(session, name)
    made.consent_train = consent
    return made


def ask(session: Session, who: Person, question: str, *replies: str) -> list[UUID]:
    """A conversation with one question and several replies to it."""
    talk = Conversation(person_id=who.id)
    session.add(talk)
    session.flush()
    asked = Message(conversation_id=talk.id, person_id=who.id, position=0, role="user", content=question)
    session.add(asked)
    session.flush()
    made = []
    for position, text in enumerate(replies, start=1):
        reply = Message(
            id=uuid4(),
            conversation_id=talk.id,
            person_id=who.id,
            parent_id=asked.id,
            position=position,
            role="assistant",
            content=text,
        )
        session.add(reply)
        session.flush()
        session.add(
            Reply(
                id=reply.id,
                policy_version=0,
                seed=7,
                template_digest="x",
                engine="local",
                sampling={"temperature": 0.6},
                prompt=np.array([1, 2], "<i4").tobytes(),
                tokens=np.array([3, 4], "<i4").tobytes(),
                logprobs=np.array([-0.5, -0.25], "<f4").tobytes(),
                finish_reason="stop",
            )
        )
        made.append(reply.id)
    session.flush()
    return made


def exported(database: Database, form: Format, directory: Path) -> list[dict[str, Any]]:
    path = directory / f"{form}.jsonl"
    with database.read() as session:
        exports.export(session, form, path)
    return [json.loads(line) for line in path.read_text().splitlines()]


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_a_rewrite_is_preferred_to_its_reply_and_shows_how_it_should_be(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        ada = person(session, "ada")
        (reply,) = ask(session, ada, "Hi", "Go away.")
        judge(session, ada.id, reply, Judgement(rating=-1, rewrite="Hello!"))
    assert exported(database, "preference", tmp_path) == [
        {"prompt": asked("Hi"), "chosen": said("Hello!"), "rejected": said("Go away.")}
    ]
    assert exported(database, "demonstrations", tmp_path) == [{"messages": asked("Hi") + said("Hello!")}]
    assert exported(database, "unpaired", tmp_path) == [
        {"prompt": asked("Hi"), "completion": said("Go away."), "label": False}
    ]


def test_liked_siblings_and_comparisons_make_pairs(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        ada = person(session, "ada")
        good, bad = ask(session, ada, "Hi", "Hello!", "Go away.")
        judge(session, ada.id, good, Judgement(rating=1))
        judge(session, ada.id, bad, Judgement(rating=-1))
        left, right, tie = ask(session, ada, "Bye", "So what.", "Goodbye!", "Bye!")
        compare(session, ada.id, ComparisonIn(key="1", left_id=left, right_id=right, verdict="right"))
        compare(session, ada.id, ComparisonIn(key="2", left_id=right, right_id=tie, verdict="tie"))
    pairs = exported(database, "preference", tmp_path)
    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [
        (said("Hello!"), said("Go away.")),
        (said("Goodbye!"), said("So what.")),
    ]


def test_the_ledger_holds_tokens_and_log_probs_as_sampled(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        ada = person(session, "ada")
        (reply,) = ask(session, ada, "Hi", "Hello!")
        judge(session, ada.id, reply, Judgement(rating=1, labels={"quality": 5}))
    (row,) = exported(database, "ledger", tmp_path)
    assert (row["prompt_tokens"], row["tokens"], row["logprobs"]) == ([1, 2], [3, 4], [-0.5, -0.25])
    assert (row["policy_version"], row["seed"], row["labels"]) == (0, 7, [{"aspect": "quality", "score": 5}])


@pytest.mark.parametrize("form", list(exports.FORMATS))
@pytest.mark.parametrize("consent", [None, False])
def test_nothing_of_people_who_did_not_say_yes_leaves(
    database: Database, tmp_path: Path, form: Format, consent: bool | None
) -> None:
    with database.write() as session:
        ada = person(session, "ada", consent)
        one, two = ask(session, ada, "Hi", "Hello!", "Go away.")
        judge(session, ada.id, one, Judgement(rating=1, rewrite="Hey!"))
        compare(session, ada.id, ComparisonIn(key="1", left_id=one, right_id=two, verdict="left"))
    assert exported(database, form, tmp_path) == []


@pytest.mark.parametrize("form", list(exports.FORMATS))
def test_a_conversation_kept_out_of_training_stays(database: Database, tmp_path: Path, form: Format) -> None:
    with database.write() as session:
        ada = person(session, "ada")
        one, two = ask(session, ada, "Hi", "Hello!", "Go away.")
        judge(session, ada.id, one, Judgement(rating=1, rewrite="Hey!"))
        compare(session, ada.id, ComparisonIn(key="1", left_id=one, right_id=two, verdict="left"))
        session.get_one(Conversation, session.get_one(Message, one).conversation_id).train = False
    assert exported(database, form, tmp_path) == []


@pytest.mark.parametrize("field", ["withdrawn", "excluded"])
def test_what_was_withdrawn_or_excluded_stays(database: Database, tmp_path: Path, field: str) -> None:
    with database.write() as session:
        ada = person(session, "ada")
        (reply,) = ask(session, ada, "Hi", "Hello!")
        setattr(judge(session, ada.id, reply, Judgement(rating=1)), field, True)
    assert exported(database, "unpaired", tmp_path) == []


def test_an_unknown_ending_is_refused_and_a_failed_export_leaves_no_file(database: Database, tmp_path: Path) -> None:
    with database.read() as session, pytest.raises(exports.ExportError, match=r"expected \.jsonl or \.parquet"):
        exports.export(session, "ledger", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("form", ["preference", "unpaired", "ledger"])
def test_what_was_exported_comes_back_the_same(
    database: Database, template: Template, tmp_path: Path, form: Format
) -> None:
    with database.write() as session:
        ada = person(session, "ada")
        (reply,) = ask(session, ada, "你好 <|end|>", "Go away.")
        judge(
            session, ada.id, reply, Judgement(rating=-1, rewrite="你好！", labels={"fluency": 2}, reasons=["bad_tone"])
        )
    before = exported(database, form, tmp_path)
    with database.write() as session:
        assert imports.take_in(session, form, tmp_path / f"{form}.jsonl", template, 0) == 1
    again = exported(database, form, tmp_path)
    assert len(again) == 2
    kept = [name for name in before[0] if name not in _OF_THIS_PLACE]
    assert [again[1 - again.index(before[0])][name] for name in kept] == [before[0][name] for name in kept]


_OF_THIS_PLACE = {
    *("opinion_id", "person_id", "message_id", "conversation_id", "given_at", "engine", "sampling", "seed"),
    *("template_digest", "prompt_tokens", "tokens", "logprobs"),
}


def test_imported_replies_have_the_tokens_that_the_live_version_would_read(
    database: Database, template: Template, tmp_path: Path
) -> None:
    source = tmp_path / "thumbs.jsonl"
    source.write_text('{"prompt": "Hi", "completion": "Hello!", "label": true}\n')
    with database.write() as session:
        imports.take_in(session, "unpaired", source, template, 0)
    with database.read() as session:
        reply = session.exec(select(Reply)).one()
        owner = session.exec(select(Person)).one()
    assert np.frombuffer(reply.tokens, "<i4").tolist() == template.reply("Hello!")
    assert reply.engine == "import"
    assert owner.consent_train is True


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"prompt": "Hi", "completion": "Hello!"}',
        '{"prompt": [], "completion": "Hello!", "label": true}',
        '{"prompt": "Hi", "completion": "", "label": true}',
        '{"prompt": "Hi", "completion": [{"role": "user", "content": "x"}], "label": true}',
    ],
)
def test_one_bad_row_takes_the_whole_file_back(
    database: Database, template: Template, tmp_path: Path, line: str
) -> None:
    source = tmp_path / "thumbs.jsonl"
    source.write_text('{"prompt": "Hi", "completion": "Hello!", "label": true}\n' + line + "\n")
    with pytest.raises(imports.BadRow, match=r"thumbs\.jsonl line 2"), database.write() as session:
        imports.take_in(session, "unpaired", source, template, 0)
    with database.read() as session:
        assert session.exec(select(Opinion)).all() == []


def taken(database: Database, template: Template, source: Path, form: Source) -> list[tuple[str, Opinion]]:
    """Import a file; each opinion with the reply that it is about."""
    with database.write() as session:
        count = imports.take_in(session, form, source, template, 0)
    with database.read() as session:
        found = session.exec(select(Message, Opinion).where(Opinion.message_id == Message.id)).all()
    assert len(found) == count
    return sorted(((message.content, opinion) for message, opinion in found), key=lambda one: one[0])


def test_thumbs_given_in_open_webui_come_in_with_their_thread_person_and_words(
    database: Database, template: Template, tmp_path: Path
) -> None:
    messages = {
        "q": {"id": "q", "parentId": None, "childrenIds": ["a", "b"], "role": "user", "content": "What is 2+2?"},
        "a": {"id": "a", "parentId": "q", "childrenIds": ["r"], "role": "assistant", "content": "5"},
        "b": {"id": "b", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "4"},
        "r": {"id": "r", "parentId": "a", "childrenIds": ["c"], "role": "user", "content": "Sure?"},
        "c": {"id": "c", "parentId": "r", "childrenIds": [], "role": "assistant", "content": "Yes."},
    }
    snapshot = {"chat": {"id": "1", "title": "t", "chat": {"history": {"messages": messages, "currentId": "c"}}}}

    def rated(user: str, id: str, rating: int, **data: Any) -> dict[str, Any]:
        about = {"message_id": id, "chat_id": "1", "arena": False}
        return {
            **{"id": uuid4().hex, "user_id": user, "version": 0, "type": "rating", "meta": about},
            "data": {"rating": rating, "model_id": "m", **data},
            "snapshot": snapshot,
        }

    source = tmp_path / "feedback-history-export.json"
    rows = [
        rated("ada", "c", -1, reason="not_factually_correct", comment="It is four."),
        rated("bob", "b", 1),
        rated("bob", "a", 0),
        {**rated("bob", "a", 1), "snapshot": None},
    ]
    source.write_text(json.dumps(rows))
    (four, liked), (yes, disliked) = taken(database, template, source, "open-webui")
    assert (four, liked.rating, yes, disliked.rating) == ("4", 1, "Yes.", -1)
    assert disliked.note == "not_factually_correct\nIt is four." and liked.person_id != disliked.person_id
    thread = next(row["prompt"] for row in exported(database, "unpaired", tmp_path) if not row["label"])
    assert [turn["content"] for turn in thread] == ["What is 2+2?", "5", "Sure?"]


def test_ranked_siblings_of_an_oasst_tree_become_pairs_and_labels_scores(
    database: Database, template: Template, tmp_path: Path
) -> None:
    def post(role: str, text: str, *replies: Any, **more: Any) -> dict[str, Any]:
        return {"message_id": uuid4().hex, "role": role, "text": text, "replies": list(replies), **more}

    good = {"quality": {"value": 0.75, "count": 3}, "toxicity": {"value": 0.0, "count": 3}}
    tree = post(
        "prompter",
        "Hi",
        post("assistant", "Go away.", rank=2),
        post("assistant", "Hello!", post("prompter", "Bye", post("assistant", "Bye!")), rank=0, labels=good),
        post("assistant", "Yes?", rank=1),
        post("assistant", "spam", rank=3, deleted=True),
    )
    source = tmp_path / "trees.jsonl"
    source.write_text(json.dumps({"message_tree_id": "1", "tree_state": "ready_for_export", "prompt": tree}) + "\n")
    found = taken(database, template, source, "oasst")
    assert [(text, opinion.rewrite, opinion.labels) for text, opinion in found] == [
        ("Go away.", "Hello!", {}),
        ("Hello!", None, {"quality": 4}),
        ("Yes?", "Hello!", {}),
    ]


def test_a_sharegpt_conversation_is_a_liked_one(database: Database, template: Template, tmp_path: Path) -> None:
    source = tmp_path / "shared.json"
    turns = [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Hey!"},
    ]
    source.write_text(json.dumps([{"id": "1", "conversations": [*turns, {"from": "human", "value": "…"}]}]))
    ((text, opinion),) = taken(database, template, source, "sharegpt")
    assert (text, opinion.rating) == ("Hey!", 1)
    (row,) = exported(database, "unpaired", tmp_path)
    assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("form", "row", "words"),
    [
        ("open-webui", {"data": {"rating": 1}}, "meta"),
        (
            "open-webui",
            {"data": {"rating": 1}, "meta": {"message_id": "x"}, "snapshot": {"chat": {}}},
            "no message 'x'",
        ),
        ("oasst", {"prompt": {"text": "Hi", "role": "human"}}, "role"),
        ("sharegpt", {"conversations": [{"from": "tool", "value": "x"}]}, "'tool'"),
    ],
)
def test_a_row_from_elsewhere_that_does_not_fit_is_named(
    database: Database, template: Template, tmp_path: Path, form: Source, row: dict[str, Any], words: str
) -> None:
    source = tmp_path / "rows.json"
    source.write_text(json.dumps([row]))
    with pytest.raises(imports.BadRow, match=f"rows.json row 1.*{words}"), database.write() as session:
        imports.take_in(session, form, source, template, 0)


@pytest.mark.parametrize("form", ["preference", "unpaired", "ledger"])
def test_what_was_exported_as_parquet_comes_back_the_same(
    database: Database, template: Template, tmp_path: Path, form: Format
) -> None:
    pytest.importorskip("pyarrow", reason="parquet needs pyarrow: pip install pyarrow")
    with database.write() as session:
        ada = person(session, "ada")
        (reply,) = ask(session, ada, "你好", "Go away.")
        judge(session, ada.id, reply, Judgement(rating=-1, rewrite="你好！", labels={"fluency": 2}))
    before = exported(database, form, tmp_path)
    table = tmp_path / f"{form}.parquet"
    with database.read() as session:
        assert exports.export(session, form, table) == 1
    with database.write() as session:
        assert imports.take_in(session, form, table, template, 0) == 1
    again = exported(database, form, tmp_path)
    kept = [name for name in before[0] if name not in _OF_THIS_PLACE]
    assert all([row[name] for name in kept] == [before[0][name] for name in kept] for row in again)
