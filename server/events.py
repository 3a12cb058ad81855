"""The words of the chat socket (contract §4), told apart by `type`; the client's types say the same in TypeScript."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from backtalk.engine.sampling import Sampling
from server.errors import TooLong
from server.limits import MESSAGE_BYTES

State = Literal["streaming", "done", "stopped", "failed"]
EndState = Literal["done", "stopped", "failed"]
FinishReason = Literal["stop", "length", "stopped", "error"]
RefusedCode = Literal["bad_request", "too_long", "rate_limited", "busy", "not_found", "unauthorised", "storage"]
NoticeKind = Literal["policy_live", "engine_restarting", "engine_ready", "conversation_titled"]


def whole_text(text: str) -> str:
    """Text that every database and tokenizer can hold.

    Raises:
        ValueError: it holds a half of a surrogate pair, or a null character.
    """
    if "\x00" in text:
        raise ValueError("the text holds a null character; leave it out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds half a character (a lone surrogate); send whole ones")
    return text


def message_text(text: str) -> str:
    """What a person may say: whole text, not empty, not over the limit.

    Raises:
        ValueError: it is empty or broken.
        TooLong: it is over the limit.
    """
    if not whole_text(text).strip():
        raise ValueError("the message is empty; say something")
    size = len(text.encode())
    if size > MESSAGE_BYTES:
        raise TooLong(f"the message has {size} bytes; at most {MESSAGE_BYTES} are allowed, so send it in parts")
    return text


Key = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(whole_text)]


class Word(BaseModel):
    """Base of all words: exact, and never changed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# Client to server --------------------------------------------------------------------------------------------------


class SamplingWish(Word):
    """How a reply shall be drawn; what is left out is the operator's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None

    def over(self, default: Sampling) -> Sampling:
        """The default with this wish's fields in place of its own.

        Raises:
            InvalidSampling: naming the field, what was found and what is allowed.
        """
        wish = self.model_dump(exclude_none=True)
        if isinstance(wish.get("stop"), str):
            wish["stop"] = [wish["stop"]]
        return Sampling.from_dict({**default.to_dict(), **wish})


class Say(Word):
    """A message to the model."""

    type: Literal["say"]
    key: Key
    conversation_id: UUID | None = None
    parent_id: UUID | None = None
    text: Annotated[str, AfterValidator(message_text)]
    sampling: SamplingWish | None = None


class Regenerate(Word):
    """Another reply to the same question."""

    type: Literal["regenerate"]
    key: Key
    reply_id: UUID
    sampling: SamplingWish | None = None


class Continue(Word):
    """Let a reply that was cut off go on: another reply to the same question, which begins with what that one said."""

    type: Literal["continue"]
    key: Key
    reply_id: UUID
    max_tokens: int | None = Field(None, ge=1)
    """How many more; None: the operator's default."""


class Stop(Word):
    """End a reply now."""

    type: Literal["stop"]
    reply_id: UUID


class Follow(Word):
    """Tell me everything of a reply after the last number I saw."""

    type: Literal["follow"]
    reply_id: UUID
    after: int = Field(ge=0)


class Ping(Word):
    """Are you there? A page cannot see that a connection has died without a word, as it does while a laptop sleeps."""

    type: Literal["ping"]


ChatRequest = Annotated[Say | Regenerate | Continue | Stop | Follow | Ping, Field(discriminator="type")]
chat_request: TypeAdapter[Say | Regenerate | Continue | Stop | Follow | Ping] = TypeAdapter(ChatRequest)


# Server to client --------------------------------------------------------------------------------------------------


class Usage(Word):
    """How many tokens went in and came out."""

    prompt_tokens: int
    completion_tokens: int


class Started(Word):
    """The question is durably stored, and this reply is under way."""

    type: Literal["started"] = "started"
    key: str
    conversation_id: UUID
    question_id: UUID
    reply_id: UUID
    policy_version: int


class Delta(Word):
    """The next piece of a reply: whole characters, durably stored, numbered without holes."""

    type: Literal["delta"] = "delta"
    reply_id: UUID
    seq: int
    text: str


class Ended(Word):
    """The whole reply is durably stored. `seq` is one past the last delta's."""

    type: Literal["ended"] = "ended"
    reply_id: UUID
    seq: int
    state: EndState
    finish_reason: FinishReason
    usage: Usage


class Refused(Word):
    """What was asked is not done; `retry_after` is in seconds."""

    type: Literal["refused"] = "refused"
    key: str | None
    code: RefusedCode
    message: str
    retry_after: float | None = None


class Notice(Word):
    """Something that concerns everybody; `conversation_titled` only whoever has the conversation."""

    type: Literal["notice"] = "notice"
    kind: NoticeKind
    policy_version: int | None


class Pong(Word):
    """Here I am: the answer to `ping`."""

    type: Literal["pong"] = "pong"


class Changed(Word):
    """This conversation of yours looks otherwise now: on another page something was asked in it or an opinion given, or
    it was named, put away, shared or deleted. Said to sockets that were opened for it."""

    type: Literal["changed"] = "changed"
    conversation_id: UUID


ReplyEvent = Delta | Ended
ChatEvent = Annotated[Started | Delta | Ended | Refused | Notice | Pong | Changed, Field(discriminator="type")]
