"""Everything one server holds, opened together and closed together."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from fastapi.requests import HTTPConnection
from sqlmodel import Session

from backtalk.bells import Ears
from backtalk.database import Database
from backtalk.engine.client import Engine
from backtalk.engine.opening import open_engine
from backtalk.settings import Settings
from backtalk.writer import Writer
from server import ground
from server.limits import Limits
from server.metrics import Metrics

if TYPE_CHECKING:  # these modules need `Service`; `opened` brings them together
    from server.access import Identities
    from server.changes import Changes
    from server.replies import Replies
    from server.sockets import Sockets
    from server.swapper import Swapper

T = TypeVar("T")
FAREWELL_SECONDS = 3.0
"""How long replies under way may go on when the server is told to end; the next server takes up what is left."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Service:
    """What routes and sockets work with; lives at `app.state.service`."""

    settings: Settings
    database: Database
    writer: Writer
    engine: Engine
    limits: Limits
    metrics: Metrics
    identities: "Identities"
    sockets: "Sockets"
    changes: "Changes"
    swapper: "Swapper"
    replies: "Replies"

    async def read(self, query: Callable[[Session], T]) -> T:
        """Run `query` on a session in a thread; the loop goes on meanwhile."""
        return await asyncio.to_thread(self._read, query)

    def _read(self, query: Callable[[Session], T]) -> T:
        with self.database.read() as session:
            return query(session)


def get_service(connection: HTTPConnection) -> Service:
    """The service behind this request or socket; routes say `service: Annotated[Service, Depends(get_service)]`."""
    return cast(Service, connection.app.state.service)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    """Lay the ground, take up what the last server left, and keep the loops running until the block ends.

    It does not wait for the engine: people can read, rate and sign in without one.
    """
    from server.access import Identities
    from server.changes import Changes
    from server.langfuse import Scores
    from server.mirror import Mirrors
    from server.replies import Replies
    from server.sockets import Sockets
    from server.swapper import Swapper
    from server.titles import Titles
    from server.watch import Watch
    from server.webhook import Webhook

    database = await asyncio.to_thread(ground.lay, settings)
    writer = Writer(database)
    metrics = Metrics()
    sockets = Sockets(metrics)
    engine = open_engine(
        settings,
        on_connected=lambda: swapper.engine_connected(),
        on_lost=lambda: swapper.engine_lost(),
        on_first=metrics.first_token.observe,
        on_next=metrics.next_token.observe,
    )
    metrics.watch(engine)
    events = asyncio.get_running_loop()
    ears = Ears(
        database,
        {
            "policy": lambda _: in_the_loop(events, lambda: swapper.wake()),
            "reply": lambda ids: in_the_loop(events, lambda: mirrors.hear(ids)),
            "conversation": lambda ids: in_the_loop(events, lambda: changes.hear(ids)),
        },
    )
    swapper = Swapper(settings, engine, database, writer, metrics, sockets.tell_all, ears.is_hearing)
    limits = Limits()
    mirrors = Mirrors(database, ears.is_hearing)
    replies = Replies(
        database,
        writer,
        engine,
        swapper,
        limits,
        metrics,
        mirrors,
        on_begun=lambda: titles.make_way(),
        on_done=lambda running: titles.consider(running),
    )
    changes = Changes(replies.id, writer, sockets)
    titles = Titles(database, writer, engine, swapper, replies, sockets)
    scores = Scores(settings, database, writer)
    service = Service(
        settings=settings,
        database=database,
        writer=writer,
        engine=engine,
        limits=limits,
        metrics=metrics,
        identities=Identities(),
        sockets=sockets,
        changes=changes,
        swapper=swapper,
        replies=replies,
    )
    await replies.resume()
    ears.start()
    loops = [
        asyncio.create_task(loop, name=name)
        for name, loop in {
            "connecting": engine.connect(),
            "following the live version": swapper.follow(),
            "watching the canary": Watch(database, writer, swapper.wake).follow(),
            "telling of what happened": Webhook(settings, database, writer).follow(),
            "telling Langfuse": scores.follow(),
            "writing replies down": replies.write_down(),
            "keeping the lease": replies.stay(),
            "watching sockets": sockets.watch(service),
            "giving titles": titles.follow(),
        }.items()
    ]
    try:
        yield service
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(replies.finished(), FAREWELL_SECONDS)
        await replies.close()
        await asyncio.to_thread(ears.stop)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await engine.close()
        await asyncio.to_thread(writer.close)
        database.close()


def in_the_loop(loop: asyncio.AbstractEventLoop, hear: Callable[[], None]) -> None:
    """Have the loop hear what a thread has heard; one that has ended needs to hear nothing."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(hear)
