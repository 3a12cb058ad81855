"""The command line: one word a job. Heavy imports wait inside the commands, so that `--help` is instant."""

import os
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from backtalk import __version__
from backtalk.cli import (
    audit,
    desk,
    feedback,
    people,
    play,
    policies,
    processes,
    release,
    rewards,
    runs,
    safekeeping,
    schedules,
    starter,
)
from backtalk.cli.output import CommandError, fail

app = typer.Typer(
    name="backtalk",
    help="A chat service that learns from the people who use it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command()(processes.up)
app.command()(processes.server)
app.command()(processes.engine)
app.command()(processes.learner)
app.command()(processes.status)
app.add_typer(people.app, name="person")
app.command()(runs.train)
app.add_typer(runs.app, name="run")
app.add_typer(schedules.app, name="schedule")
app.add_typer(policies.app, name="policy")
app.add_typer(release.app, name="release")
app.add_typer(rewards.app, name="reward")
desk.add_to(feedback.app)
app.add_typer(feedback.app, name="feedback")
app.command()(play.simulate)
app.command()(play.demo)
app.command()(play.bench)
app.add_typer(starter.app, name="starter")
app.command()(audit.audit)
app.command()(safekeeping.backup)
app.command()(safekeeping.verify)
app.add_typer(safekeeping.app, name="key")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"backtalk {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors that carry a sentence for the operator become that sentence."""
    _fill_standard_input()
    try:
        code = app(prog_name="backtalk", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(130) from None
    except TyperException as error:
        _refuse(error)
    except BrokenPipeError:  # `backtalk … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        from backtalk import sentences  # only errors pay for it

        sentence = str(error) if isinstance(error, CommandError) else sentences.of(error)
        if sentence is None:
            raise
        fail(sentence)
    raise SystemExit(code if isinstance(code, int) else 0)


def _refuse(error: TyperException) -> NoReturn:
    """Wrong usage: a group alone shows what it can do, anything else gets one sentence."""
    message = error.format_message()
    if "\n" in message:
        print(message, file=sys.stderr)
        raise SystemExit(2)
    message = message.removesuffix(".").replace(": Value error, ", ": ").removeprefix("Invalid value: ")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "backtalk"
    fail(f"{message[:1].lower()}{message[1:]}; `{command} --help` tells how it is used", 2)


def _fill_standard_input() -> None:
    """Give a process whose standard input is closed an empty one; else the first file it opens would become that."""
    try:
        os.fstat(0)
    except OSError:
        os.open(os.devnull, os.O_RDONLY)
