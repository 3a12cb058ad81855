"""People, their roles, and who is let in, from the command line."""

import pytest

from backtalk.settings import PREFIX
from tests.cli.conftest import Command


def test_a_person_is_given_another_role_and_erased(backtalk: Command) -> None:
    ada = backtalk("person", "add", "ada", "--role", "admin", "--json").json
    assert "admin" in backtalk("person", "role", "ada", "user").err, "the last one stays"
    backtalk("person", "add", "bob")
    assert backtalk("person", "role", "bob", "admin").out == "bob is admin now\n"
    assert backtalk("person", "role", ada["id"], "rater", "--json").json["role"] == "rater"
    assert backtalk("person", "role", "ada", "queen").code == 2
    assert backtalk("person", "erase", "ada", "--yes", "--json").json == {"id": ada["id"], "erased": True}
    assert "no person" in backtalk("person", "erase", "ada", "--yes").err
    assert [one["name"] for one in backtalk("person", "list", "--json").json] == ["bob"]
    assert [row["action"] for row in backtalk("audit", "--target", ada["id"], "--json").json] == [
        "person.erase",
        "person.role",
        "person.add",
    ]
    assert "person.erase" in backtalk("audit").out


def test_erasing_asks_first(backtalk: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    backtalk("person", "add", "ada")
    monkeypatch.setattr("typer.confirm", lambda *_, **how: (_ for _ in ()).throw(KeyboardInterrupt))
    assert backtalk("person", "erase", "ada").code == 130
    assert len(backtalk("person", "list", "--json").json) == 1


def test_who_is_let_in_is_told_and_chosen(backtalk: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backtalk("person", "entrance").out == "guest\n"
    assert backtalk("person", "entrance", "invite", "--json").json == {"signup": "invite", "fixed": False}
    assert backtalk("person", "entrance", "--json").json["signup"] == "invite"
    assert backtalk("person", "entrance", "nobody").code == 2
    monkeypatch.setenv(f"{PREFIX}SIGNUP", "closed")
    assert backtalk("person", "entrance").out == "closed, as BACKTALK_SIGNUP says\n"
    refused = backtalk("person", "entrance", "open")
    assert refused.code == 1 and "unset it" in refused.err
