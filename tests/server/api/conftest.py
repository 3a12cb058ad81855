"""A real server over a real socket; people with keys and browsers; conversations put straight into its database."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
import uvicorn
from sqlmodel import col, select

from backtalk import audit, people
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Audit, Conversation, Message, Person, Reply, now
from server.app import make_app


class Home:
    """One running server and the database behind it. It has no engine: what is tested here needs none."""

    def __init__(self, settings: Settings, url: str, database: Database) -> None:
        self.settings = settings
        self.url = url
        self.database = database
        self.opened = contextlib.ExitStack()
        """Everybody's clients, closed with the server."""

    def person(self, role: str = "user", *, consent: bool | None = None, name: str | None = None) -> "Somebody":
        """Somebody new, with an API key."""
        with self.database.write() as session:
            person = people.add(session, name or f"{role}-{uuid4().hex[:8]}", role)
            person.consent_train = consent
            key = people.add_key(session, person).secret
        return self.opened.enter_context(Somebody(person.id, person.name or "", key, self.url))

    def browser(self) -> httpx2.Client:
        """A browser: keeps cookies, says where its pages come from."""
        return httpx2.Client(base_url=self.url, headers={"X-Backtalk": "1", "Origin": self.url}, timeout=30)

    def reply(
        self,
        person: "Somebody | UUID",
        content: str = "Paris.",
        *,
        question: str = "What is the capital of France?",
        state: str = "done",
        beside: UUID | None = None,
        below: UUID | None = None,
        version: int = 0,
    ) -> UUID:
        """A reply that a person has got: alone in its conversation, beside another one, or later on below it."""
        person_id = person if isinstance(person, UUID) else person.id
        with self.database.write() as session:
            if beside is None:
                above = session.get_one(Message, below) if below is not None else None
                if above is None:
                    conversation = Conversation(person_id=person_id, title=question)
                    session.add(conversation)
                    session.flush()
                asked = Message(
                    conversation_id=above.conversation_id if above is not None else conversation.id,
                    person_id=person_id,
                    parent_id=below,
                    position=above.position + 100 if above is not None else 0,
                    role="user",
                    content=question,
                )
                session.add(asked)
                session.flush()
                parent_id, position, conversation_id = asked.id, asked.position + 1, asked.conversation_id
            else:
                sibling = session.get_one(Message, beside)
                assert sibling.parent_id is not None
                parent_id, conversation_id = sibling.parent_id, sibling.conversation_id
                position = sibling.position + 1
            message = Message(
                conversation_id=conversation_id,
                person_id=person_id,
                parent_id=parent_id,
                position=position,
                role="assistant",
                content=content,
                state=state,
                ended_at=now(),
            )
            session.add(message)
            session.flush()
            session.add(
                Reply(id=message.id, policy_version=version, seed=1, template_digest="", engine="test", prompt=b"")
            )
        return message.id

    def row(self, person_id: UUID) -> Person | None:
        """The person as stored."""
        with self.database.read() as session:
            return session.get(Person, person_id)


class Somebody(httpx2.Client):
    """A person with an API key, ready to ask."""

    def __init__(self, id: UUID, name: str, key: str, url: str) -> None:
        super().__init__(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        self.id = id
        self.name = name
        self.key = key


@contextlib.contextmanager
def running(directory: Path, **settings: object) -> Iterator[Home]:
    """A server on a free port while the block runs."""
    chosen = Settings(data_dir=directory / "data", port=0, **settings)  # type: ignore[arg-type]  # pydantic checks
    config = uvicorn.Config(
        make_app(chosen),
        host="127.0.0.1",
        port=0,
        ws="websockets-sansio",
        log_config=None,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=600,  # on a busy machine a client may be slow to use its connection again
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    database = Database(chosen.database)
    home = Home(chosen, f"http://127.0.0.1:{port}", database)
    try:
        with home.opened:
            yield home
    finally:
        server.should_exit = True
        thread.join()
        database.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One server for all tests of a file; each test makes its own people."""
    with running(tmp_path_factory.mktemp("home")) as home:
        yield home


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Home]]:
    """Servers of a test's own, with settings of its own."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(tmp_path / uuid4().hex, **settings))


def refused(response: httpx2.Response, status: int, code: str, words: str) -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert words in error["message"], error["message"]


@pytest.fixture
def own(start: Callable[..., Home]) -> Home:
    """A server of this test's own: it has one live version, 0."""
    return start()


@pytest.fixture
def operator(own: Home) -> Somebody:
    """Its operator."""
    return own.person("operator")


def actions(home: Home) -> list[str]:
    with home.database.read() as session:
        assert audit.first_broken(session) is None
        return list(session.exec(select(Audit.action).order_by(col(Audit.seq))))
