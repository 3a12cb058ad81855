"""A recipe given to a command as a file."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from backtalk.cli.output import CommandError

RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", metavar="FILE", help="JSON or TOML with what differs from the default recipe."),
]


def read_recipe(path: Path | None) -> dict[str, Any]:
    """What the file asks for; nothing when there is no file.

    Raises:
        CommandError: it is no JSON or TOML.
        RecipeError: it asks for something unknown.
    """
    from backtalk.recipe import load_recipe

    if path is None:
        return {}
    text = path.read_text()
    try:
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise CommandError(f"{path} cannot be read ({error}); expected TOML in *.toml, otherwise JSON") from error
    if not isinstance(values, dict):
        raise CommandError(f"{path} holds a {type(values).__name__}; expected an object such as {{'ppo': {{…}}}}")
    load_recipe(values)
    return values
