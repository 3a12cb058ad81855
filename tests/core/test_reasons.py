"""The console knows by their form the reasons that the server tells in English, and says them in Chinese."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtalk import forecast, policies, release, runs, schedules, sequential
from learner import gate
from server import swapper, watch

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


def raised(file: Path, error: str) -> Iterator[str]:
    """The sentences of all errors of this name that a file raises."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=[told])) if name == error:
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
    "run 7 is 7": [f"run 7 is {state}" for state in ("queued", "running")],
}
"""Sentences with a place for one of a few words, which no form can leave as it is."""


def as_said(sentence: str) -> list[str]:
    for some, several in NAMED.items():
        if some in sentence:
            return [sentence.replace(some, one) for one in several]
    return [sentence]


FOUND = {
    *(text for file in (ROOT / "learner").glob("*.py") for text in raised(file, gate.Rejected.__name__)),
    *(text for text in raised(Path(runs.__file__), runs.RunError.__name__) if "wait for it" in text),
    *assigned(policies, "reason"),
    *assigned(release, "reason"),
    *assigned(runs, "missed"),
    *assigned(schedules, "missed", "words"),
    *assigned(swapper, "reason"),
    *returned(forecast, "_obstacle"),
    *returned(watch, "reason"),
}
REASONS = sorted(one for sentence in FOUND for one in as_said(sentence))


def test_the_places_that_tell_reasons_are_found() -> None:
    assert len(REASONS) > 30
    assert any("not surely liked more" in reason for reason in REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_each_has_one_form(reason: str) -> None:
    assert len([form for form, _ in FORMS if re.search(form, reason, re.DOTALL)]) == 1


def test_no_form_is_left_of_a_reason_that_is_told_no_more() -> None:
    assert [form for form, _ in FORMS if not any(re.search(form, reason, re.DOTALL) for reason in REASONS)] == []
