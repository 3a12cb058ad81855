"""`python -m server.typescript`: what the server says and hears, as the types of the web client.

They are written to `client/src/wire/` and kept with the client; `--check` tells, without writing, whether they are what
the server speaks today.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from backtalk.settings import Settings
from server.app import make_app
from server.events import ChatEvent, ChatRequest
from server.operate.live import OperateEvent

WIRE = Path(__file__).parents[1] / "client" / "src" / "wire"
HEAD = """/**
 * {}
 *
 * Made by `python -m server.typescript`; change the server's types instead.
 */
"""
SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
REFS = ("#/components/schemas/", "#/$defs/")

Schema = dict[str, Any]


def files() -> dict[str, str]:
    """The client's types, by the name of their file."""
    return {"chat.ts": _chat(), "http.ts": _http()}


def _chat() -> str:
    asked = TypeAdapter(ChatRequest).json_schema()
    told = TypeAdapter(ChatEvent).json_schema(mode="serialization")
    parts = [HEAD.format("The words of the chat socket.")]
    parts += _declared(asked.pop("$defs"), told=())
    parts += _declared(told["$defs"], told=told.pop("$defs"))
    parts += [f"export type {name} = {_type(union)}\n" for name, union in (("ChatRequest", asked), ("ChatEvent", told))]
    return "\n".join(parts)


def _http() -> str:
    with tempfile.TemporaryDirectory() as directory:
        document = make_app(Settings(data_dir=Path(directory))).openapi()
    known: dict[str, Schema] = document["components"]["schemas"]
    events = TypeAdapter(OperateEvent).json_schema(mode="serialization", ref_template=f"{REFS[0]}{{model}}")
    asked: list[Schema] = []
    told: list[Schema] = [events]
    for path, operations in document["paths"].items():
        if path.startswith("/api/"):  # what programs speak is documented by those who made it
            for operation in operations.values():
                asked.append(operation.get("requestBody", {}))
                told.append(operation["responses"])
    known |= events.pop("$defs")
    answers = _reached(told, known)
    wanted = answers | _reached(asked, known)
    parts = [HEAD.format("What the server and its pages tell each other over HTTP, and the news of the console.")]
    parts += _declared({name: known[name] for name in sorted(wanted)}, told=answers)
    parts.append(f"export type OperateEvent = {_type(events)}\n")
    return "\n".join(parts)


def _reached(schemas: Iterable[Any], known: Mapping[str, Schema]) -> set[str]:
    """Names of all types that these schemas speak of, and those speak of."""
    found: set[str] = set()
    waiting = [name for schema in schemas for name in _names(schema)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names(known[name])
    return found


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rsplit("/", 1)[1]
        for part in schema.values():
            yield from _names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _names(part)


def _declared(schemas: Mapping[str, Schema], told: Iterable[str]) -> Iterator[str]:
    """The declarations of these types.

    Args:
        told: those that the server says: it leaves nothing out, not even what has its usual value.
    """
    for name, schema in schemas.items():
        yield _comment(schema, "") + (
            f"export interface {_name(name)} {_object(schema, '', name in told)}\n"
            if "properties" in schema
            else f"export type {_name(name)} = {_type(schema)}\n"
        )


def _object(schema: Schema, indent: str, is_told: bool) -> str:
    inner = f"{indent}  "
    lines = []
    for name, field in schema["properties"].items():
        is_there = is_told or name in schema.get("required", ())
        lines.append(f"{_comment(field, inner)}{inner}{name}{'' if is_there else '?'}: {_type(field)}\n")
    return "{\n" + "".join(lines) + f"{indent}}}"


def _type(schema: Schema) -> str:
    """A schema as a type.

    Raises:
        ValueError: it says something that has no type here yet.
    """
    if "$ref" in schema:
        return _name(schema["$ref"].rsplit("/", 1)[1])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(_type(part) for part in schema[union]))
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(map(_literal, schema["enum"]))
    match schema.get("type"):
        case "array":
            item = _type(schema.get("items", {}))
            return f"({item})[]" if " | " in item else f"{item}[]"
        case "object":
            inner = schema.get("additionalProperties", True)
            return f"Record<string, {_type(inner) if isinstance(inner, dict) and inner else 'unknown'}>"
        case None:
            return "unknown"
        case str(kind) if kind in SIMPLE:
            return SIMPLE[kind]
    raise ValueError(f"{schema} cannot be told in TypeScript yet")


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _name(name: str) -> str:
    """`server__rate__Pair` is called `RatePair`: of two types of one name each is told with where it lives."""
    *where, last = name.replace("-", "").split("__")
    return where[-1].title().replace("_", "") + last if where else last


def _comment(schema: Schema, indent: str) -> str:
    said = " ".join(schema.get("description", "").split()).replace("*/", "* /")
    return f"{indent}/** {said} */\n" if said else ""


def main(arguments: list[str] | None = None) -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(prog="python -m server.typescript", description="The web client's types.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not fresh")
    given = parser.parse_args(arguments)
    made = {WIRE / name: text for name, text in files().items()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if given.check and stale:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"client/src/wire: {names} tells not what the server speaks; run `python -m server.typescript`")
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made[path])


if __name__ == "__main__":
    main()
