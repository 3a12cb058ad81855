"""What a row of each format says: a conversation, its reply, and what somebody thought of that reply.

Our own formats are those that `exports` writes, with TRL's column names. From elsewhere come Open WebUI's feedback
(its JSON of all evaluations), OASST's trees and ShareGPT's conversations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from backtalk.opinions import Judgement
from backtalk.tables import Json

Source = Literal["preference", "unpaired", "demonstrations", "ledger", "open-webui", "oasst", "sharegpt"]
Text = Annotated[str, Field(min_length=1, max_length=32 * 1024)]


class FormatError(ValueError):
    """A row is whole, but does not say what its format should; the message says what was found."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply to a conversation, and what somebody thought of it."""

    who: str
    """Tells the people of one file apart; empty where it does not say."""
    prompt: "Sequence[Said]"
    reply: str
    judgement: Judgement


class Said(BaseModel):
    """One turn, as `datasets` and chat templates write it."""

    role: Literal["system", "user", "assistant"]
    content: Text


class PreferenceRow(BaseModel):
    """A better and a worse reply."""

    prompt: list[Said] | Text
    chosen: list[Said] | Text
    rejected: list[Said] | Text


class UnpairedRow(BaseModel):
    """A reply, and whether it was liked."""

    prompt: list[Said] | Text
    completion: list[Said] | Text
    label: bool


class DemonstrationRow(BaseModel):
    """A conversation that ended as it should."""

    messages: Annotated[list[Said], Field(min_length=2)]


class LedgerRow(BaseModel):
    """An opinion with its person and its reply; what else a ledger holds is not needed here."""

    person_id: str
    prompt: list[Said]
    reply: Text
    rating: Literal[1, -1] | None = None
    rewrite: str | None = None
    labels: list[dict[str, Any]] = Field(default_factory=list)
    reasons: list[str] = Field(default_factory=list)
    note: str | None = None


class Thumb(BaseModel):
    """What Open WebUI keeps of a rating."""

    rating: int | None = None
    reason: str | None = None
    comment: str | None = None


class About(BaseModel):
    """Which message an evaluation is about."""

    message_id: str


class Node(BaseModel):
    """A message in an Open WebUI chat."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | list[dict[str, Any]] | None = None
    parentId: str | None = None  # as it is spelt there


class OpenWebUIRow(BaseModel):
    """One evaluation, with the chat as it was then."""

    user_id: str = ""
    data: Thumb
    meta: About
    snapshot: Json | None = None


class Labels(BaseModel):
    """What OASST's labelling found, each from 0 to 1."""

    name: list[str]
    value: list[float]


class Post(BaseModel):
    """A message in an OASST tree, with all that followed it."""

    text: Text
    role: Literal["prompter", "assistant"]
    rank: int | None = None
    deleted: bool = False
    labels: Labels | dict[str, Any] | None = None
    replies: "list[Post]" = Field(default_factory=list)


class OasstRow(BaseModel):
    """A tree."""

    prompt: Post


class Spoken(BaseModel):
    """A turn, as ShareGPT writes it."""

    speaker: str = Field(alias="from")
    value: str


class ShareGptRow(BaseModel):
    """A conversation that somebody thought worth sharing."""

    conversations: list[Spoken]


def heard(form: Source, row: Json) -> Iterator[Heard]:
    """What a row says; one that says nothing of use yields nothing.

    Raises:
        ValidationError: it has not the columns of its format.
        FormatError: it has, and they do not fit each other.
    """
    match form:
        case "unpaired":
            rated = UnpairedRow.model_validate(row)
            rating: Literal[1, -1] = 1 if rated.label else -1
            yield Heard("", _turns(rated.prompt), _text(rated.completion), Judgement(rating=rating))
        case "preference":
            pair = PreferenceRow.model_validate(row)
            yield _pair(_turns(pair.prompt), _text(pair.chosen), _text(pair.rejected))
        case "demonstrations":
            shown = DemonstrationRow.model_validate(row).messages
            yield Heard("", shown[:-1], shown[-1].content, Judgement(rating=1))
        case "ledger":
            kept = LedgerRow.model_validate(row)
            labels = {str(label["aspect"]): label["score"] for label in kept.labels}
            judgement = Judgement(
                rating=kept.rating, rewrite=kept.rewrite, labels=labels, reasons=kept.reasons, note=kept.note
            )
            yield Heard(kept.person_id, kept.prompt, kept.reply, judgement)
        case "open-webui":
            yield from _evaluation(OpenWebUIRow.model_validate(row))
        case "oasst":
            yield from _tree(OasstRow.model_validate(row).prompt, [])
        case "sharegpt":
            yield from _shared(ShareGptRow.model_validate(row))


def _evaluation(row: OpenWebUIRow) -> Iterator[Heard]:
    """A thumb with its comment; a neutral one, and one whose chat was not kept, say nothing."""
    if row.data.rating not in (1, -1) or not row.snapshot:
        return
    chat = row.snapshot.get("chat") or {}
    history = (chat.get("chat") or chat).get("history") or {}
    nodes = {str(id): Node.model_validate(node) for id, node in (history.get("messages") or {}).items()}
    if row.meta.message_id not in nodes:
        raise FormatError(f"the snapshot holds no message {row.meta.message_id!r}, which was rated")
    turns: list[Said] = []
    at: str | None = row.meta.message_id
    while at is not None and at in nodes and len(turns) <= len(nodes):
        node = nodes[at]
        text = node.content if isinstance(node.content, str) else _parts(node.content or [])
        if node.role in ("system", "user", "assistant") and text.strip():
            turns.append(Said.model_validate({"role": node.role, "content": text}))
        at = node.parentId
    if not turns or turns[0].role != "assistant":
        raise FormatError(f"the rated message {row.meta.message_id!r} is not a reply with a text")
    note = "\n".join(filter(None, (row.data.reason, row.data.comment))) or None
    rating: Literal[1, -1] = 1 if row.data.rating == 1 else -1
    yield Heard(row.user_id, turns[:0:-1], turns[0].content, Judgement(rating=rating, note=note))


def _parts(parts: Sequence[dict[str, Any]]) -> str:
    return "".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")


def _tree(post: Post, before: list[Said]) -> Iterator[Heard]:
    """Of ranked siblings the best is preferred to each of the others; labelled quality becomes a score."""
    here = [*before, Said(role="user" if post.role == "prompter" else "assistant", content=post.text)]
    replies = [reply for reply in post.replies if not reply.deleted]
    if post.role == "prompter":
        ranked = sorted((reply for reply in replies if reply.rank is not None), key=lambda reply: reply.rank or 0)
        for worse in ranked[1:]:
            yield _pair(here, ranked[0].text, worse.text, _quality(worse))
        for reply in replies:
            quality = _quality(reply)
            if quality and (reply not in ranked[1:]):
                yield Heard("", here, reply.text, Judgement(labels=quality))
    for reply in replies:
        yield from _tree(reply, here)


def _quality(post: Post) -> dict[str, int]:
    """OASST's share of 0 to 1 as our score of 1 to 5; the trees come with either spelling of their labels."""
    if isinstance(post.labels, Labels):
        found = dict(zip(post.labels.name, post.labels.value, strict=False)).get("quality")
    else:
        found = ((post.labels or {}).get("quality") or {}).get("value")
    return {} if found is None else {"quality": 1 + round(4 * min(1.0, max(0.0, float(found))))}


def _shared(row: ShareGptRow) -> Iterator[Heard]:
    """Each of its conversations ends as it should."""
    roles = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
    turns = []
    for spoken in row.conversations:
        if spoken.speaker not in roles:
            raise FormatError(f"a turn is from {spoken.speaker!r}; expected one of {', '.join(roles)}")
        turns.append(Said.model_validate({"role": roles[spoken.speaker], "content": spoken.value}))
    while turns and turns[-1].role != "assistant":
        turns.pop()
    if len(turns) < 2:
        return
    yield Heard("", turns[:-1], turns[-1].content, Judgement(rating=1))


def _pair(prompt: Sequence[Said], chosen: str, rejected: str, labels: dict[str, int] | None = None) -> Heard:
    """A better and a worse reply: the worse one, with the better as its rewrite."""
    return Heard("", prompt, rejected, Judgement(rating=-1, rewrite=chosen, labels=labels or {}))


def _turns(prompt: list[Said] | str) -> list[Said]:
    return [Said(role="user", content=prompt)] if isinstance(prompt, str) else prompt


def _text(reply: list[Said] | str) -> str:
    if isinstance(reply, str):
        return reply
    if len(reply) != 1 or reply[0].role != "assistant":
        raise FormatError("a reply must be one turn of the assistant")
    return reply[0].content
