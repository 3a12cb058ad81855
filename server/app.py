"""The server, put together."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from backtalk import __version__, tracing
from backtalk.settings import Settings
from server import chat, conversations, errors, feedback, health, oidc, openai, operate, people, rate, shares, tgi
from server.edge import KnownHosts, SafeHeaders, SmallBodies, Traced
from server.pages import Pages
from server.service import opened


def make_app(settings: Settings) -> FastAPI:
    """The ASGI application; opening and closing what it holds is its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tracing.exporting("server"):
            async with opened(settings) as service:
                app.state.service = service
                yield

    app = FastAPI(
        title="Backtalk",
        version=__version__,
        description="A chat service that learns from the people who use it.",
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        # FastAPI's own telemetry would hold people's addresses and what they search for.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    errors.install(app)
    app.include_router(health.router)
    app.include_router(chat.router)
    app.include_router(conversations.router)
    app.include_router(shares.router)
    app.include_router(people.router)
    app.include_router(oidc.router)
    app.include_router(feedback.router)
    app.include_router(rate.router)
    app.include_router(operate.router)
    app.include_router(openai.router)
    app.include_router(tgi.router)
    app.router.default = Pages()
    for layer in (SmallBodies, Traced, errors.LastResort):  # the last one added is the outermost
        app.add_middleware(layer)
    app.add_middleware(KnownHosts, settings=settings)
    app.add_middleware(SafeHeaders, settings=settings)
    return app
