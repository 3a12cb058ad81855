"""Starting what runs, together or alone, and asking how it is."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtalk.cli.output import AsJson, cell, console, show_json

if TYPE_CHECKING:
    from backtalk.settings import Settings
    from backtalk.supervisor import Welcome


def up(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what each process logs.")] = False,
) -> None:
    """Start engine, server and learner, and keep them running until Ctrl-C.

    Example: BACKTALK_PORT=8080 backtalk up
    """
    from backtalk.settings import load_settings
    from backtalk.supervisor import run

    out = console()
    status = out.status("starting …") if out.is_terminal else None
    if status:
        status.start()

    def say(line: str) -> None:
        out.print(f"  {line}", markup=False, style="dim" if out.is_terminal else None)

    def welcome(what: "Welcome") -> None:
        if status:
            status.stop()
        out.print(f"  [green]✓[/] ready after {what.seconds:.1f} s\n")
        out.print(f"  [bold]Chat[/]     {what.chat}")
        out.print(f"  [bold]Console[/]  {what.console}")
        if what.claim:
            out.print("\n  Become the first operator; this link works once, for an hour:")
            out.print(f"  {what.claim}")
        out.print("\n  Ctrl-C stops it.")

    try:
        run(load_settings(), say, welcome, verbose=verbose)
    finally:
        if status:
            status.stop()


def server() -> None:
    """Start the web server alone."""
    _become("server")


def engine() -> None:
    """Start the engine alone."""
    _become("backtalk.engine")


def learner() -> None:
    """Start the learner alone."""
    _become("learner")


def _become(module: str) -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606  # no shell is the point


def status(as_json: AsJson = False) -> None:
    """Show what is on, where it lies and how much there is.

    Example: backtalk status --json | jq .live
    """
    from backtalk import instance
    from backtalk.settings import load_settings

    settings = load_settings()
    running = instance.running(settings.data_dir)
    is_ready = bool(running and running.get("url") and instance.ready(running["url"]))
    lies = {"data": str(settings.data_dir.resolve()), "database": _without_password(settings.database)}
    counts = _counts(settings)
    engine = _engine(settings)
    if as_json:
        show_json({"running": running, "ready": is_ready, "engine": engine, **lies, **counts})
        return
    children = " · ".join(f"{name} {pid}" for name, pid in (running or {}).get("children", {}).items())
    state = ("ready" if is_ready else "not ready") if running else "not running; `backtalk up` starts it"
    lines: dict[str, Any] = {
        "backtalk": f"{state}, {running.get('url')}" if running else state,
        "processes": children or None,
        "engine": _in_words(engine) if engine else None,
        **lies,
        **counts,
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name.replace('_', ' '):<{width}}  {cell(value)}")


def _engine(settings: "Settings") -> dict[str, Any] | None:
    import asyncio

    from backtalk.engine import wire
    from backtalk.engine.client import ask_state
    from backtalk.engine.opening import look_at

    if not settings.is_local:
        return asyncio.run(look_at(settings))
    address = wire.address(settings.data_dir)
    return asyncio.run(ask_state(address)) if address.exists() else None


def _in_words(engine: dict[str, Any]) -> str:
    if "replicas" in engine:
        up = sum(replica["up"] for replica in engine["replicas"])
        words = [f"{engine.get('kind', 'remote')}, {up} of {len(engine['replicas'])} replicas there"]
        return "; ".join([*words, *([engine["note"]] if engine.get("note") else [])])
    busy = f"{engine['running']} of {engine['slots']} seats taken, {engine['waiting']} waiting"
    cache = f"cache {engine['pages_used'] / max(1, engine['pages']):.0%} used"
    return f"{engine['device']}, {engine['dtype']}, {engine['how']}; {busy}; {cache}"


def _without_password(url: str) -> str:
    import sqlalchemy as sa

    return sa.make_url(url).render_as_string(hide_password=True)


def _counts(settings: Any) -> dict[str, Any]:
    import sqlalchemy as sa
    from sqlmodel import col, select

    from backtalk import policies, runs
    from backtalk.database import Database
    from backtalk.tables import Comparison, Message, Opinion, Person, Policy, Run

    if settings.database_url is None and not (settings.data_dir / "backtalk.db").exists():
        return {"live": None}
    database = Database(settings.database)
    try:
        if database.revision() is None:
            return {"live": None}
        with database.read() as session:

            def count(table: type, *where: Any) -> int:
                counted: int = session.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()
                return counted

            live = policies.live(session)
            busy = session.exec(select(Run).where(col(Run.state).in_(("queued", "running")))).first()
            return {
                "live": live.number if live else None,
                "digest": live.digest[:12] if live else None,
                "live_at": live.live_at if live else None,
                "policies": count(Policy),
                "people": count(Person),
                "replies": count(Message, col(Message.role) == "assistant"),
                "opinions": count(Opinion, ~col(Opinion.withdrawn)),
                "comparisons": count(Comparison),
                "new_opinions": runs.new_feedback(session),
                "runs": count(Run),
                "running_run": f"{busy.id} ({busy.stage or busy.state}, {busy.progress:.0%})" if busy else None,
            }
    finally:
        database.close()
