"""`backtalk feedback …`"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from backtalk.cli.opened import ACTOR, opened
from backtalk.cli.output import AsJson, show_json

app = typer.Typer(help="Opinions as training data.", no_args_is_help=True)


class Form(StrEnum):
    """What a row of the export is."""

    preference = "preference"
    unpaired = "unpaired"
    demonstrations = "demonstrations"
    ledger = "ledger"


class Source(StrEnum):
    """Where a file comes from: what a row of it is."""

    preference = "preference"
    unpaired = "unpaired"
    demonstrations = "demonstrations"
    ledger = "ledger"
    open_webui = "open-webui"
    oasst = "oasst"
    sharegpt = "sharegpt"


@app.command()
def export(
    out: Annotated[Path, typer.Argument(dir_okay=False, help="File to write: *.jsonl, or *.parquet with pyarrow.")],
    form: Annotated[Form, typer.Option("--format", help="What a row is.")] = Form.preference,
    as_json: AsJson = False,
) -> None:
    """Write the opinions of all who agreed that they may train.

    preference, unpaired and demonstrations feed TRL's DPO, KTO and SFT trainers; ledger keeps everything.

    Example: backtalk feedback export --format unpaired thumbs.jsonl
    """
    from backtalk import audit, exports, privacy

    with opened() as (settings, database):
        with database.read() as session:
            count = exports.export(session, form.value, out, privacy.load(settings.data_dir))
        with database.write() as session:
            audit.record(session, ACTOR, "feedback.export", form.value, rows=count)
    if as_json:
        show_json({"format": form.value, "path": str(out), "rows": count})
    else:
        print(f"{count} rows written to {out}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="*.jsonl, *.json or *.parquet.")],
    form: Annotated[Source, typer.Option("--format", help="What a row is.")] = Source.preference,
    as_json: AsJson = False,
) -> None:
    """Take in opinions from elsewhere; they train as if they had been given here.

    From others: open-webui takes its export of all feedback, oasst trees, sharegpt conversations. All rows are taken or
    none. You vouch that the people behind them agreed.

    Example: backtalk feedback import --format unpaired thumbs.jsonl
    """
    from backtalk import audit, imports, policies
    from backtalk.template import Template

    with opened(make=True) as (settings, database):
        policies.ensure_first(database, settings)
        with database.write() as session:
            live = policies.live(session)
            assert live is not None  # ensure_first has made one
            template = Template(settings.weights_dir / live.directory)
            count = imports.take_in(session, form.value, source, template, live.number)
            audit.record(session, ACTOR, "feedback.import", form.value, rows=count)
    if as_json:
        show_json({"format": form.value, "path": str(source), "opinions": count})
    else:
        print(f"{count} opinions taken in from {source}")
