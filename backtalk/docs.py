"""`python -m backtalk.docs`: write the pages that the code itself knows best; `--check` says whether they are fresh."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 100
NOTE = "<!-- Written by `python -m backtalk.docs`; change the code instead. -->\n\n"


def command_line() -> str:
    """Every command with its help."""
    import typer

    from backtalk.cli import app

    return NOTE + "# The command line\n\n" + "\n".join(_pages(typer.main.get_command(app), "backtalk", None))


def _pages(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = command.context_class(command, info_name=name.split()[-1], parent=parent, **command.context_settings)
    context.terminal_width = WIDTH  # help must not depend on whose terminal wrote it
    text = "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
    yield f"{'#' * (1 + max(1, len(name.split()) - 1))} {name}\n\n```text\n{text}\n```\n"
    for word, child in getattr(command, "commands", {}).items():
        yield from _pages(child, f"{name} {word}", context)


def settings() -> str:
    """Every setting with its default and meaning."""
    from backtalk.settings import CONFIG_FILE, PREFIX, Settings

    lines = [
        "# Settings\n",
        f"From the environment, or from `{CONFIG_FILE}` in the working directory under the name without `{PREFIX}` in",
        "small letters. The environment wins. An unknown name is an error.\n",
        "| name | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if field.default is not None else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return NOTE + "\n".join(lines) + "\n"


def recipe() -> str:
    """Every field of a recipe with its default and meaning, part by part."""
    from backtalk.recipe import Recipe

    lines = [
        "# Recipes\n",
        "What decides how a run learns. A recipe file (JSON or TOML, `backtalk train --recipe FILE`) names what",
        "differs from these defaults; an unknown field or a value out of its bounds is an error. Why they are what",
        "they are: [learning.md](learning.md).",
    ]
    fields = Recipe.model_fields.items()
    lines += ["", *_fields((name, field) for name, field in fields if not isinstance(field.default, BaseModel))]
    for name, field in fields:
        if part := _part(field):
            lines += [f"\n## {name}\n", f"{field.description}\n", *_fields(part.model_fields.items())]
    return NOTE + "\n".join(lines) + "\n"


def _part(field: FieldInfo) -> type[BaseModel] | None:
    """The part of a recipe that a field holds; also one that is absent unless it is asked for."""
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _fields(fields: Iterable[tuple[str, FieldInfo]]) -> list[str]:
    rows = [f"| `{name}` | `{json.dumps(field.default)}` | {field.description} |" for name, field in fields]
    return ["| field | default | meaning |", "|---|---|---|", *rows]


PAGES = {"cli.md": command_line, "settings.md": settings, "recipe.md": recipe}


def main() -> None:
    """Write the pages, or compare them."""
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path)
        if "--check" not in sys.argv[1:]:
            DOCS.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"{path.relative_to(DOCS.parent)} written")
    if stale and "--check" in sys.argv[1:]:
        names = ", ".join(str(path.relative_to(DOCS.parent)) for path in stale)
        sys.exit(f"{names} not fresh; run `python -m backtalk.docs` and commit what it writes")


if __name__ == "__main__":
    main()
