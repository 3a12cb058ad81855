"""The built web client: its files, and `index.html` for every page that the client itself routes."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

WEB = Path(__file__).parent / "web"
RESERVED = ("api", "ws", "v1", "assets")
FOR_EVER = "public, max-age=31536000, immutable"
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Backtalk</title>
<body><h1>Backtalk is running</h1><p>The web client is not built. Run <code>make install</code>, which builds it,
and load this page again. The programming interface is at <code>/api/openapi.json</code>.</p></body></html>"""


class Pages:
    """ASGI app for whatever no route has taken."""

    def __init__(self, directory: Path = WEB) -> None:
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file or a page, or raise a 404."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise HTTPException(404)
        path = request.url.path.strip("/")
        file = self._file(path)
        if file is not None:
            caching = FOR_EVER if path.startswith("assets/") else "no-cache"
            return FileResponse(file, headers={"Cache-Control": caching})
        if path.split("/", 1)[0] in RESERVED or "." in path.rsplit("/", 1)[-1]:
            raise HTTPException(404)
        index = self._directory / "index.html"
        if not index.is_file():
            return HTMLResponse(NOT_BUILT)
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    def _file(self, path: str) -> Path | None:
        """The client's file of that name; never anything outside its directory."""
        if not path or "\x00" in path:
            return None
        file = (self._directory / path).resolve()
        try:
            return file if file.is_relative_to(self._directory.resolve()) and file.is_file() else None
        except OSError:  # longer than a name can be
            return None
