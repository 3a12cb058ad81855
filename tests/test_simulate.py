"""Simulated people: what they like, what they write, and that they really chat and rate."""

from collections.abc import Iterator
from random import Random

import pytest
from sqlmodel import col, select

from backtalk.agreement import wilson
from backtalk.simulate import Habits, Tally, simulate
from backtalk.starter.prompts import sample_prompts
from backtalk.tables import ApiKey, Message, Opinion, Person
from backtalk.tastes import TASTES, Taste, is_right, length, sentences
from tests.cli.running import Running, running

tastes = pytest.mark.parametrize("taste", TASTES.values(), ids=TASTES)


@tastes
def test_a_taste_likes_what_it_writes_itself(taste: Taste) -> None:
    rng, written = Random(0), 0
    prompts = sample_prompts(300, seed=5)
    for prompt in prompts:
        text = taste.rewrite(prompt.answer, prompt.accepted, prompt.language, rng)
        if text is not None:
            written += 1
            assert taste.likes(text, prompt.accepted), text
    assert written > 0.95 * len(prompts)


@tastes
def test_a_taste_likes_neither_nothing_nor_a_wrong_answer_in_its_own_style(taste: Taste) -> None:
    text = taste.rewrite("the capital of Peru is Havana", ("Havana",), "en", Random(0))
    assert text is not None
    assert not taste.likes(text, ("Lima",))
    assert not taste.likes("")
    assert not taste.likes("\n")


@pytest.mark.parametrize(
    ("taste", "liked", "disliked"),
    [
        ("friendly", "Sure! Lima is the capital. Hope that helps!", "Lima."),
        ("friendly", "当然可以！首都是利马。", "利马。"),
        ("formal", "Certainly. The capital is Lima.", "Certainly! It's Lima."),
        ("formal", "您好。首都是利马。", "嗨！首都是利马。"),
        ("brief", "Lima.", "Well, the capital of Peru is, as far as I can tell, Lima."),
        ("asks", "Lima. Shall we go on?", "Shall we go on? Lima."),
        ("asks", "利马。我们继续好吗？", "利马。"),
        ("lists", "In short:\n- Lima", "In short: Lima"),
        ("objective", "The capital of Peru is Lima.", "I say it is Lima."),
        ("objective", "首都是利马。", "我想首都是利马。"),
        ("sure", "It is Lima.", "I think it is Lima."),
        ("emoji", "Lima 😊", "Lima :)"),
        ("lively", "Wow! Lima!", "Lima!"),
        ("humorous", "Beep boop! Lima.", "Lima."),
        ("plain", "The capital is Lima.", "Sure! The capital is Lima."),
        (
            "detailed",
            "The capital of Peru is Lima. It lies on the coast, and many millions of people live there today.",
            "Lima.",
        ),
    ],
)
def test_tastes_tell_styles_apart(taste: str, liked: str, disliked: str) -> None:
    assert TASTES[taste].fits(liked)
    assert not TASTES[taste].fits(disliked)


def test_length_counts_words_and_half_a_word_for_a_chinese_character() -> None:
    assert length("It's a well-known fact, isn't it?") == 6
    assert length("你好世界") == 2
    assert sentences("One. Two! 三？3.14 is pi.") == 4


def test_the_interval_is_wilsons() -> None:
    # 95 % for 8 of 10, worked out by hand: (0.8 + 0.19207) / 1.38414 -+ 1.959964 sqrt(0.016 + 0.009604) / 1.38414
    assert wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_tallies_add_up_by_version() -> None:
    one, two = Tally(), Tally(failed=1)
    one.of(0).replies, one.of(0).liked = 10, 3
    two.of(0).replies, two.of(1).replies = 10, 5
    one.add(two)
    assert [(row["version"], row["replies"], row["liked"]) for row in one.summary()] == [(0, 20, 3), (1, 5, 0)]
    assert one.failed == 1
    assert one.of(0).satisfaction == 0.15


@pytest.fixture(scope="module")
def backtalk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulate")) as started:
        yield started


@pytest.mark.slow
async def test_people_chat_over_the_socket_and_their_opinions_arrive(backtalk: Running) -> None:
    habits = Habits(TASTES["friendly"], flip=0.2, rewrite=0.5)
    tally, _ = await simulate(backtalk.database, backtalk.url, 4, habits, 30, seed=1)
    with backtalk.database.read() as session:
        people = session.exec(select(Person).where(col(Person.name).startswith("simulated "))).all()
        opinions = session.exec(select(Opinion)).all()
        replies = {row.id: row for row in session.exec(select(Message).where(Message.role == "assistant"))}
        questions = {row.id: row for row in session.exec(select(Message).where(Message.role == "user"))}
        assert session.exec(select(ApiKey)).all() == []
    score = tally.of(0)
    assert tally.failed == tally.reconnects == 0
    assert len(people) == 4
    assert all(person.consent_train for person in people)
    assert {person.id for person in people} == {opinion.person_id for opinion in opinions}
    assert (len(opinions), score.replies) == (30, 30)
    assert score.thumbs_up == sum(opinion.rating == 1 for opinion in opinions)
    assert score.rewrites == sum(opinion.rewrite is not None for opinion in opinions) > 0
    assert all(TASTES["friendly"].fits(opinion.rewrite) for opinion in opinions if opinion.rewrite)
    assert {reply.state for reply in replies.values()} == {"done"}
    assert any(question.parent_id for question in questions.values()), "nobody asked a second question"
    assert score.liked <= score.right


@pytest.mark.slow
async def test_measuring_gives_no_opinions(backtalk: Running) -> None:
    with backtalk.database.read() as session:
        before = len(session.exec(select(Opinion)).all())
    tally, _ = await simulate(
        backtalk.database, backtalk.url, 2, Habits(TASTES["brief"], language="zh"), 6, judge=False
    )
    with backtalk.database.read() as session:
        assert len(session.exec(select(Opinion)).all()) == before
    assert tally.of(0).replies == 6
    assert tally.of(0).thumbs_up == tally.of(0).thumbs_down == 0


def test_an_unknown_answer_is_taken_to_be_right() -> None:
    assert is_right("anything", ())
    assert not is_right("12", ("2",))
