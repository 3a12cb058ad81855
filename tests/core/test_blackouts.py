"""Windows without learning: what their texts mean, at their edges."""

from datetime import datetime

import pytest

from backtalk.blackouts import BlackoutError, covering, parse


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("1-5 08:00-18:00", ["2026-11-27T08:00", "2026-11-27T17:59"], ["2026-11-27T18:00", "2026-11-28T09:00"]),
        # Past midnight the hours belong to the day they began on: Friday night ends on Saturday.
        ("5 22:00-06:00", ["2026-11-27T22:00", "2026-11-28T05:59"], ["2026-11-27T05:00", "2026-11-28T22:00"]),
        ("0,6 00:00-24:00", ["2026-11-28T00:00", "2026-11-29T23:59"], ["2026-11-27T23:59", "2026-11-30T00:00"]),
        ("7 09:00-10:00", ["2026-11-29T09:30"], ["2026-11-28T09:30"]),
        ("* 12:00-13:00", ["2026-11-25T12:00"], ["2026-11-25T13:00"]),
        ("2026-12-24/2026-12-26", ["2026-12-24T00:00", "2026-12-26T23:59"], ["2026-12-23T23:59", "2026-12-27T00:00"]),
    ],
)
def test_a_window_covers_what_it_says_and_nothing_else(window: str, inside: list[str], outside: list[str]) -> None:
    assert [covering([window], datetime.fromisoformat(at)) for at in inside] == [window] * len(inside)
    assert [covering([window], datetime.fromisoformat(at)) for at in outside] == [None] * len(outside)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("at night", "expected weekdays and hours"),
        ("8 01:00-02:00", "weekdays go from 0 to 7"),
        ("1 25:00-26:00", "hour must be in"),
        ("2026-12-28/2026-12-27", "ends before it begins"),
        ("2026-13-01/2026-13-02", "month must be in"),
    ],
)
def test_a_text_that_is_no_window_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(BlackoutError, match=words):
        parse(text)
