"""`backtalk starter …`"""

from pathlib import Path
from typing import Annotated

import typer

from backtalk.cli.output import CommandError

app = typer.Typer(help="The bundled first policy.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def build(
    out: Annotated[
        Path | None, typer.Option(help="Directory for the files; where the package keeps its own when left out.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where it is trained: cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Make the bundled model again from nothing: dialogues, tokenizer, pretraining, report.

    Example: backtalk starter build --out /tmp/starter
    """
    from backtalk import starter
    from backtalk.starter.build import NoDevice
    from backtalk.starter.build import build as make

    try:
        make(out or starter.FILES, device=device)
    except NoDevice as error:
        raise CommandError(str(error)) from error
