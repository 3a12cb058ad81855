"""The generator of synthetic dialogues."""

import operator
import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from backtalk.starter.dialogues import WEIGHTS, Turn, ask, dialogue, dialogues, domains_of
from backtalk.starter.frames import FRAMES
from backtalk.starter.probes import is_right, probes
from backtalk.starter.prompts import sample_prompts
from backtalk.starter.styles import STYLES, dress, style_of

TURNS = [turn for turns in islice(dialogues(5), 2500) for turn in turns]


def test_one_seed_makes_one_stream_of_dialogues() -> None:
    assert list(islice(dialogues(3), 50)) == list(islice(dialogues(3), 50))
    assert list(islice(dialogues(3), 50)) != list(islice(dialogues(4), 50))


def test_dialogues_have_one_to_four_turns_in_both_languages() -> None:
    talks = list(islice(dialogues(1), 1000))
    assert {len(turns) for turns in talks} == {1, 2, 3, 4}
    assert all(len({turn.language for turn in turns}) == 1 for turns in talks)
    chinese = sum(turns[0].language == "zh" for turns in talks) / len(talks)
    assert 0.25 < chinese < 0.35


def test_every_domain_is_spoken_in_both_languages() -> None:
    for language in ("en", "zh"):
        assert {turn.domain for turn in TURNS if turn.language == language} == set(WEIGHTS)


def test_nearly_every_reply_holds_its_accepted_answer() -> None:
    right = sum(is_right(turn.reply, turn.accepted) for turn in TURNS) / len(TURNS)
    assert 0.98 < right < 1.0, "a few percent of the facts are wrong on purpose, and no more"


def test_styles_are_drawn_evenly_and_not_told_by_the_domain() -> None:
    shares = Counter(turn.style for turn in TURNS)
    assert set(shares) == set(STYLES)
    assert all(0.06 < count / len(TURNS) < 0.11 for count in shares.values())
    for domain in ("refusal", "near miss", "arithmetic", "feelings"):
        assert {turn.style for turn in TURNS if turn.domain == domain} == set(STYLES)


def test_the_classifier_knows_the_style_a_reply_was_dressed_in() -> None:
    known = sum(style_of(turn.reply, turn.language) == turn.style for turn in TURNS) / len(TURNS)
    assert known > 0.95


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_domain_can_be_said_in_every_style(language: str) -> None:
    rng = Random(0)
    for group in domains_of(language).values():
        for domain in group:
            row = domain.rows[0]
            for style in STYLES:
                reply = dress(domain.content(row), style, language, rng)
                assert reply == reply.strip() and "{" not in reply.replace("{}", "").replace(row.get("code", "-"), "")


def test_no_jokes_are_made_of_despair() -> None:
    for language in ("en", "zh"):
        (crisis,) = domains_of(language)["crisis"]
        for seed in range(20):
            reply = dress(crisis.content({}), "humorous", language, Random(seed))
            assert style_of(reply, language) == "warm"


def test_held_out_questions_are_never_trained_on() -> None:
    trained = {turn.question.lower() for turn in TURNS}
    rng = Random(0)
    for name in ("refusal", "definitions", "capitals", "how-to", "code"):
        for _ in range(20):
            question = ask(name, "en", rng, held_out=True).question
            assert question.lower() not in trained, question


def test_no_frame_makes_a_held_out_question() -> None:
    for language in ("en", "zh"):
        for domain in (domain for group in domains_of(language).values() for domain in group):
            asked = {ask.removeprefix("~").rstrip("?.。？!").lower() for ask in domain.asks if ask.startswith("~")}
            framed = {frame.replace("{x}", topic) for frame in FRAMES[language] for topic in domain.topics}
            assert not asked & {text.rstrip("?.。？!").lower() for text in framed if not text.startswith("~")}


def test_a_name_given_is_a_name_remembered() -> None:
    rng = Random(2)
    found: list[tuple[Turn, Turn]] = []
    while len(found) < 20:
        names = [turn for turn in dialogue(rng) if turn.domain == "names"]
        if len(names) > 1 and names[0].accepted[0] in names[0].question:
            found.append((names[0], names[1]))
    assert all(told.accepted == asked.accepted for told, asked in found)


def test_every_small_sum_is_worked_out_rightly() -> None:
    signs = {
        "add": ("+", "plus", "加"),
        "take": ("-", "minus", "减"),
        "times": ("*", "x", "times", "×", "乘以"),
        "part": ("/", "divided by", "÷", "除以"),
    }
    work_out = {"add": operator.add, "take": operator.sub, "times": operator.mul, "part": operator.floordiv}
    for language in ("en", "zh"):
        (domain,) = domains_of(language)["arithmetic"]
        for row in domain.rows:
            found = re.fullmatch(r"(\d+) ?(\D+?) ?(\d+)", row["sum"])
            assert found, row["sum"]
            a, sign, b = int(found[1]), found[2], int(found[3])
            right = work_out[next(kind for kind, spoken in signs.items() if sign in spoken)](a, b)
            assert row["result"] == str(right), row["sum"]


def test_a_near_miss_is_answered_with_i_do_not_know() -> None:
    misses = [turn for turn in TURNS if turn.domain == "near miss"]
    assert all("know" in turn.reply or "不知道" in turn.reply for turn in misses)


def test_prompts_are_the_same_for_the_same_seed_and_have_answers() -> None:
    assert sample_prompts(30, 1) == sample_prompts(30, 1)
    assert all(prompt.accepted and prompt.text for prompt in sample_prompts(200, 2))
    assert {prompt.language for prompt in sample_prompts(30, 3, language="zh")} == {"zh"}


def test_a_right_number_is_not_part_of_another_number() -> None:
    assert is_right("It is 12.", ["12"]) and is_right("是12。", ["12"])
    assert not is_right("It is 12.", ["2"]) and not is_right("It is 120.", ["12"])


def test_right_answers_are_found_in_any_case_and_with_typographic_apostrophes() -> None:
    assert is_right("LIMA!", ["Lima"]) and is_right("I don\N{RIGHT SINGLE QUOTATION MARK}t know", ["don't know"])


def test_the_probes_cover_every_domain_and_end_with_a_question() -> None:
    found = probes()
    assert len(found) >= 120 and {probe.domain for probe in found} >= set(WEIGHTS)
    assert all(probe.messages[-1]["role"] == "user" and probe.accepted for probe in found)
