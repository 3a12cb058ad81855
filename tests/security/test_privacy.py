"""What is private is found and replaced; what only looks so is left."""

import time
from pathlib import Path

import pytest

from backtalk import privacy
from backtalk.privacy import PrivacyError, Redactor
from tests.security import corpus


def test_the_corpus_is_judged_and_its_scores_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    scores, wrong = corpus.judge(corpus.samples(seed=1, count=3000))
    with capsys.disabled():
        print()
        for name, score in sorted(scores.items()):
            print(
                f"  {name:14} recall {score.recall:.3f}  precision {score.precision:.3f}  of {score.hit + score.missed}"
            )
    assert len(scores) >= 2 * len(privacy.KINDS)
    for name, score in scores.items():
        if not name.endswith("none"):
            assert min(score.recall, score.precision) > 0.97, (name, wrong[:5])
    assert sum(score.false for name, score in scores.items() if name.endswith("none")) < 10, wrong


def test_most_of_what_people_write_by_hand_is_found_too() -> None:
    scores, wrong = corpus.judge(corpus.by_hand())
    hits = sum(score.hit for score in scores.values())
    assert hits >= 28, wrong
    assert len(wrong) <= 4, wrong


def test_the_same_value_has_the_same_placeholder_in_one_conversation() -> None:
    redact = Redactor()
    assert redact("Call 138 1234 5678 or mail a@example.com") == "Call [phone 1] or mail [mail 1]"
    assert redact("打13812345678，不是13912345678") == "打[phone 1]，不是[phone 2]"
    assert Redactor()("A@EXAMPLE.COM, a@example.com") == "[mail 1], [mail 1]"


def test_a_text_without_anything_private_stays_as_it_is() -> None:
    text = "Nothing here. 这里什么都没有。 １２３ abc \U0001f642"
    assert Redactor()(text) == text
    assert Redactor()(Redactor()("mail a@example.com")) == "mail [mail 1]"


def test_an_operators_own_patterns_come_first(tmp_path: Path) -> None:
    (tmp_path / privacy.FILE).write_text("# ours\ncase: C-[0-9]{4}\n\n")
    redact = Redactor(privacy.load(tmp_path))
    assert redact("see C-1234 and a@example.com") == "see [case 1] and [mail 1]"
    assert privacy.load(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("line", "words"), [("nonsense", "name"), ("a b: x", "name"), ("x: (", "line 1"), ("x: a*", "empty")]
)
def test_a_pattern_that_is_none_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / privacy.FILE).write_text(line)
    with pytest.raises(PrivacyError, match=words):
        privacy.load(tmp_path)


HOSTILE = ["a" * 32_000, "a." * 16_000, "1 " * 16_000, "1-" * 16_000, ":" * 32_000, "a:" * 16_000, "eyJ" * 10_000]
HOSTILE += ["-----BEGIN PRIVATE KEY-----" * 1000, "password is " * 2500, "+1 " * 10_000, "@" * 32_000, "a@b." * 8_000]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    privacy.find(text)
    assert time.process_time() - began < 20  # it is far under one; what must not be is growth with the square
