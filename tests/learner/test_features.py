"""What can be counted about a reply is counted rightly, in English and in Chinese."""

import math

import pytest
import torch

from backtalk.wording import TEXT_NAMES, text_features
from learner.features import NAMES, TOKEN_NAMES, describe
from learner.sequences import Exchange


def named(text: str) -> dict[str, float]:
    return dict(zip(TEXT_NAMES, text_features(text), strict=True))


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("One two three.", "words (log)", math.log(4)),
        ("It's fine.", "words (log)", math.log(3)),
        ("你好吗", "words (log)", math.log(4)),
        ("One two three.", "1 to 4 words", 1.0),
        ("One two three four five.", "1 to 4 words", 0.0),
        ("One two three four five.", "5 to 8 words", 1.0),
        ("word " * 33, "21 to 32 words", 0.0),
        ("One. Two! Three?", "sentences", 3.0),
        ("One. Two! Three?", "three sentences", 1.0),
        ("One. Two! Three?", "two sentences", 0.0),
        ("一。二！三？", "sentences", 3.0),
        ("One two. Three four.", "words a sentence (log)", math.log(3)),
        ("- a\n- b\n- c", "lines", 2.0),
        ("Yes. It is so.", "words of the first sentence (log)", math.log(2)),
        ("Yes. It is so.", "words of the last sentence (log)", math.log(4)),
        ("ab abcd", "letters a word", 3.0),
        ("Shall we? 😊", "ends with a question", 1.0),
        ("我们走吗？", "ends with a question", 1.0),
        ("Shall we? Yes.", "ends with a question", 0.0),
        ("Yes!", "ends with an exclamation", 1.0),
        ("Yes", "ends with a full stop", 0.0),
        ("好。", "ends with a full stop", 1.0),
        ("a? b? c?", "questions", 3.0),
        ("!" * 99, "exclamations", 6.0),
        ("a, b；c", "commas", 2.0),
        ("well…", "ellipses", 1.0),
        ("12 and 3", "numbers", 2.0),
        ("fun 😊🎉", "emoji", 2.0),
        ("* a\n1. b", "bullets", 2.0),
        ("In short:\n- a", "begins with a bullet", 0.0),
        ("ABcd", "capital letters", 0.5),
        ("ab你好", "Chinese", 0.5),
        ("so so so what", "words said twice", 0.5),
        ("Thank you, please!", "words of courtesy", 2.0),
        ("Thankless", "words of courtesy", 0.0),
        ("也许吧", "words of doubt", 1.0),
        ("I don't know", "negations", 1.0),
        ("I'm sure it isn't", "contractions", 2.0),
        ("", "words (log)", 0.0),
    ],
)
def test_a_feature_by_hand(text: str, name: str, value: float) -> None:
    assert named(text)[name] == pytest.approx(value)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", "😊", "？", "\ud83d", "x" * 20_000])
def test_odd_texts_have_finite_features(text: str) -> None:
    assert all(map(math.isfinite, text_features(text)))


def test_likelihood_features_by_hand() -> None:
    exchange = Exchange((1,), (5, 6, 2), "ab")
    row = dict(zip(NAMES, describe([exchange], [torch.tensor([-1.0, -3.0, -2.0])], ends=(2,))[0].tolist(), strict=True))
    found = [row[name] for name in TOKEN_NAMES]
    assert found == pytest.approx([-6.0, -2.0, -3.0, math.log(3), 0.0, 0.0])
    cut = describe([Exchange((1,), (5, 6), "ab")], [torch.tensor([-1.0, -3.0])], ends=(2,))
    assert dict(zip(NAMES, cut[0].tolist(), strict=True))["never ends"] == 1.0


def test_what_the_person_said_is_said_again() -> None:
    row = describe([Exchange((5, 6, 7), (6, 9, 7, 2), "")], [torch.zeros(4)], ends=(2,))[0]
    assert dict(zip(NAMES, row.tolist(), strict=True))["said again"] == 0.5


def test_every_feature_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) == describe([Exchange((1,), (2,), "a")], [torch.zeros(1)], ends=()).shape[1]


def test_nothing_to_describe_is_an_empty_table() -> None:
    assert describe([], [], ends=()).shape == (0, len(NAMES))
