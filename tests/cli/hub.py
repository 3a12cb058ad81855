"""A hub of our own that speaks the published protocol of the Hugging Face hub: repositories of small files."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_of_a_test"


class Hub(ThreadingHTTPServer):
    """Repositories by name, each with its files as they are now."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def head(self, repo: str) -> str:
        """What its newest commit is called."""
        content = "".join(f"{name}{hashlib.sha1(data).hexdigest()}" for name, data in sorted(self.repos[repo].items()))
        return hashlib.sha1(content.encode()).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """The hub, while the block runs."""
    hub = Hub()
    thread = Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Request(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            given = json.loads(body)
            repo = "/".join(filter(None, (given.get("organization"), given["name"])))
            self.server.repos.setdefault(repo, {})
            is_private = given.get("private", False) or given.get("visibility") == "private"  # older, newer library
            self.server.private.setdefault(repo, is_private)
            self._answer(200, {"url": f"{self.server.url}/{repo}", "name": repo})
        elif found := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            wanted = [one["path"] for one in json.loads(body)["files"]]
            files = [{"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for path in wanted]
            self._answer(200, {"files": files})
        elif found := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.server.repos[found[1]][line["value"]["path"]] = content
            head = self.server.head(found[1])
            self._answer(200, {"commitUrl": f"{self.server.url}/{found[1]}/commit/{head}", "commitOid": head})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        else:
            self._answer(404, {"error": f"nothing at {self.path}"})

    def do_HEAD(self) -> None:
        self._file(is_wanted=False)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/(.+?)(?:/revision/[^/]+|/tree/[^/]+)?", path):
            repo = found[1]
            if repo not in self.server.repos:
                self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
                return
            files = self.server.repos[repo]
            if "/tree/" in path:
                oids = {name: hashlib.sha1(data).hexdigest() for name, data in files.items()}
                listed = [{"type": "file", "path": n, "size": len(d), "oid": oids[n]} for n, d in files.items()]
                self._answer(200, listed)
            else:
                siblings = [{"rfilename": name} for name in files]
                self._answer(200, {"id": repo, "sha": self.server.head(repo), "siblings": siblings})
        else:
            self._file(is_wanted=True)

    def _file(self, *, is_wanted: bool) -> None:
        found = re.fullmatch(r"/(.+)/resolve/([^/]+)/([^?]+)(?:\?.*)?", self.path)
        content = self.server.repos.get(found[1], {}).get(found[3]) if found else None
        if found is None or content is None:
            self._answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", self.server.head(found[1]))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if is_wanted:
            self.wfile.write(content)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
