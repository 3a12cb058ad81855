"""`backtalk backup`, `backtalk verify` and `backtalk key`."""

from pathlib import Path
from typing import Annotated

import typer

from backtalk.cli.opened import opened
from backtalk.cli.output import AsJson, CommandError, show

app = typer.Typer(help="The keys that encrypt texts in the database (setting `encrypt`).", no_args_is_help=True)


def backup(
    out: Annotated[Path, typer.Argument(help="A directory that is not there yet, or a file ending in .tar.gz.")],
) -> None:
    """Copy database, weights and keys while everything runs.

    The copy is a data directory again.

    Example: backtalk backup /backups/monday && BACKTALK_DATA_DIR=/backups/monday backtalk verify
    """
    from backtalk import safekeeping

    with opened() as (settings, database):
        safekeeping.backup(settings, database, out)
        elsewhere = settings.secret_key_file
    print(f"backup written to {out}; it holds the keys, so keep it as safe as they are")
    if elsewhere is not None:
        print(f"the secret key is not in it, because it lies elsewhere: keep {elsewhere} too")


def verify(as_json: AsJson = False) -> None:
    """Check database, audit chain and weights.

    Weights are checked against their manifests and signatures. Exit code 1 if anything is not whole.

    Example: backtalk verify --json
    """
    from backtalk import safekeeping

    with opened() as (settings, database):
        findings = list(safekeeping.verify(settings, database))
    rows = [{"what": finding.what, "whole": finding.is_whole, "detail": finding.detail} for finding in findings]
    show(rows, ("what", "whole", "detail"), as_json, "nothing to check")
    bad = [finding.what for finding in findings if not finding.is_whole]
    if bad:
        raise CommandError(f"{', '.join(bad)} not whole; restore from a backup, or look at the lines above")


@app.command("rotate")
def rotate() -> None:
    """Make a fresh key, encrypt everything with it, and forget the older ones. The server may run meanwhile.

    Example: backtalk key rotate
    """
    from backtalk import reseal

    with opened() as (_, database):
        count = reseal.turn(database, _say)
    print(f"{count} values are encrypted with a fresh key; the older keys are gone")


@app.command("apply")
def apply() -> None:
    """Encrypt what is not encrypted yet, or decrypt everything where encryption is turned off.

    Example: BACKTALK_ENCRYPT=true backtalk key apply
    """
    from backtalk import reseal, sealing

    with opened() as (_, database):
        count = reseal.apply(database, _say)
    print(f"{count} values were {'encrypted' if sealing.seals() else 'decrypted'}")


def _say(table: str, count: int) -> None:
    print(f"  {table}: {count}")
