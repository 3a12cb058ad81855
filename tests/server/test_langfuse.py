"""Thumbs and scores told to a Langfuse: a peer that keeps one score an id, behind its public API of 2026."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlmodel import Session, select

from backtalk import opinions, starter
from backtalk.database import Database
from backtalk.settings import Settings, SettingsError, load_settings
from backtalk.tables import Conversation, LangfuseScore, Message, Opinion, Person, Policy, Reply
from backtalk.template import Template
from backtalk.writer import Writer
from server.langfuse import Scores
from tests.learner.town import Town
from tests.server.stack import PATIENCE, Stack

TRACE = "0af7651916cd43dd8448eb211c80319c"
SCORES = "/api/public/scores"
TRACES = "/api/public/otel/v1/traces"
KEY = "Basic " + base64.b64encode(b"pk-lf-1:sk-lf-1").decode()


class Langfuse:
    """What it was told, by id, and how often it shall refuse."""

    def __init__(self) -> None:
        self.scores: dict[str, tuple[str, str, float]] = {}
        self.traces: set[str] = set()
        self.changed = threading.Condition()
        self.bodies: list[bytes] = []
        self.refusals = 0
        self.url = ""

    def answer(self, method: str, path: str, key: str | None, body: bytes) -> int:
        """The status of a request, after it was done."""
        with self.changed:
            self.changed.notify_all()
            return self._answer(method, path, key, body)

    def _answer(self, method: str, path: str, key: str | None, body: bytes) -> int:
        if key != KEY:
            return 401
        if path == TRACES:
            spans = ExportTraceServiceRequest.FromString(body).resource_spans
            self.traces |= {span.trace_id.hex() for one in spans for two in one.scope_spans for span in two.spans}
            return 200
        if self.refusals:
            self.refusals -= 1
            return 503
        self.bodies.append(body)
        if method == "DELETE":
            return 200 if self.scores.pop(unquote(path.removeprefix(f"{SCORES}/")), None) else 404
        score = json.loads(body)
        if path != SCORES or score["dataType"] != "NUMERIC":
            return 400
        self.scores[score["id"]] = (score["traceId"], score["name"], score["value"])
        return 200


@pytest.fixture
def langfuse() -> Iterator[Langfuse]:
    peer = Langfuse()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(peer.answer(self.command, self.path, self.headers.get("authorization"), body))
            self.send_header("content-length", "0")
            self.end_headers()

        do_DELETE = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield peer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path, langfuse: Langfuse) -> Settings:
    secret = tmp_path / "secret"
    secret.write_text("sk-lf-1\n")
    return Settings(
        data_dir=tmp_path / "data",
        langfuse_url=langfuse.url,
        langfuse_public_key="pk-lf-1",
        langfuse_secret_file=secret,
    )


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


@pytest.fixture
def scores(settings: Settings, database: Database, writer: Writer) -> Scores:
    return Scores(settings, database, writer)


def traced_reply(town: Town, owner: UUID, traceparent: str | None = f"00-{TRACE}-b7ad6b7169203331-01") -> UUID:
    id = town.reply(owner, "a question", "an answer")
    reply = town.session.get_one(Reply, id)
    reply.traceparent = traceparent
    town.session.add(reply)
    return id


@pytest.fixture
def opinion(database: Database) -> Opinion:
    """A thumb, a score and words of somebody who said yes, on a reply that was traced."""
    with database.write() as session:
        session.add(Policy(number=0, directory="0", digest="0", state="live"))
        session.flush()
        town = Town(session, Template(Path(starter.FILES)))
        person = town.person()
        id = town.rate(person, traced_reply(town, person), 1, labels={"quality": 4}, note="secretive")
        return session.get_one(Opinion, id)


async def told(scores: Scores) -> int:
    """Tell all there is to tell; of how many opinions."""
    return sum([await scores.tell(id) for id in scores.look()])


async def test_thumbs_and_scores_hang_at_the_trace_of_the_reply_and_words_stay_here(
    scores: Scores, opinion: Opinion, langfuse: Langfuse
) -> None:
    assert await told(scores) == 1
    thumb, quality = f"{opinion.id}-thumb", f"{opinion.id}-quality"
    assert langfuse.scores == {thumb: (TRACE, "thumb", 1), quality: (TRACE, "quality", 4)}
    assert b"secretive" not in b"".join(langfuse.bodies)
    assert await told(scores) == 0, "once"


async def test_another_opinion_takes_the_place_of_the_one_before(
    scores: Scores, opinion: Opinion, langfuse: Langfuse, database: Database
) -> None:
    await told(scores)
    with database.write() as session:
        changed = opinions.Judgement(rating=-1)
        opinions.judge(session, opinion.person_id, opinion.message_id, changed)
    assert await told(scores) == 1
    assert langfuse.scores == {f"{opinion.id}-thumb": (TRACE, "thumb", -1)}


def withdraws(session: Session, opinion: Opinion) -> None:
    opinions.withdraw(session, opinion.person_id, opinion.message_id)


def revokes(session: Session, opinion: Opinion) -> None:
    session.get_one(Person, opinion.person_id).consent_train = False


def keeps_out(session: Session, opinion: Opinion) -> None:
    reply = session.get_one(Message, opinion.message_id)
    session.get_one(Conversation, reply.conversation_id).train = False


def is_excluded(session: Session, opinion: Opinion) -> None:
    session.get_one(Opinion, opinion.id).excluded = True


def is_erased(session: Session, opinion: Opinion) -> None:
    session.delete(session.get_one(Person, opinion.person_id))


@pytest.mark.parametrize("change", [withdraws, revokes, keeps_out, is_excluded, is_erased])
async def test_what_may_no_longer_train_is_taken_back(
    change: object, scores: Scores, opinion: Opinion, langfuse: Langfuse, database: Database
) -> None:
    assert callable(change)
    await told(scores)
    with database.write() as session:
        change(session, opinion)
    langfuse.refusals = 1
    assert await told(scores) == 0 and len(langfuse.scores) == 2, "not now"
    _let_try_again(database)
    assert await told(scores) == 1 and not langfuse.scores
    with database.read() as session:
        assert session.get(LangfuseScore, opinion.id) is None, "nothing is left to be taken back"


async def test_what_langfuse_refuses_is_told_later(
    scores: Scores, opinion: Opinion, langfuse: Langfuse, database: Database
) -> None:
    langfuse.refusals = 1
    assert await told(scores) == 0
    assert await told(scores) == 0, "not at once"
    _let_try_again(database)
    assert await told(scores) == 1 and len(langfuse.scores) == 2


async def test_nobody_is_told_who_did_not_say_yes_and_nothing_without_a_trace(
    scores: Scores, opinion: Opinion, langfuse: Langfuse, database: Database
) -> None:
    with database.write() as session:
        town = Town(session, Template(Path(starter.FILES)))
        willing = opinion.person_id
        for consent in (False, None):
            person = town.person(consent)
            town.rate(person, traced_reply(town, person), 1)
            town.rate(willing, traced_reply(town, person), 1)  # a rater who said yes, on words of who did not
            town.rate(person, traced_reply(town, willing), 1)
        town.rate(willing, traced_reply(town, willing, None), 1)
    assert await told(scores) == 1
    assert {id.rpartition("-")[0] for id in langfuse.scores} == {str(opinion.id)}


async def test_a_thumb_in_the_chat_reaches_the_trace_of_its_reply(settings: Settings, langfuse: Langfuse) -> None:
    """By a real server, whose traces go to the same Langfuse."""
    stack = Stack(
        BACKTALK_LANGFUSE_URL=langfuse.url,
        BACKTALK_LANGFUSE_PUBLIC_KEY="pk-lf-1",
        BACKTALK_LANGFUSE_SECRET_FILE=str(settings.langfuse_secret_file),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"{langfuse.url}/api/public/otel",
        OTEL_EXPORTER_OTLP_HEADERS=f"Authorization={quote(KEY)}",
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    try:
        someone = stack.start().someone()
        async with stack.chat(someone) as chat, stack.http(someone) as client:
            (await client.patch("/api/me", json={"consent": {"train": True}})).raise_for_status()
            started = await chat.say("hello", sampling={"max_tokens": 4})
            await chat.listen(started["reply_id"])
            answer = await client.put(f"/api/messages/{started['reply_id']}/feedback", json={"rating": -1})
            assert answer.status_code == 200, answer.text
        with langfuse.changed:
            assert langfuse.changed.wait_for(lambda: langfuse.scores and langfuse.traces, PATIENCE)
    finally:
        stack.close()
    ((trace, name, value),) = langfuse.scores.values()
    assert {trace} == langfuse.traces and (name, value) == ("thumb", -1)


def test_half_of_the_settings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTALK_LANGFUSE_URL", "https://langfuse.example")
    with pytest.raises(SettingsError, match="belong together; give all or none"):
        load_settings()


def _let_try_again(database: Database) -> None:
    with database.write() as session:
        for row in session.exec(select(LangfuseScore)):
            row.next_at = row.next_at.replace(year=2000)
