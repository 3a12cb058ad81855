"""Everything remembered: one table a thing, with the same names as the API and the page.

Rows are written in short transactions (`database.py`). Order among messages is the server's `position`, never a clock.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel
from typing_extensions import override

from backtalk.sealing import SealedBytes, SealedJson, SealedText

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Json = dict[str, Any]


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so they are put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class Row(SQLModel):
    """Base of all tables: `sqlmodel` keeps the metadata, we keep the names."""

    __tablename__: ClassVar[str]


# People ------------------------------------------------------------------------------------------------------------


class Person(Row, table=True):
    """Somebody who chats, rates or operates. Guests have no name and no password."""

    __tablename__ = "person"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str | None = Field(default=None, unique=True, max_length=128)
    password_hash: str | None = None
    role: str = "user"  # user | rater | operator | admin
    guest: bool = False
    language: str = "en"
    consent_train: bool | None = None  # None: not asked yet
    consent_at: datetime | None = Field(default=None, sa_type=Instant)
    excluded: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})  # nothing of theirs trains
    created_at: datetime = Field(default_factory=now, sa_type=Instant)


class Login(Row, table=True):
    """A session of a browser: only the SHA-256 of its secret is kept; deleting the row signs out."""

    __tablename__ = "login"
    digest: str = Field(primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    seen_at: datetime = Field(default_factory=now, sa_type=Instant)


class ApiKey(Row, table=True):
    """A key for programs: prefix to recognise it by, SHA-256 to check it against."""

    __tablename__ = "api_key"
    digest: str = Field(primary_key=True)
    prefix: str
    person_id: UUID = Field(foreign_key="person.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=Instant)


class OidcIdentity(Row, table=True):
    """Whom a provider of OpenID Connect means by a subject."""

    __tablename__ = "oidc_identity"
    issuer: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=Instant)


class EntranceRules(Row, table=True):
    """Who is let in, where no setting decides: one row, set by an admin."""

    __tablename__ = "entrance_rules"
    id: int = Field(default=1, primary_key=True)
    signup: str = "guest"  # guest | open | invite | closed
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


# Conversations -----------------------------------------------------------------------------------------------------


class Conversation(Row, table=True):
    """A tree of messages that belongs to one person."""

    __tablename__ = "conversation"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", index=True, ondelete="CASCADE")
    title: str = Field(default="", sa_type=SealedText("conversation.title"))
    titled_by: str = Field(default="words", sa_column_kwargs={"server_default": "words"})  # words | model | person
    archived: bool = False
    train: bool = Field(default=True, sa_column_kwargs={"server_default": sa.true()})  # false: nothing in it trains
    message_count: int = 0  # gives each message its position
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


class Share(Row, table=True):
    """A link by which anybody reads one branch of a conversation as it was then. What is said later is not in it."""

    __tablename__ = "share"
    token: str = Field(primary_key=True)  # 192 random bits: who has it may read
    conversation_id: UUID = Field(foreign_key="conversation.id", unique=True, ondelete="CASCADE")
    message_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")  # the last one shown
    created_at: datetime = Field(default_factory=now, sa_type=Instant)


class Message(Row, table=True):
    """A question (`user`) or a reply (`assistant`). The key is the client's, unique for a person (rule R2)."""

    __tablename__ = "message"
    __table_args__ = (
        sa.UniqueConstraint("person_id", "key"),
        sa.UniqueConstraint("conversation_id", "position"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    conversation_id: UUID = Field(foreign_key="conversation.id", ondelete="CASCADE")
    person_id: UUID = Field(foreign_key="person.id", ondelete="CASCADE")
    parent_id: UUID | None = Field(default=None, foreign_key="message.id", index=True, ondelete="CASCADE")
    position: int
    role: str  # user | assistant
    content: str = Field(default="", sa_type=SealedText("message.content"))
    state: str = Field(default="done", index=True)  # streaming | done | stopped | failed
    key: str | None = None
    request_digest: str | None = None  # of the whole request the key came with
    created_at: datetime = Field(default_factory=now, sa_type=Instant, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)


class Reply(Row, table=True):
    """The ledger of one reply: what was sampled, exactly, by which version (design §4). Shares the message's id.

    `prompt` and `tokens` are little-endian int32, `logprobs` and `delta_ends` float32 and int32: one entry a token,
    or a delta. They are whole once the reply has ended; until then its `delta` rows hold what was streamed.
    """

    __tablename__ = "reply"
    id: UUID = Field(primary_key=True, foreign_key="message.id", ondelete="CASCADE")
    policy_version: int = Field(foreign_key="policy.number", index=True)
    sampling: Json = Field(default_factory=dict, sa_type=sa.JSON)
    seed: int = Field(sa_type=sa.BigInteger)
    template_digest: str
    engine: str
    prompt: bytes = Field(sa_type=SealedBytes("reply.prompt"))
    tokens: bytes = Field(default=b"", sa_type=SealedBytes("reply.tokens"))
    logprobs: bytes = b""
    delta_ends: bytes = b""  # where each delta ends in `content`, in characters: for `follow`
    finish_reason: str | None = None  # stop | length | stopped | error
    prompt_tokens: int = 0
    completion_tokens: int = 0
    resumptions: int = 0  # how often in a row it was taken up again without getting any further
    server_id: UUID | None = None  # who writes it, or wrote it last
    stop_wanted: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})  # asked on another server
    traceparent: str | None = None  # the span of what asked for it (W3C Trace Context), if that was traced


class Server(Row, table=True):
    """A server at work on this database. The replies that it writes are its own for as long as this row is here.

    It renews the lease; once that has run out, any other server may remove the row and take the replies up.
    """

    __tablename__ = "server"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    host: str
    pid: int
    lease_until: datetime = Field(sa_type=Instant)


class Delta(Row, table=True):
    """A piece of a running reply, durable before anyone sees it (rule R3); folded into the reply when it ends."""

    __tablename__ = "delta"
    reply_id: UUID = Field(foreign_key="message.id", primary_key=True, ondelete="CASCADE")
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    text: str = Field(sa_type=SealedText("delta.text"))
    tokens: bytes = Field(sa_type=SealedBytes("delta.tokens"))
    logprobs: bytes


# Opinions ----------------------------------------------------------------------------------------------------------


def _version_judged(context: Any) -> int | None:
    """The version that gave the reply an opinion is about, kept beside it: counting thumbs then reads no reply."""
    reply: sa.Table = SQLModel.metadata.tables["reply"]
    message_id = context.get_current_parameters()["message_id"]
    found = context.connection.execute(sa.select(reply.c.policy_version).where(reply.c.id == message_id))
    version: int | None = found.scalar()
    return version


class Opinion(Row, table=True):
    """The current opinion of one person on one reply; earlier ones are in `opinion_history`."""

    __tablename__ = "opinion"
    __table_args__ = (
        sa.UniqueConstraint("person_id", "message_id"),
        # Everything that satisfaction is counted from, so that it is counted from the index alone.
        sa.Index("ix_opinion_thumbs", "policy_version", "created_at", "rating", "withdrawn", "excluded"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", ondelete="CASCADE")
    message_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    rating: int | None = None  # 1 | -1
    rewrite: str | None = Field(default=None, sa_type=SealedText("opinion.rewrite"))
    labels: Json = Field(default_factory=dict, sa_type=sa.JSON)  # aspect -> 1..5
    reasons: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    note: str | None = Field(default=None, sa_type=SealedText("opinion.note"))
    revision: int = 1
    policy_version: int | None = Field(default=None, sa_column_kwargs={"default": _version_judged})
    withdrawn: bool = False
    excluded: bool = False  # by an operator: never trains
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    updated_at: datetime = Field(default_factory=now, sa_type=Instant, index=True)


class OpinionHistory(Row, table=True):
    """Every state an opinion ever had; append only."""

    __tablename__ = "opinion_history"
    opinion_id: UUID = Field(foreign_key="opinion.id", primary_key=True, ondelete="CASCADE")
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    content: Json = Field(sa_type=SealedJson("opinion_history.content"))
    at: datetime = Field(default_factory=now, sa_type=Instant)


class Comparison(Row, table=True):
    """Which of two replies to one question a person prefers."""

    __tablename__ = "comparison"
    __table_args__ = (sa.UniqueConstraint("person_id", "key"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", ondelete="CASCADE")
    key: str
    left_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    right_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    verdict: str  # left | right | tie | neither
    excluded: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=Instant, index=True)


class RateItem(Row, table=True):
    """One item of the labelling queue, handed to one rater."""

    __tablename__ = "rate_item"
    __table_args__ = (sa.UniqueConstraint("person_id", "message_id"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", ondelete="CASCADE")
    message_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    done_at: datetime | None = Field(default=None, sa_type=Instant)
    first_rating: int | None = None  # set when the item is handed out again, to see whether its rater agrees …
    second_rating: int | None = None  # … with themselves


class PairItem(Row, table=True):
    """Two replies to one question, handed to one rater of the labelling queue."""

    __tablename__ = "pair_item"
    __table_args__ = (sa.UniqueConstraint("person_id", "left_id", "right_id"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    person_id: UUID = Field(foreign_key="person.id", ondelete="CASCADE")
    left_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    right_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    done_at: datetime | None = Field(default=None, sa_type=Instant)
    verdict: str | None = None  # left | right | tie | neither


class Contested(Row, table=True):
    """Two replies to one question that the heads of the newest reward model rank differently: worth a rater's time."""

    __tablename__ = "contested"
    left_id: UUID = Field(foreign_key="message.id", primary_key=True, ondelete="CASCADE")
    right_id: UUID = Field(foreign_key="message.id", primary_key=True, index=True, ondelete="CASCADE")
    run_id: UUID = Field(foreign_key="run.id", index=True, ondelete="CASCADE")
    disagreement: float  # 0: all heads agree; 1: as many on either side


class Gold(Row, table=True):
    """An item whose right answer an operator knows: raters meet it unmarked."""

    __tablename__ = "gold"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    message_id: UUID = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    other_id: UUID | None = Field(default=None, foreign_key="message.id", index=True, ondelete="CASCADE")
    answer: str  # up | down of a reply; left | right of a pair, whose right one is `other_id`
    reason: str = ""
    made_by: UUID | None = Field(default=None, foreign_key="person.id", ondelete="SET NULL")
    made_at: datetime = Field(default_factory=now, sa_type=Instant)


class LabellingRules(Row, table=True):
    """How items are handed to raters: one row, set by operators."""

    __tablename__ = "labelling_rules"
    id: int = Field(default=1, primary_key=True)
    gold_share: float = 0.1  # of what a rater is given
    double_share: float = 0.2  # of the replies that raters are given, as long as there are others
    pair_share: float = 0.3  # of what a rater is given: comparisons where the reward heads disagree
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


class OpinionRules(Row, table=True):
    """What people are asked for beyond the thumb: one row, set by operators."""

    __tablename__ = "opinion_rules"
    id: int = Field(default=1, primary_key=True)
    compare_share: float = 0.05  # of replies under which a second draft is offered
    aspects: list[Json] | None = Field(default=None, sa_type=sa.JSON)  # None: those of `asking.py`
    reasons: list[Json] | None = Field(default=None, sa_type=sa.JSON)
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


# Learning ----------------------------------------------------------------------------------------------------------


class Schedule(Row, table=True):
    """When to learn. The row is the truth; the learner's timer only reads it."""

    __tablename__ = "schedule"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True, max_length=128)
    cron: str  # empty: not by the clock
    time_zone: str = "UTC"
    minimum_feedback: int = 50
    recipe: Json = Field(default_factory=dict, sa_type=sa.JSON)
    reward_profile: str | None = None  # None: the active one
    blackouts: list[str] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs={"server_default": "[]"})
    after_feedback: int | None = None  # so many new opinions start a run
    on_drift: float | None = None  # so does a fall of the live thumbs-up share by this much
    enabled: bool = True
    created_by: UUID | None = Field(default=None, foreign_key="person.id", ondelete="SET NULL")
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


class Slot(Row, table=True):
    """One time of a schedule and what became of it: a run, or `missed` with its reason; never two (rule R7)."""

    __tablename__ = "slot"
    schedule_id: UUID = Field(foreign_key="schedule.id", primary_key=True, ondelete="CASCADE")
    planned_at: datetime = Field(primary_key=True, sa_type=Instant)
    run_id: UUID | None = Field(default=None, foreign_key="run.id", ondelete="SET NULL")
    missed: str | None = None
    trigger: str = Field(default="clock", sa_column_kwargs={"server_default": "clock"})  # clock | feedback | drift
    at: datetime = Field(default_factory=now, sa_type=Instant)


class Run(Row, table=True):
    """One training from snapshot to publication, held by a fenced lease (`runs.py`)."""

    __tablename__ = "run"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    schedule_id: UUID | None = Field(default=None, foreign_key="schedule.id", ondelete="SET NULL")
    state: str = Field(default="queued", index=True)  # queued | running | promoted | rejected | failed | cancelled
    stage: str | None = None  # snapshot | reward_model | policy | gate | publish
    progress: float = 0.0
    from_version: int | None = None
    to_version: int | None = None
    recipe: Json = Field(default_factory=dict, sa_type=sa.JSON)
    counts: Json = Field(default_factory=dict, sa_type=sa.JSON)
    report: Json = Field(default_factory=dict, sa_type=sa.JSON)
    snapshot_digest: str | None = None
    error: str | None = None
    cancel_requested: bool = False
    owner: str | None = None
    epoch: int = 0  # rises with every claim; a write under an old epoch changes nothing
    lease_until: datetime | None = Field(default=None, sa_type=Instant)
    requested_by: UUID | None = Field(default=None, foreign_key="person.id", ondelete="SET NULL")
    queued_at: datetime = Field(default_factory=now, sa_type=Instant)
    started_at: datetime | None = Field(default=None, sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)


class RunItem(Row, table=True):
    """One row of a run's snapshot: which opinion, in which state, by whom. Receipts are read from here."""

    __tablename__ = "run_item"
    run_id: UUID = Field(foreign_key="run.id", primary_key=True, ondelete="CASCADE")
    kind: str = Field(primary_key=True)  # opinion | comparison
    item_id: UUID = Field(primary_key=True, index=True)
    person_id: UUID = Field(foreign_key="person.id", index=True, ondelete="CASCADE")
    revision: int = 1
    digest: str


class RunPerson(Row, table=True):
    """What one person gave a run, how much of it counted, and how far the reward hangs on it (`influence.py`)."""

    __tablename__ = "run_person"
    run_id: UUID = Field(foreign_key="run.id", primary_key=True, ondelete="CASCADE")
    person_id: UUID = Field(foreign_key="person.id", primary_key=True, index=True, ondelete="CASCADE")
    given: int  # opinions and comparisons that could have been used …
    used: int  # … and those within the cap
    influence: float | None = None  # None: only judged, or the run ended before its reward was known
    leaning: float | None = None  # what of the version's gain in reward is theirs; below 0: they speak against it
    contrary: float | None = None  # the chance that they say the opposite of what the others say; None: not known


class RunLine(Row, table=True):
    """What the learner said while it did a run; the newest lines of each run are kept."""

    __tablename__ = "run_line"
    run_id: UUID = Field(foreign_key="run.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    level: str  # info | warning | error
    text: str
    at: datetime = Field(default_factory=now, sa_type=Instant)


class Metric(Row, table=True):
    """What a run measured at one step; the curves of the console."""

    __tablename__ = "metric"
    run_id: UUID = Field(foreign_key="run.id", primary_key=True, ondelete="CASCADE")
    step: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})  # counts over the whole run
    stage: str
    values: Json = Field(sa_type=sa.JSON)
    at: datetime = Field(default_factory=now, sa_type=Instant)


class Sample(Row, table=True):
    """The same prompt answered before and after a run."""

    __tablename__ = "sample"
    run_id: UUID = Field(foreign_key="run.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    prompt: str = Field(sa_type=SealedText("sample.prompt"))
    before: str = Field(sa_type=SealedText("sample.before"))
    after: str = Field(sa_type=SealedText("sample.after"))
    reward_before: float
    reward_after: float


class Policy(Row, table=True):
    """A version of the weights. At most one is live; the files are immutable."""

    __tablename__ = "policy"
    __table_args__ = (
        sa.Index(
            "one_live_policy",
            "state",
            unique=True,
            sqlite_where=sa.text("state = 'live'"),
            postgresql_where=sa.text("state = 'live'"),
        ),
        sa.Index(
            "one_canary_policy",
            "state",
            unique=True,
            sqlite_where=sa.text("state = 'canary'"),
            postgresql_where=sa.text("state = 'canary'"),
        ),
    )
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    parent: int | None = Field(default=None, foreign_key="policy.number")
    run_id: UUID | None = Field(default=None, foreign_key="run.id", ondelete="SET NULL")
    state: str  # candidate | canary | live | retired | rejected | withdrawn
    directory: str  # name inside the weights directory
    digest: str
    report: Json = Field(default_factory=dict, sa_type=sa.JSON)
    reason: str | None = None  # why it was rejected or withdrawn
    created_at: datetime = Field(default_factory=now, sa_type=Instant)
    live_at: datetime | None = Field(default=None, sa_type=Instant)


class ReleaseRules(Row, table=True):
    """How a version that has passed the gate becomes live, and who is told: one row, set by operators."""

    __tablename__ = "release_rules"
    id: int = Field(default=1, primary_key=True)
    approval: str = "automatic"  # automatic | operator: a passed candidate waits for one
    canary: bool = False  # a new version first serves a share of the people
    canary_shares: list[float] = Field(default_factory=lambda: [0.05, 0.25], sa_type=sa.JSON)
    canary_people: int = 10  # that each step must have reached …
    canary_replies: int = 5  # … with so many replies each
    alpha: float = 0.05  # chance of taking back a version that is as good as the one before
    webhook_url: str | None = None
    webhook_private: bool = False  # whether it may lead into a private network
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


class Canary(Row, table=True):
    """One version given to a share of the people first, and how that ended (`canary.py`)."""

    __tablename__ = "canary"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    number: int = Field(foreign_key="policy.number", index=True)
    control: int = Field(foreign_key="policy.number")  # the version that was live: the others keep it
    state: str = "watching"  # watching | paused | promoted | taken_back | ended
    step: int = 0
    shares: list[float] = Field(sa_type=sa.JSON)  # of people, by step
    people: list[int] = Field(sa_type=sa.JSON)  # that each step must have reached
    replies: int  # of each of them
    alpha: float
    limits: Json = Field(default_factory=dict, sa_type=sa.JSON)  # what counts as long, short and slow
    reason: str | None = None
    began_at: datetime = Field(default_factory=now, sa_type=Instant)
    ended_at: datetime | None = Field(default=None, sa_type=Instant)


class CanaryLook(Row, table=True):
    """What was known of a canary at one look: the curve of the console."""

    __tablename__ = "canary_look"
    canary_id: UUID = Field(foreign_key="canary.id", primary_key=True, ondelete="CASCADE")
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    content: Json = Field(sa_type=sa.JSON)
    at: datetime = Field(default_factory=now, sa_type=Instant)


class Announcement(Row, table=True):
    """Something operators shall hear of, and whether the webhook took it: an outbox (`announcements.py`)."""

    __tablename__ = "announcement"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    kind: str  # candidate_waiting | promoted | rejected | rolled_back | run_failed | canary_paused | test
    content: Json = Field(default_factory=dict, sa_type=sa.JSON)
    at: datetime = Field(default_factory=now, sa_type=Instant, index=True)
    attempts: int = 0
    next_at: datetime | None = Field(default=None, sa_type=Instant, index=True)  # None: nothing is left to do
    delivered_at: datetime | None = Field(default=None, sa_type=Instant)
    error: str | None = None  # of the last attempt


class LangfuseScore(Row, table=True):
    """What a Langfuse may hold of one opinion (`server/langfuse.py`). It outlives the opinion, to be taken back."""

    __tablename__ = "langfuse_score"
    opinion_id: UUID = Field(primary_key=True)
    names: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    revision: int = 0  # of the opinion that it was told whole
    attempts: int = 0  # in a row that failed
    next_at: datetime = Field(sa_type=Instant)  # until then nobody else tries


class RewardProfile(Row, table=True):
    """Named rewards with weights an operator moves; the active one goes into the next run's recipe."""

    __tablename__ = "reward_profile"
    name: str = Field(primary_key=True, max_length=128)
    weights: Json = Field(default_factory=dict, sa_type=sa.JSON)
    rules: Json = Field(default_factory=dict, sa_type=sa.JSON, sa_column_kwargs={"server_default": "{}"})
    limits: Json = Field(default_factory=dict, sa_type=sa.JSON)
    forbidden: list[str] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs={"server_default": "[]"})
    active: bool = False
    revision: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    updated_at: datetime = Field(default_factory=now, sa_type=Instant)


class ProfileRevision(Row, table=True):
    """What a reward profile once was; append only."""

    __tablename__ = "profile_revision"
    name: str = Field(foreign_key="reward_profile.name", primary_key=True, ondelete="CASCADE")
    revision: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    weights: Json = Field(sa_type=sa.JSON)
    rules: Json = Field(sa_type=sa.JSON)  # name -> expression, or list of words
    limits: Json = Field(sa_type=sa.JSON)
    forbidden: list[str] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs={"server_default": "[]"})
    at: datetime = Field(default_factory=now, sa_type=Instant)


class Audit(Row, table=True):
    """Who did what, when: append only, each row holding the digest of the one before it (SEC-14)."""

    __tablename__ = "audit"
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(default_factory=now, sa_type=Instant)
    actor: str  # a person's id, or the process
    action: str
    target: str = ""
    detail: Json = Field(default_factory=dict, sa_type=sa.JSON)
    previous: str
    digest: str


__all__ = [
    "Announcement",
    "ApiKey",
    "Audit",
    "Canary",
    "CanaryLook",
    "Comparison",
    "Contested",
    "Conversation",
    "Delta",
    "Gold",
    "Json",
    "LabellingRules",
    "Login",
    "Message",
    "Metric",
    "OidcIdentity",
    "Opinion",
    "OpinionHistory",
    "PairItem",
    "Person",
    "Policy",
    "ProfileRevision",
    "RateItem",
    "ReleaseRules",
    "Reply",
    "RewardProfile",
    "Row",
    "Run",
    "RunItem",
    "RunLine",
    "RunPerson",
    "Sample",
    "Schedule",
    "Server",
    "Slot",
    "now",
]
