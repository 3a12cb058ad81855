"""`backtalk audit`."""

from typing import Annotated

import typer

from backtalk.cli.opened import opened
from backtalk.cli.output import AsJson, pick, show

FIELDS = ("seq", "at", "actor", "action", "target", "detail", "digest")


def audit(
    actor: Annotated[str | None, typer.Option(help="Only what this person (id) or process did.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as policy.promote.")] = None,
    target: Annotated[str | None, typer.Option(help="Only what was done to this.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List who did what, when. `backtalk verify` proves that nothing in it was changed.

    Example: backtalk audit --action policy.promote
    """
    from backtalk import audit as log

    with opened() as (_, database), database.read() as session:
        rows = [pick(row, FIELDS) for row in log.newest(session, limit, actor=actor, action=action, target=target)]
    show(rows, FIELDS[:-1], as_json, "nothing passes these filters")
