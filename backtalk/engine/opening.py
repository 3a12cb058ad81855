"""The engine that the settings name."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from backtalk.engine import wire
from backtalk.engine.client import Engine, LocalEngine
from backtalk.engine.errors import EngineLost
from backtalk.engine.remote.address import parse
from backtalk.settings import Settings, SettingsError

CONNECT_SECONDS = 5.0


async def look_at(settings: Settings) -> dict[str, Any]:
    """What the replicas of a remote engine say of themselves now; nothing is loaded or changed."""
    engine = open_engine(settings)
    try:
        with contextlib.suppress(EngineLost, TimeoutError):
            await asyncio.wait_for(engine.connect(), CONNECT_SECONDS)
        return engine.state()
    finally:
        await engine.close()


def open_engine(
    settings: Settings,
    *,
    on_connected: Callable[[], None] | None = None,
    on_lost: Callable[[], None] | None = None,
    on_first: Callable[[float], None] | None = None,
    on_next: Callable[[float], None] | None = None,
) -> Engine:
    """Our own process or a fleet of servers; it is not connected yet. For the callbacks see `LocalEngine`.

    Raises:
        SettingsError: the engine's key cannot be read, or its command is not one.
    """
    address = parse(settings.engine)
    if address is None:
        return LocalEngine(
            wire.address(settings.data_dir),
            on_connected=on_connected,
            on_lost=on_lost,
            on_first=on_first,
            on_next=on_next,
        )
    from backtalk.engine.remote import dialects
    from backtalk.engine.remote.fleet import Fleet
    from backtalk.engine.remote.launch import Launcher

    key = settings.engine_key()
    make = dialects.of(address.kind)
    launcher = None
    if settings.engine_launch:
        try:
            launcher = Launcher(settings.engine_launch, address.urls[0], lambda url: make(url, key))
        except ValueError as error:
            raise SettingsError(str(error)) from error
    return Fleet(
        address.kind,
        [] if launcher else [make(url, key) for url in address.urls],
        launcher=launcher,
        on_connected=on_connected,
        on_lost=on_lost,
        on_first=on_first,
        on_next=on_next,
    )
