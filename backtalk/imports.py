"""Opinions from elsewhere, entered as if they had been given here: conversations, replies and what was thought of them.

Reads what `exports` writes, what others write under the same column names, and what comes from Open WebUI, OASST and
ShareGPT (`formats`). Imported replies have tokens, rendered by the live version's template, but no log-probs: nobody
here has drawn them, so they never enter a policy gradient.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from pydantic import ValidationError
from sqlmodel import Session, select

from backtalk import opinions, people
from backtalk.formats import FormatError, Said, Source, heard
from backtalk.opinions import Judgement
from backtalk.tables import Conversation, Json, Message, Person, Reply, now
from backtalk.template import Template, TemplateError, Turn

ENGINE = "import"


class BadRow(ValueError):
    """A row cannot be taken; the message names the line, what was found and what was expected. Nothing was kept."""


def take_in(session: Session, form: Source, source: Path, template: Template, version: int) -> int:
    """Enter every row of a file in the caller's transaction; returns how many opinions it brought.

    The file's ending says how it is written: `.json` is one list, `.parquet` a table, all else JSON lines.
    The operator who imports vouches for the consent of the people behind the file.

    Args:
        template: of the live version.
        version: its number; imported replies stand under it.

    Raises:
        BadRow: a row does not fit; the caller's transaction must not commit.
    """
    desk = _Desk(session, template, version, source.stem)
    count = 0
    for place, row in _rows(source):
        try:
            for one in heard(form, row):
                desk.enter(one.who, one.prompt, one.reply, one.judgement)
                count += 1
        except (ValidationError, FormatError, TemplateError, opinions.OpinionError) as error:
            raise BadRow(f"{place}: {_first_words(error)}; nothing was imported") from error
    return count


class _Desk:
    """Writes conversations down under the people they came from."""

    def __init__(self, session: Session, template: Template, version: int, source: str) -> None:
        self._session = session
        self._template = template
        self._version = version
        self._source = source
        self._people: dict[str, Person] = {}

    def enter(self, who: str, prompt: Sequence[Said], reply: str, said: Judgement) -> None:
        """Keep a conversation that ends with `reply`, and what this person thought of that reply."""
        person = self._person(who)
        turns = list(prompt)
        if not turns or turns[-1].role != "user":
            raise TemplateError("the prompt does not end with a question of the user")
        talk = Conversation(person_id=person.id, title=turns[-1].content[:80], message_count=len(turns) + 1)
        self._session.add(talk)
        self._session.flush()
        before = None
        for position, turn in enumerate([*turns, Said(role="assistant", content=reply)]):
            message = Message(
                id=uuid4(),
                conversation_id=talk.id,
                person_id=person.id,
                parent_id=before,
                position=position,
                role=turn.role,
                content=turn.content,
                ended_at=now(),
            )
            self._session.add(message)
            self._session.flush()
            before = message.id
        assert before is not None  # there is a reply at least
        prompt_tokens = self._template.render([Turn(turn.role, turn.content) for turn in turns])
        reply_tokens = self._template.reply(reply)
        if len(prompt_tokens) + len(reply_tokens) > self._template.context:
            raise TemplateError(
                f"the conversation has {len(prompt_tokens) + len(reply_tokens)} tokens; "
                f"the live version takes {self._template.context}"
            )
        self._session.add(
            Reply(
                id=before,
                policy_version=self._version,
                seed=0,
                template_digest=self._template.digest,
                engine=ENGINE,
                prompt=np.array(prompt_tokens, "<i4").tobytes(),
                tokens=np.array(reply_tokens, "<i4").tobytes(),
                finish_reason="stop",
                prompt_tokens=len(prompt_tokens),
                completion_tokens=len(reply_tokens),
            )
        )
        self._session.flush()
        opinions.judge(self._session, person.id, before, said)

    def _person(self, who: str) -> Person:
        if who not in self._people:
            name = f"imported {self._source} {who}".strip()[: people.NAME_LENGTH]
            person = self._session.exec(select(Person).where(Person.name == name)).first()
            if person is None:
                person = people.add(self._session, name)
                person.consent_train, person.consent_at = True, now()
                self._session.add(person)
            self._people[who] = person
        return self._people[who]


def _rows(source: Path) -> Iterator[tuple[str, Json]]:
    """Each row with the words for where it stands."""
    match source.suffix:
        case ".parquet":
            yield from _parquet_rows(source)
        case ".json":
            yield from _json_rows(source)
        case _:
            yield from _json_lines(source)


def _json_lines(source: Path) -> Iterator[tuple[str, Json]]:
    with source.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            place = f"{source.name} line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadRow(f"{place} is no JSON ({error}); nothing was imported") from error
            yield place, _object(place, row)


def _json_rows(source: Path) -> Iterator[tuple[str, Json]]:
    try:
        rows = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRow(f"{source.name} is no JSON ({error}); nothing was imported") from error
    if not isinstance(rows, list):
        raise BadRow(f"{source.name} holds a {type(rows).__name__}; expected a list of rows; nothing was imported")
    for number, row in enumerate(rows, start=1):
        place = f"{source.name} row {number}"
        yield place, _object(place, row)


def _parquet_rows(source: Path) -> Iterator[tuple[str, Json]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadRow("parquet needs pyarrow, which is not installed; `pip install pyarrow`, or give JSON") from error
    try:
        rows = pyarrow.parquet.read_table(source).to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise BadRow(f"{source.name} is no parquet file ({error}); nothing was imported") from error
    for number, row in enumerate(rows, start=1):
        yield f"{source.name} row {number}", row


def _object(place: str, row: object) -> Json:
    if not isinstance(row, dict):
        raise BadRow(f"{place} is no object; nothing was imported")
    return row


def _first_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
