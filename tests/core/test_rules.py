"""Rules of reward: what they count, and that an expression can say nothing but what it may."""

import pytest

from backtalk import rules
from backtalk.rules import RuleError


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        ("3 - emoji", "Well \U0001f600\U0001f600.", 1.0),
        ("words", "One two three.", 3.0),
        ("min(words, 2) + (questions > 0)", "Who is it?", 3.0),
        ("1 if sentences >= 2 and not exclamations else -1", "One. Two.", 1.0),
        ("1 if sentences >= 2 and not exclamations else -1", "One! Two.", -1.0),
        ("words / (sentences - 1)", "One.", 0.0),
        ("-abs(-2) * 2", "", -4.0),
        (("ship", "harbour"), "A ship, a Ship and shipping in the harbour", 3.0),
        (("你好",), "我说你好，你好", 2.0),
        (("c++",), "In C++ and c", 1.0),
    ],
)
def test_a_rule_by_hand(rule: rules.Rule, text: str, value: float) -> None:
    rules.check("own", rule)
    assert rules.value(rule, text) == pytest.approx(value)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "words.__class__",
        "(lambda: 1)()",
        "[1 for _ in (1, 2)]",
        "words ** 9",
        "open",
        "'words'",
        "max(words)",
        "abs(1, 2)",
        "min(*(1, 2))",
        "words if",
        "",
        "1" * 399,
        "9" + "+9" * 100,
        "(" * 190 + "1" + ")" * 190 + " +",
    ],
)
def test_an_expression_that_says_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(RuleError):
        rules.check("own", expression)


def test_the_longest_expression_and_the_most_words_are_told() -> None:
    with pytest.raises(RuleError, match="at most 400"):
        rules.check("own", "words + " * 60 + "1")
    with pytest.raises(RuleError, match="1 to 200"):
        rules.check("own", ("a",) * 201)
    with pytest.raises(RuleError, match="letters, digits"):
        rules.check("no slang", ("a",))


def test_styles_prefer_what_they_are_called_after() -> None:
    curt, long = "Yes.", "Well, that is a long story, and I shall tell it to you from its beginning to its very end."
    scored = rules.scored(tuple(rules.STYLES), {}, [curt, long])
    assert scored["brevity"][0] > scored["brevity"][1]
    jolly, sober = "Haha, wow, that's great fun! \U0001f600", "The sum is four, as the table shows."
    scored = rules.scored(tuple(rules.STYLES), {}, [jolly, sober])
    assert scored["humorous"][0] > scored["humorous"][1]
    assert scored["objective"][0] < scored["objective"][1]
    assert scored["formal"][0] < scored["formal"][1]
    cut, whole = "and then and then and then and", "And then it ended."
    scored = rules.scored(("format",), {}, [cut, whole])
    assert scored["format"][0] < scored["format"][1]
