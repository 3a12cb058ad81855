"""Versions that wait and versions that are tried, from the command line."""

from pathlib import Path

from backtalk.database import Database
from backtalk.settings import Settings
from tests.cli.conftest import Command

Laid = tuple[Settings, Database]


def test_the_rules_of_release_are_shown_and_set(backtalk: Command, laid: Laid) -> None:
    assert backtalk("release", "show", "--json").json["approval"] == "automatic"
    changed = backtalk(
        *("release", "set", "--approval", "operator", "--canary", "--shares", "10,50", "--people", 4, "--json"),
    ).json
    assert (changed["approval"], changed["canary"], changed["canary_shares"]) == ("operator", True, [0.1, 0.5])
    assert "operator" in backtalk("release", "show").out
    with_hook = backtalk("release", "set", "--webhook", "https://hooks.example.org/x", "--json").json
    assert with_hook["webhook_secret"].startswith("whsec_")
    sent = backtalk("release", "test", "--json").json
    assert (sent["kind"], sent["delivered_at"]) == ("test", None), "a server takes it along"
    assert backtalk("release", "set", "--webhook", "", "--json").json["webhook_secret"] is None
    assert "no webhook is set" in backtalk("release", "test").err
    for wrong, words in (("5;25", "such as 5,25"), ("60", "at most 0.5")):
        refused = backtalk("release", "set", "--shares", wrong)
        assert refused.code == 1
        assert words in refused.err
    assert backtalk("release", "set").code == 2
    assert backtalk("release", "set", "--approval", "maybe").code == 2


def test_a_version_is_tried_approved_turned_down_and_taken_back(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    backtalk("policy", "export", 0, tmp_path / "model")
    assert backtalk("audit", "--action", "policy.export", "--json").json[0]["target"] == "0"
    for _ in range(3):
        backtalk("policy", "import", tmp_path / "model")
    none_yet = backtalk("policy", "watch")
    assert none_yet.code == 1
    assert "been tried" in none_yet.err
    assert "some of the people" in backtalk("policy", "canary", 1).out
    watched = backtalk("policy", "watch", "--json").json
    assert (watched["number"], watched["control"], watched["state"]) == (1, 0, "watching")
    assert "watching" in backtalk("policy", "watch", 1).out
    assert backtalk("policy", "rollback", "--json").json["number"] == 0
    assert backtalk("policy", "show", 1, "--json").json["state"] == "withdrawn"
    assert backtalk("policy", "reject", 2, "--reason", "too curt").out == "policy 2 is turned down\n"
    assert backtalk("policy", "reject", 2).code == 1
    assert backtalk("policy", "approve", 3, "--json").json["state"] == "live"
    kinds = [row["kind"] for row in backtalk("release", "announcements", "--json").json]
    assert kinds == ["promoted", "rejected", "rolled_back", "canary_began"]
    assert "rolled_back" in backtalk("release", "announcements").out
