"""Rewards that are counted from a reply's text alone: styles that have names, and operators' own rules.

An operator's rule is a list of words, which counts how many of them a reply uses, or an expression over the measures of
`wording.py` such as `min(sentences, 3) - 2 * emoji`. Expressions are read as Python's syntax trees, of which only
numbers, measures, arithmetic, comparisons and the functions below pass: nothing in them can name anything else.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from backtalk.wording import TEXT_NAMES, text_features

Rule = str | tuple[str, ...]
"""An expression, or words."""
Measures = Mapping[str, float]

STYLES = {
    "objective": "-(first_person + words_of_joy + words_of_doubt + exclamations) / (1 + sentences)",
    "humorous": "(words_of_joy + emoji + exclamations) / (1 + sentences)",
    "formal": "(words_of_courtesy + second_person / 4 - contractions - emoji - exclamations) / (1 + sentences)",
    "brevity": "-log(1 + words)",
    "format": "max(ends_with_a_full_stop, ends_with_a_question, ends_with_an_exclamation) - 2 * words_said_twice",
}
"""What each style counts; proxies, made of what grammar books name."""
MOST_RULES = 20
MOST_WORDS = 200
LONGEST_WORD = 64
LONGEST_EXPRESSION = 400
MOST_PARTS = 120
LARGEST = 1e6


class RuleError(ValueError):
    """A rule that cannot be used; the message says what was found, what was expected and what to do."""


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name.removesuffix(" (log)")).lower()


_IDENTIFIERS = {name: _identifier(name) for name in TEXT_NAMES if _identifier(name).isidentifier()}
MEASURES = tuple(dict.fromkeys(_IDENTIFIERS.values()))
"""What expressions may speak of."""

_TWO: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right if right else 0.0,
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "log": lambda value: math.log(value) if value > 0 else 0.0,
}


def measures(text: str) -> dict[str, float]:
    """What expressions may speak of, for one text; counts of words are plain, not logarithms."""
    found: dict[str, float] = {}
    for name, value in zip(TEXT_NAMES, text_features(text), strict=True):
        if name in _IDENTIFIERS:
            found[_IDENTIFIERS[name]] = math.expm1(value) if name.endswith(" (log)") else value
    return found


def check(name: str, rule: Rule) -> None:
    """Let a rule pass.

    Raises:
        RuleError: it is neither words nor an expression, or says what rules may not say.
    """
    if not name.isidentifier() or len(name) > LONGEST_WORD:
        raise RuleError(f"the rule is called {name[:32]!r}; expected letters, digits and underscores, such as no_slang")
    if isinstance(rule, str):
        _compiled(rule)
        return
    if not rule or len(rule) > MOST_WORDS:
        raise RuleError(f"the rule {name} has {len(rule)} words; expected 1 to {MOST_WORDS}")
    for word in rule:
        if not word.strip() or len(word) > LONGEST_WORD:
            raise RuleError(f"the rule {name} has the word {word[:32]!r}; expected 1 to {LONGEST_WORD} characters")


def value(rule: Rule, text: str, known: Measures | None = None) -> float:
    """What a text is worth by a rule.

    Args:
        known: the text's `measures`, where they were taken already.
    """
    if isinstance(rule, str):
        found = _compiled(rule)(known if known is not None else measures(text))
        return min(max(found, -LARGEST), LARGEST) if math.isfinite(found) else 0.0
    return float(sum(len(_word(word).findall(text)) for word in rule))


def held(words: Sequence[str], text: str) -> list[str]:
    """Which of the words a text holds."""
    return [word for word in words if _word(word).search(text)]


def scored(names: Sequence[str], own: Mapping[str, Rule], texts: Sequence[str]) -> dict[str, list[float]]:
    """What each text is worth by each of the named styles and rules: name -> one value a text."""
    rules: dict[str, Rule] = {name: own[name] if name in own else STYLES[name] for name in names}
    taken = [measures(text) if rules else {} for text in texts]
    return {
        name: [value(rule, text, known) for text, known in zip(texts, taken, strict=True)]
        for name, rule in rules.items()
    }


@lru_cache(1024)
def _word(word: str) -> re.Pattern[str]:
    """Whole words in languages that put spaces between them."""
    bare = re.escape(word.strip())
    is_spaced = word.strip()[0].isascii() and word.strip()[-1].isascii()
    return re.compile(rf"(?<!\w){bare}(?!\w)" if is_spaced else bare, re.IGNORECASE)


@lru_cache(256)
def _compiled(text: str) -> Callable[[Measures], float]:
    if len(text) > LONGEST_EXPRESSION:
        raise RuleError(f"the expression has {len(text)} characters; at most {LONGEST_EXPRESSION} are taken")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise RuleError(f"the expression {text[:80]!r} cannot be read; expected one such as 3 - emoji") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_PARTS:
        raise RuleError(f"the expression {text[:80]!r} has too many parts; make two rules of it")
    try:
        return _meaning(tree.body)
    except OverflowError as error:
        raise RuleError(f"the expression {text[:80]!r} has a number that is too large") from error


def _meaning(node: ast.expr) -> Callable[[Measures], float]:
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            constant = float(number)
            return lambda known: constant
        case ast.Name(id=name) if name in MEASURES:
            return lambda known: known[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            of = _meaning(inner)
            return lambda known: -of(known)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            of = _meaning(inner)
            return lambda known: float(not of(known))
        case ast.BinOp(left=one, op=op, right=other) if type(op) in _TWO:
            left, right, two = _meaning(one), _meaning(other), _TWO[type(op)]
            return lambda known: two(left(known), right(known))
        case ast.Compare(left=one, ops=[op], comparators=[other]) if type(op) in _COMPARED:
            left, right, compared = _meaning(one), _meaning(other), _COMPARED[type(op)]
            return lambda known: float(compared(left(known), right(known)))
        case ast.BoolOp(op=op, values=values):
            parts, combine = [_meaning(part) for part in values], all if isinstance(op, ast.And) else any
            return lambda known: float(combine(part(known) for part in parts))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            if_, then, otherwise = _meaning(test), _meaning(body), _meaning(orelse)
            return lambda known: then(known) if if_(known) else otherwise(known)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
            function, given = _FUNCTIONS[name], [_meaning(argument) for argument in args]
            if (len(given) < 2) == (name in ("min", "max")):
                raise RuleError(f"{name} was given {len(given)} values; min and max take two or more, abs and log one")
            return lambda known: function(*(argument(known) for argument in given))
    found = ast.unparse(node)[:80]
    raise RuleError(
        f"{found!r} is not for rules; expected numbers, + - * /, comparisons, and, or, not, if, "
        f"{', '.join(_FUNCTIONS)}, and the measures {', '.join(MEASURES)}"
    )
