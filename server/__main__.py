"""`python -m server`: one process that serves people until it is told to stop."""

import argparse
import gc
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn

from backtalk import lifeline
from backtalk.settings import SettingsError, load_settings

FAREWELL_SECONDS = 2


class Brief(logging.Filter):
    """What a stranger can provoke at will is told in one line, without a trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the line, leave the trace of broken text out."""
        if isinstance(record.exc_info, tuple) and isinstance(record.exc_info[1], UnicodeDecodeError):
            record.exc_info = None
        return True


class Server(uvicorn.Server):
    """Says one line when people can come."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(f"server ready at http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the server.

    What takes long to load waits in here: the ground is laid and told of first, and nothing is looked over for garbage
    meanwhile. What is there when serving begins stays until the end, so it is never looked over at all.
    """
    gc.disable()
    parser = argparse.ArgumentParser(prog="backtalk server", description="Serve people: chat, opinions, console.")
    parser.add_argument("--data-dir", type=Path, help="instead of the setting's")
    parser.add_argument("--port", type=int, help="instead of the setting's; 0 takes a free one")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started it ends")
    parser.add_argument(
        "--ground", type=int, metavar="PIPE", help="tell on this open pipe what was laid before serving, and the claim"
    )
    given = parser.parse_args(arguments)
    if given.die_with_parent:
        lifeline.hold(os.getppid())
    overrides = {"data_dir": given.data_dir, "port": given.port}
    try:
        settings = load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        sys.exit(f"backtalk server: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("alembic", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(Brief())
    if given.ground is not None:
        from server import ground

        ground.lay_and_tell(settings, given.ground)
    from server.app import make_app
    from server.connection import Connection
    from server.limits import FRAME_BYTES

    app = make_app(settings)
    gc.freeze()
    gc.enable()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Connection,
        ws="websockets-sansio",
        ws_max_size=2 * FRAME_BYTES,  # a frame over the limit can so be refused in words; a far larger one closes
        ws_per_message_deflate=False,  # it doubles memory and costs a third of the throughput
        proxy_headers=settings.public_url is not None,  # only behind a proxy may a header say who the client is
        timeout_graceful_shutdown=FAREWELL_SECONDS,
        server_header=False,
        access_log=False,
        log_level="warning",
        log_config=None,
    )
    server = Server(config)
    server.run()
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    main()
