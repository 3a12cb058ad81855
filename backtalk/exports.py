"""Opinions in the formats other trainers read, with the consent of everybody whose words are in them.

`preference` (prompt, chosen, rejected), `unpaired` (prompt, completion, label) and `demonstrations` (messages) load
with `datasets` and feed TRL's DPO, KTO and SFT trainers as they are, with placeholders for what is private in them;
`ledger` keeps all as it was, sampled tokens included.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Literal
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk.consent import consents, may_train
from backtalk.privacy import Redactor, Rule
from backtalk.tables import Comparison, Json, Message, Opinion, Reply

Format = Literal["preference", "unpaired", "demonstrations", "ledger"]
PARQUET_ROWS = 4096


class ExportError(ValueError):
    """The opinions cannot be written as asked; the message says why and what to do."""


def export(session: Session, form: Format, out: Path, own: Sequence[Rule] = ()) -> int:
    """Write opinions to `out` (`.jsonl` or `.parquet`), which appears whole or not at all; returns the number of rows.

    Args:
        own: an operator's own patterns of what is private.

    Raises:
        ExportError: the file's ending is unknown, or parquet is asked for where pyarrow is not installed.
    """
    write = _WRITERS.get(out.suffix)
    if write is None:
        raise ExportError(f"the file {out.name} ends in {out.suffix or 'nothing'}; expected .jsonl or .parquet")
    beside = out.with_name(f".{out.name}.part")
    try:
        count = write(beside, rows(session, form, own))
        beside.rename(out)
    finally:
        beside.unlink(missing_ok=True)
    return count


def rows(session: Session, form: Format, own: Sequence[Rule] = ()) -> Iterator[Json]:
    """All rows of a format, with placeholders for what is private; the ledger keeps everything as it was."""
    found = FORMATS[form](session)
    yield from found if form == "ledger" else (_redacted(row, own) for row in found)


def preference(session: Session) -> Iterator[Json]:
    """Pairs: a rewrite over its reply, the better of a comparison, a liked reply over a disliked sibling."""
    threads = Threads(session)
    siblings: dict[tuple[UUID, UUID | None], dict[int, list[Message]]] = defaultdict(lambda: defaultdict(list))
    for opinion, message in _opinions(session):
        if opinion.rewrite is not None:
            yield _pair(threads.before(message), opinion.rewrite, message.content)
        if opinion.rating is not None:
            siblings[opinion.person_id, message.parent_id][opinion.rating].append(message)
    for rated in siblings.values():
        for liked, disliked in product(rated[1], rated[-1]):
            yield _pair(threads.before(liked), liked.content, disliked.content)
    for comparison, left, right in _comparisons(session):
        better, worse = (left, right) if comparison.verdict == "left" else (right, left)
        yield _pair(threads.before(better), better.content, worse.content)


def unpaired(session: Session) -> Iterator[Json]:
    """Thumbs: a reply, and whether it was liked."""
    threads = Threads(session)
    for opinion, message in _opinions(session):
        if opinion.rating is not None:
            yield {
                "prompt": threads.before(message),
                "completion": [_turn("assistant", message.content)],
                "label": opinion.rating == 1,
            }


def demonstrations(session: Session) -> Iterator[Json]:
    """Rewrites, as the whole conversation they should have ended."""
    threads = Threads(session)
    for opinion, message in _opinions(session):
        if opinion.rewrite is not None:
            yield {"messages": [*threads.before(message), _turn("assistant", opinion.rewrite)]}


def ledger(session: Session) -> Iterator[Json]:
    """Every opinion with all that is known of its reply: tokens and behaviour log-probs exactly as sampled."""
    threads = Threads(session)
    for opinion, message in _opinions(session):
        reply = session.get(Reply, message.id)
        if reply is None:
            continue
        yield {
            "opinion_id": str(opinion.id),
            "person_id": str(opinion.person_id),
            "message_id": str(message.id),
            "conversation_id": str(message.conversation_id),
            "prompt": threads.before(message),
            "reply": message.content,
            "rating": opinion.rating,
            "rewrite": opinion.rewrite,
            "labels": [{"aspect": name, "score": score} for name, score in sorted(opinion.labels.items())],
            "reasons": opinion.reasons,
            "note": opinion.note,
            "revision": opinion.revision,
            "given_at": opinion.updated_at.isoformat(),
            "policy_version": reply.policy_version,
            "engine": reply.engine,
            "sampling": json.dumps(reply.sampling, sort_keys=True),
            "seed": reply.seed,
            "template_digest": reply.template_digest,
            "prompt_tokens": np.frombuffer(reply.prompt, "<i4").tolist(),
            "tokens": np.frombuffer(reply.tokens, "<i4").tolist(),
            "logprobs": np.frombuffer(reply.logprobs, "<f4").tolist(),
            "finish_reason": reply.finish_reason,
        }


FORMATS: dict[Format, Callable[[Session], Iterator[Json]]] = {
    "preference": preference,
    "unpaired": unpaired,
    "demonstrations": demonstrations,
    "ledger": ledger,
}


class Threads:
    """The turns that led to a reply; keeps the conversation it read last."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._conversation: UUID | None = None
        self._messages: dict[UUID, Message] = {}

    def before(self, message: Message) -> list[Json]:
        """The turns from the first question to the one that `message` answers."""
        if message.conversation_id != self._conversation:
            rows = self._session.exec(select(Message).where(Message.conversation_id == message.conversation_id))
            self._messages = {row.id: row for row in rows}
            self._conversation = message.conversation_id
        turns: list[Json] = []
        parent = message.parent_id
        while parent is not None:
            row = self._messages[parent]
            turns.append(_turn(row.role, row.content))
            parent = row.parent_id
        return turns[::-1]


def _opinions(session: Session) -> Iterator[tuple[Opinion, Message]]:
    yield from session.exec(
        select(Opinion, Message)
        .join(Message, col(Message.id) == col(Opinion.message_id))
        .where(
            ~col(Opinion.withdrawn),
            ~col(Opinion.excluded),
            consents(Opinion.person_id),
            may_train(Message),
        )
        .order_by(col(Message.conversation_id), col(Message.position), col(Opinion.id))
    )


def _comparisons(session: Session) -> Iterator[tuple[Comparison, Message, Message]]:
    left, right = sa.orm.aliased(Message), sa.orm.aliased(Message)
    yield from session.exec(
        select(Comparison, left, right)
        .join(left, col(left.id) == col(Comparison.left_id))
        .join(right, col(right.id) == col(Comparison.right_id))
        .where(
            col(Comparison.verdict).in_(("left", "right")),
            ~col(Comparison.excluded),
            consents(Comparison.person_id),
            may_train(left),
        )
        .order_by(col(left.conversation_id), col(left.position), col(Comparison.id))
    )


def _pair(prompt: list[Json], chosen: str, rejected: str) -> Json:
    return {"prompt": prompt, "chosen": [_turn("assistant", chosen)], "rejected": [_turn("assistant", rejected)]}


def _redacted(row: Json, own: Sequence[Rule]) -> Json:
    """The row's turns with placeholders, the same for the same value from the prompt to the last of them."""
    redact = Redactor(own)
    return {
        name: [{**turn, "content": redact(turn["content"])} for turn in value] if isinstance(value, list) else value
        for name, value in row.items()
    }


def _turn(role: str, content: str) -> Json:
    return {"role": role, "content": content}


def _write_jsonl(path: Path, rows: Iterator[Json]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterator[Json]) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ExportError(
            "parquet needs pyarrow, which is not installed; `pip install pyarrow`, or write a .jsonl file"
        ) from error
    all_rows = list(rows)  # a column's type is only known once every row has been seen
    table = pyarrow.Table.from_pylist(all_rows)
    pyarrow.parquet.write_table(table, path, row_group_size=PARQUET_ROWS)
    return len(all_rows)


_WRITERS: dict[str, Callable[[Path, Iterator[Json]], int]] = {".jsonl": _write_jsonl, ".parquet": _write_parquet}
