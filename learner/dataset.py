"""The snapshot of a run: which opinions it may learn from, as an immutable list, and what they say (rule R8).

Only people who said yes are read: whoever rates, and whoever the conversation belongs to. The list with a hash of every
row goes into `run_item`; consent is looked at once more in the transaction that publishes.
"""

import hashlib
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import numpy as np
from sqlmodel import Session, col, select

from backtalk import labelling
from backtalk import privacy as private
from backtalk.branch import branch
from backtalk.consent import is_settled, trains
from backtalk.privacy import Redactor, Rule
from backtalk.recipe import Data
from backtalk.tables import Comparison, Conversation, Json, Message, Opinion, Person, Reply, RunItem, RunPerson
from backtalk.template import Template, TooLong, Turn
from learner.examples import Demonstration, Examples, Pair, Score, Thumb
from learner.sequences import Exchange

FEW_PEOPLE = 5  # with fewer, nobody can be held out: questions are held out instead

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Logged:
    """A reply of the ledger. Read by distillation (any version) and PPO (the live version's)."""

    person: str  # or the unit that is held out in a person's place
    exchange: Exchange
    version: int
    logprobs: tuple[float, ...]
    temperature: float | None  # None where filters such as top-p were on: such log-probs are of another distribution
    ended: bool


@dataclass(frozen=True, slots=True)
class Siblings:
    """Two replies to one question, whether or not anybody has compared them."""

    left_id: UUID
    right_id: UUID
    left: Exchange
    right: Exchange


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one run learns from. Never changes."""

    items: tuple[RunItem, ...]
    examples: Examples
    replies: tuple[Logged, ...]  # newest first, rated or not
    siblings: tuple[Siblings, ...]  # newest first
    givers: tuple[RunPerson, ...]  # what each person gave, and what of it is used
    people: frozenset[UUID]  # whose consent all this stands on
    messages: frozenset[UUID]
    counts: Json
    split_by: str  # "person", or "question" where there are fewer than `FEW_PEOPLE` people

    @property
    def digest(self) -> str:
        """SHA-256 over the list: what exactly a version learned from."""
        lines = sorted(f"{i.kind} {i.item_id} {i.revision} {i.digest}" for i in self.items)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def hold_out(self, share: float, seed: str) -> frozenset[str]:
        """People (or questions) that only the gate sees: drawn at random until they gave `share` of the opinions.

        A person's turn depends on nobody else, so that a run which is taken up again draws as it did, whoever has said
        something meanwhile.
        """
        given = Counter(thumb.person for thumb in self.examples.thumbs)
        given.update(pair.person for pair in self.examples.pairs)
        given.update(score.person for score in self.examples.scores)
        order = sorted(given, key=lambda person: hashlib.sha256(f"{seed} {person}".encode()).digest())
        wanted, kept = share * given.total(), set[str]()
        for person in order:
            if sum(given[one] for one in kept) + given[person] / 2 > wanted:
                continue
            kept.add(person)
        return frozenset(kept)


def take_snapshot(
    session: Session, run_id: UUID, template: Template, recipe: Data, own: Sequence[Rule] = ()
) -> Snapshot:
    """Read everything a run may learn from, with placeholders for what is private in it; writes nothing.

    Args:
        own: an operator's own patterns of what is private.
    """
    consenting = set(session.exec(select(Person.id).where(*trains())))
    skipped: Counter[str] = Counter()
    barred = _barred(session, consenting, recipe)
    rated = _opinions(session, barred, skipped)
    compared = _comparisons(session, barred, skipped)
    capped = _cap([*rated, *compared], recipe)
    skipped["over the cap of one person"] += len(rated) + len(compared) - len(capped)
    opinions = [row for row in capped if isinstance(row, Opinion)]
    comparisons = [row for row in capped if isinstance(row, Comparison)]

    wanted = {opinion.message_id for opinion in opinions}
    wanted |= {id for comparison in comparisons for id in (comparison.left_id, comparison.right_id)}
    ledger = _ledger(session, consenting, template, wanted, recipe.replies, skipped, own)
    people = {row.person_id for row in capped}
    split_by = "person" if len(people) >= FEW_PEOPLE else "question"

    def unit(person: UUID, exchange: Exchange) -> str:
        if split_by == "person":
            return person.hex
        return hashlib.sha256(np.array(exchange.prompt, dtype="<i4").tobytes()).hexdigest()[:32]

    examples = Examples()
    items: list[RunItem] = []
    siblings: dict[tuple[UUID, UUID | None], list[tuple[Exchange, int]]] = defaultdict(list)
    for opinion in opinions:
        entry = ledger.get(opinion.message_id)
        if entry is None:
            continue
        exchange, who, giver = entry.exchange, unit(opinion.person_id, entry.exchange), opinion.person_id.hex
        if opinion.rating is not None:
            examples.thumbs.append(Thumb(who, exchange, opinion.rating > 0, giver=giver, at=opinion.created_at))
            siblings[opinion.person_id, entry.parent_id].append((exchange, opinion.rating))
        elif opinion.labels and (leaning := statistics.fmean(opinion.labels.values()) - 3):
            # Who only scored a reply still said whether it was good; half as clearly as a thumb.
            examples.thumbs.append(Thumb(who, exchange, leaning > 0, 0.5, giver, opinion.created_at))
        for aspect, points in opinion.labels.items():
            examples.scores.append(Score(who, exchange, aspect, float(points), giver))
        if opinion.rewrite and opinion.rewrite.strip():
            rewrite = entry.redact(opinion.rewrite.strip())
            tokens = tuple(template.reply(rewrite))
            if len(exchange.prompt) + len(tokens) <= template.context:
                better = Exchange(exchange.prompt, tokens, rewrite)
                examples.pairs.append(Pair(who, better, exchange, giver=giver))
                examples.demonstrations.append(Demonstration(who, better))
        items.append(_item(run_id, "opinion", opinion, opinion.revision, _said(opinion)))
    for (person, _), rated_replies in siblings.items():
        liked, disliked = ([e for e, rating in rated_replies if (rating > 0) == good] for good in (True, False))
        for better in liked:
            # Many thumbs on one question make many more pairs; together they weigh like as many thumbs.
            weight = 1 / max(len(liked), len(disliked), 1)
            who, others = unit(person, better), [worse for worse in disliked if worse != better]
            examples.pairs.extend(Pair(who, better, worse, 1.0, weight, person.hex) for worse in others)
    for comparison in comparisons:
        left, right = ledger.get(comparison.left_id), ledger.get(comparison.right_id)
        if left is None or right is None or left.exchange.prompt != right.exchange.prompt:
            skipped["comparison of replies to different questions"] += 1
            continue
        who, giver = unit(comparison.person_id, left.exchange), comparison.person_id.hex
        better, worse = left.exchange, right.exchange
        if comparison.verdict == "right":
            better, worse = worse, better
        if comparison.verdict == "neither":
            at = comparison.created_at
            examples.thumbs.extend(Thumb(who, exchange, False, 0.5, giver, at) for exchange in (better, worse))
        elif better != worse:
            target = 0.5 if comparison.verdict == "tie" else 1.0
            examples.pairs.append(Pair(who, better, worse, target, giver=giver))
        items.append(_item(run_id, "comparison", comparison, 1, {"verdict": comparison.verdict}))

    replies = [
        Logged(unit(e.person_id, e.exchange), e.exchange, e.version, e.logprobs, e.temperature, e.ended)
        for e in ledger.values()
    ]
    counts: Json = {
        "people": len(people),
        "opinions": len(items),
        **examples.counts,
        "replies": len(replies),
        "redacted": sum(bool(entry.redact.known) for entry in ledger.values()),
        "skipped": {reason: count for reason, count in skipped.items() if count},
    }
    owners = {entry.person_id for entry in ledger.values()}
    given = Counter(row.person_id for row in rated) + Counter(row.person_id for row in compared)
    used = Counter(item.person_id for item in items)
    return Snapshot(
        tuple(items),
        examples,
        tuple(replies),
        _siblings(ledger),
        tuple(RunPerson(run_id=run_id, person_id=who, given=given[who], used=used[who]) for who in sorted(used)),
        frozenset(people | owners),
        frozenset(ledger),
        counts,
        split_by,
    )


def lost_consent(session: Session, snapshot: Snapshot) -> int:
    """How many rows of the snapshot may not be used any more: erased, withdrawn, excluded, or of people who said no."""
    people = set[UUID]()
    for part in _parts(snapshot.people):
        wanted = select(Person.id).where(col(Person.id).in_(part), *trains())
        people.update(session.exec(wanted))
    kept = set[UUID]()
    for part in _parts({item.item_id for item in snapshot.items}):
        opinions = select(Opinion.id).where(col(Opinion.id).in_(part), ~col(Opinion.withdrawn), ~col(Opinion.excluded))
        kept.update(session.exec(opinions))
        kept.update(session.exec(select(Comparison.id).where(col(Comparison.id).in_(part), ~col(Comparison.excluded))))
    messages = set[UUID]()
    for part in _parts(snapshot.messages):
        kept_in = select(Message.id).join(Conversation, col(Conversation.id) == col(Message.conversation_id))
        messages.update(session.exec(kept_in.where(col(Message.id).in_(part), col(Conversation.train))))
    gone = sum(item.item_id not in kept or item.person_id not in people for item in snapshot.items)
    return gone or len(snapshot.people - people) + len(snapshot.messages - messages)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A reply with its ledger and its place in the conversation."""

    person_id: UUID
    parent_id: UUID | None
    exchange: Exchange
    version: int
    logprobs: tuple[float, ...]
    temperature: float | None
    ended: bool
    redact: Redactor  # with what it has replaced in this conversation


def _barred(session: Session, consenting: Collection[UUID], recipe: Data) -> Callable[[UUID], str | None]:
    """Tells why a person's opinions may not train; None where they may."""
    settled = set(session.exec(select(Person.id).where(is_settled(recipe.account_days))))
    unreliable = labelling.unreliable(session, recipe.minimum_gold)

    def why(person_id: UUID) -> str | None:
        if person_id not in consenting:
            return "no consent"
        if person_id not in settled:
            return "account too young"
        return "their giver answers gold items wrongly" if person_id in unreliable else None

    return why


def _opinions(session: Session, barred: Callable[[UUID], str | None], skipped: Counter[str]) -> list[Opinion]:
    found = []
    for opinion in session.exec(select(Opinion).where(~col(Opinion.withdrawn))):
        if opinion.excluded:
            skipped["excluded by an operator"] += 1
        elif (reason := barred(opinion.person_id)) is not None:
            skipped[reason] += 1
        elif opinion.rating is not None or opinion.rewrite or opinion.labels:
            found.append(opinion)
    return found


def _comparisons(session: Session, barred: Callable[[UUID], str | None], skipped: Counter[str]) -> list[Comparison]:
    found = []
    for comparison in session.exec(select(Comparison)):
        if comparison.excluded:
            skipped["excluded by an operator"] += 1
        elif (reason := barred(comparison.person_id)) is not None:
            skipped[reason] += 1
        else:
            found.append(comparison)
    return found


def _cap(rows: Sequence[Opinion | Comparison], recipe: Data) -> list[Opinion | Comparison]:
    """At most so many rows of one person, the newest: nobody alone decides what everybody gets (SEC-19)."""
    by_person: dict[UUID, list[Opinion | Comparison]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True):
        by_person[row.person_id].append(row)
    if not by_person:
        return []
    median = statistics.median(len(own) for own in by_person.values())
    most = max(recipe.cap, int(recipe.cap_factor * median))
    kept = [row for own in by_person.values() for row in own[:most]]
    return sorted(kept, key=lambda row: (row.created_at, row.id))


def _ledger(
    session: Session,
    consenting: Collection[UUID],
    template: Template,
    wanted: Collection[UUID],
    newest: int,
    skipped: Counter[str],
    own: Sequence[Rule],
) -> dict[UUID, _Entry]:
    """The wanted replies and the newest others, newest first."""
    pairs = select(Message, Reply).join(Reply, col(Reply.id) == col(Message.id))
    ended = pairs.where(col(Message.state).in_(("done", "stopped")))
    rows = {
        message.id: (message, reply)
        for message, reply in session.exec(
            ended.order_by(col(Message.created_at).desc(), col(Message.id)).limit(newest)
        )
    }
    for part in _parts(set(wanted) - set(rows)):
        rows |= {m.id: (m, r) for m, r in session.exec(ended.where(col(Message.id).in_(part)))}
    # A fixed order, whatever order a database gives its rows in: the same list trains the same version.
    ordered = sorted(rows.values(), key=lambda row: (row[0].created_at, row[0].id), reverse=True)
    kept_out = set(session.exec(select(Conversation.id).where(~col(Conversation.train))))
    entries: dict[UUID, _Entry] = {}
    for message, reply in ordered:
        tokens, asked_for = _integers(reply.tokens), message.id in wanted
        if message.person_id not in consenting:
            skipped["the conversation's owner has not consented"] += asked_for
        elif message.conversation_id in kept_out:
            skipped["the conversation's owner keeps it out"] += asked_for
        elif reply.template_digest != template.digest:
            skipped["written with another tokenizer or template"] += asked_for
        elif not tokens or not reply.prompt:
            skipped["empty reply"] += asked_for
        else:
            exchange, redact = Exchange(_integers(reply.prompt), tokens, message.content), Redactor(own)
            logprobs = tuple(np.frombuffer(reply.logprobs, dtype="<f4").tolist())
            if private.find(f"{template.text(exchange.prompt)}\n{message.content}", own):
                # Other tokens than those that were drawn: nobody knows how probable they were.
                logprobs = ()
                try:
                    exchange = _redacted(session, template, message, reply.finish_reason == "stop", redact)
                except TooLong:
                    skipped["too long with placeholders"] += asked_for
                    continue
            entries[message.id] = _Entry(
                message.person_id,
                message.parent_id,
                exchange,
                reply.policy_version,
                logprobs,
                _temperature(reply.sampling) if logprobs else None,
                reply.finish_reason == "stop",
                redact,
            )
    return entries


def _siblings(ledger: Mapping[UUID, _Entry]) -> tuple[Siblings, ...]:
    """Each reply beside the one before it to the same question."""
    newest: dict[UUID, tuple[UUID, Exchange]] = {}
    found = []
    for reply_id, entry in ledger.items():
        if entry.parent_id is None:
            continue
        later = newest.get(entry.parent_id)
        if later is not None and later[1].prompt == entry.exchange.prompt and later[1].text != entry.exchange.text:
            found.append(Siblings(reply_id, later[0], entry.exchange, later[1]))
        newest[entry.parent_id] = (reply_id, entry.exchange)
    return tuple(found)


def _redacted(session: Session, template: Template, message: Message, ended: bool, redact: Redactor) -> Exchange:
    """A reply and what led to it, rendered anew with placeholders.

    Raises:
        TooLong: the question alone does not fit.
    """
    kept = [Turn(said.role, redact(said.content)) for said in branch(session, message)[:-1] if said.content]
    text = redact(message.content)
    tokens = template.reply(text)
    if not ended:
        tokens = tokens[: len(tokens) - len(template.ends[:1])]
    return Exchange(tuple(template.fit(kept, template.context // 4)), tuple(tokens), text)


def _temperature(sampling: Json) -> float | None:
    off = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    plain = all(sampling.get(name, value) in (value, None) for name, value in off.items())
    return float(sampling.get("temperature", 1.0)) or None if plain else None


def _integers(stored: bytes) -> tuple[int, ...]:
    return tuple(np.frombuffer(stored, dtype="<i4").tolist())


def _said(opinion: Opinion) -> Json:
    return {
        "message": str(opinion.message_id),
        "rating": opinion.rating,
        "rewrite": opinion.rewrite,
        "labels": opinion.labels,
        "reasons": opinion.reasons,
    }


def _item(run_id: UUID, kind: str, row: Opinion | Comparison, revision: int, said: Json) -> RunItem:
    content = json.dumps(said, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return RunItem(run_id=run_id, kind=kind, item_id=row.id, person_id=row.person_id, revision=revision, digest=digest)


def _parts(ids: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Pieces small enough for one `IN (…)`."""
    rest = list(ids)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]
