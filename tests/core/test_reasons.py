"""The console knows by their form the reasons that the server tells in English, and says them in Chinese."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ErrorType
from sqlalchemy.exc import SQLAlchemyError

from backtalk import blackouts, forecast, policies, release, runs, schedules, sequential, trouble, weights
from learner import remote
from learner.advice import backtest
from server import errors, swapper, watch, webhook

ROOT = Path(__file__).parents[2]
FORMS: list[tuple[str, str]] = json.loads((ROOT / "client" / "src" / "operate" / "reasons-zh.json").read_text())
HOLE = "7"  # what stands in a sentence's places for values


def sentences(node: ast.expr) -> Iterator[str]:
    """What an expression may say: a text, with something in each of its places; one of several."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in parts)
        case ast.BoolOp(values=several):
            for one in several:
                yield from sentences(one)


def made(file: Path, *names: str) -> Iterator[str]:
    """The sentences that a file gives to calls of these names: the errors it makes."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=given) if name in names:
                for told in given:
                    yield from sentences(told)


def assigned(module: object, *names: str) -> Iterator[str]:
    """The sentences that a module gives to variables, fields and arguments of these names."""
    assert hasattr(module, "__file__")
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        match node:
            case ast.Assign(targets=targets, value=told):
                found = [target.elts if isinstance(target, ast.Tuple) else [target] for target in targets]
                values = told.elts if isinstance(told, ast.Tuple) else [told]
                for target, value in zip(found[0], values, strict=False):
                    if getattr(target, "id", getattr(target, "attr", None)) in names:
                        yield from sentences(value)


def returned(module: object, function: str) -> Iterator[str]:
    """The sentences that a function of a module may answer with."""
    assert hasattr(module, "__file__")
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from sentences(inner.value)


NAMED = {
    "the opinions 7 are": [f"the opinions {part} are" for part in ("taught", "held out")],
    "of 7 7; that": [f"of 7 {what}; that" for what in ("right answers to the golden questions", "refusals of harm")],
    "7: 7 of 7 in": [f"{name.replace('_', ' ')}: 7% of 7 in" for name in sequential.WEIGHTS],
    "7 7s; at most": [f"7 {what}s; at most" for what in ("aspect", "reason")],
    "there is no 7 7": [f"there is no {what} 7" for what in ("opinion", "comparison")],
    "run 7 is 7": [f"run 7 is {state}" for state in ("queued", "running")],
}
"""Sentences with a place for one of a few words, which no form can leave as it is."""


def as_said(sentence: str) -> list[str]:
    for some, several in NAMED.items():
        if some in sentence:
            return [sentence.replace(some, one) for one in several]
    return [sentence]


ERRORS = [kind.__name__ for kind in (*errors.Refusal.__subclasses__(), *errors.CORE)]
ERRORS += ["BlackoutError", "DeskError", "NoSuchReply", "PersonConflict", "RuleError", "StorageError", "TemplateError"]
ERRORS += [
    "EngineError",
    "EngineLost",
    "LoadFailed",
    "NotFinite",
    "Rejected",
    "RolloutFailed",
    "Unsent",
    "WeightsError",
]
ERRORS += ["_Slow", "_report"]
"""Names of what is called with a reason."""

APART = {"admission.py", "hub.py", "imports.py", "opinions.py"}
"""What these say is told on the command line and in the chat."""

FILES = [
    *(file for file in (ROOT / "backtalk").glob("*.py") if file.name not in APART),
    ROOT / "backtalk" / "engine" / "client.py",
    *(ROOT / "learner").glob("*.py"),
    *(ROOT / "server" / "operate").glob("*.py"),
    *(ROOT / "server" / f"{name}.py" for name in ("access", "edge", "errors", "swapper", "webhook")),
]
"""Where what reaches the console is made."""

ELSEWHERE = (
    " list` shows those there are",
    "this invitation",
    "the Authorization header",
    "this API key",
    "send JSON with",
    "this page is not from here",
)
"""What only the command line, programs and the page of signing up are told."""

BOUNDS: dict[str, str | int] = {
    "ge": 7,
    "gt": 7,
    "le": 7,
    "lt": 7,
    "field_type": "List",
    "actual_length": 7,
    "expected": "'7' or '8'",
}
FIELDS: dict[ErrorType, dict[str, str | int]] = {
    "missing": {},
    "extra_forbidden": {},
    "greater_than_equal": BOUNDS,
    "greater_than": BOUNDS,
    "less_than_equal": BOUNDS,
    "less_than": BOUNDS,
    "finite_number": {},
    "literal_error": BOUNDS,
    "int_type": {},
    "int_parsing": {},
    "int_from_float": {},
    "float_type": {},
    "float_parsing": {},
    "bool_type": {},
    "bool_parsing": {},
    "string_type": {},
    "dict_type": {},
    "list_type": {},
    "string_too_short": {"min_length": 7},
    "string_too_long": {"max_length": 7},
    "too_short": BOUNDS | {"min_length": 7},
    "too_long": BOUNDS | {"max_length": 7},
    "value_error": {"error": HOLE},
}
"""What pydantic finds in the fields of a form, by its names."""


def of_fields() -> Iterator[str]:
    """What is said of a field, by itself and with the place where it stands."""
    for kind, values in FIELDS.items():
        message = PydanticKnownError(kind, values or None).message()
        yield message
        if kind != "value_error":
            yield errors.first_fault([{"loc": ("body", "canary_people"), "msg": message}])


def of_failed_runs() -> Iterator[str]:
    """What a failed run tells, whole and in its parts: why, and what to do."""
    unforeseen = [MemoryError(), OSError(28, HOLE), weights.WeightsError(HOLE), SQLAlchemyError(HOLE)]
    told = [trouble.of_error("policy", error) for error in (*unforeseen, OSError(HOLE), KeyError(HOLE))]
    told += [trouble.of_exit("policy", code) for code in (1, -9)]
    for sentence in told:
        yield sentence
        yield from sentence.removeprefix("in step policy: ").split("; ", 1)


FOUND = {
    *(text for file in FILES for text in made(file, *ERRORS)),
    *(text for name in ("blackouts", "recipe") for text in made(ROOT / "backtalk" / f"{name}.py", "ValueError")),
    *returned(blackouts, "_expected"),
    *assigned(errors, "message"),
    *assigned(remote, "failure"),
    *assigned(backtest, "TOO_FEW"),
    *assigned(webhook, "error"),
    *of_fields(),
    *of_failed_runs(),
    *assigned(policies, "reason"),
    *assigned(release, "reason"),
    *assigned(runs, "missed"),
    *assigned(schedules, "missed", "words"),
    *assigned(swapper, "problem", "reason"),
    *returned(forecast, "_obstacle"),
    *returned(watch, "reason"),
}
REASONS = sorted(one for text in FOUND if not any(sign in text for sign in ELSEWHERE) for one in as_said(text))


def test_the_places_that_tell_reasons_are_found() -> None:
    assert len(REASONS) > 150
    assert any("not surely liked more" in reason for reason in REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_each_has_one_form(reason: str) -> None:
    assert len([form for form, _ in FORMS if re.search(form, reason, re.DOTALL)]) == 1


def test_no_form_is_left_of_a_reason_that_is_told_no_more() -> None:
    assert [form for form, _ in FORMS if not any(re.search(form, reason, re.DOTALL) for reason in REASONS)] == []


@pytest.mark.parametrize(("form", "chinese"), FORMS)
def test_each_value_is_told_once_in_chinese(form: str, chinese: str) -> None:
    places = sorted(int(one or other) for one, other in re.findall(r"\$(\d)|\{(\d)\}", chinese))
    assert places == list(range(1, re.compile(form).groups + 1))
