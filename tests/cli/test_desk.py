"""The feedback desk and the reward profiles from the command line."""

import json
from pathlib import Path
from uuid import UUID

from sqlmodel import select

from backtalk import opinions, people
from backtalk.database import Database
from backtalk.settings import Settings
from backtalk.tables import Opinion, Person, RateItem, now
from tests.cli.conftest import Command

Laid = tuple[Settings, Database]


def lay(backtalk: Command, tmp_path: Path) -> None:
    """Two people and what they said of replies with an address in them."""
    rows = [
        {
            "person_id": f"person {number % 2}",
            "prompt": [{"role": "user", "content": f"What is {number} + {number}?"}],
            "reply": f"Well, {number + number}! Ask ada@example.org.",
            "rating": 1 if number % 3 else -1,
        }
        for number in range(24)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert backtalk("feedback", "import", "--format", "ledger", tmp_path / "rows.jsonl").code == 0


def test_feedback_is_listed_read_and_kept_out(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    lay(backtalk, tmp_path)
    rows = backtalk("feedback", "list", "--rating", -1, "--json").json
    assert len(rows) == 8 and all("[mail 1]" in row["reply"] for row in rows)
    assert backtalk("feedback", "list", "--rewritten").out.startswith("no feedback")
    assert len(backtalk("feedback", "list", "--not-rewritten", "--json").json) == 20, "as many as are shown at once"
    assert backtalk("feedback", "list", "--since", "2100-01-01").out.startswith("no feedback")
    assert backtalk("feedback", "list", "--rating", 3).code == 2
    thread = backtalk("feedback", "show", rows[0]["id"], "--json").json
    assert [turn["role"] for turn in thread] == ["user", "assistant"]
    read = backtalk("audit", "--action", "feedback.read", "--json").json
    assert [(one["actor"], one["target"]) for one in read] == [("command line", rows[0]["id"])]
    assert "learned from it: none" in backtalk("feedback", "exclude", rows[0]["id"], "--reason", "odd").out
    with laid[1].read() as session:
        assert session.get_one(Opinion, UUID(rows[0]["id"])).excluded
    assert [row["id"] for row in backtalk("feedback", "list", "--excluded", "--json").json] == [rows[0]["id"]]
    person = rows[0]["person_id"]
    assert backtalk("feedback", "exclude", "--person", person, "--json").json == {"excluded": True, "versions": []}
    with laid[1].read() as session:
        assert [str(one) for one in session.exec(select(Person.id).where(Person.excluded)).all()] == [person]
    assert backtalk("feedback", "include", "--person", person).code == 0
    assert backtalk("feedback", "exclude").code == 2
    assert "no person" in backtalk("feedback", "exclude", "--person", "nobody").err
    assert "no opinion" in backtalk("feedback", "show", person).err
    assert backtalk("feedback", "delays").out.startswith("no version has learned")


def test_what_passes_the_filters_is_saved(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    lay(backtalk, tmp_path)
    out = tmp_path / "down.jsonl"
    assert backtalk("feedback", "list", "--rating", -1, "--out", out).out == f"8 rows written to {out}\n"
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["rating"] for row in rows] == [-1] * 8 and "[mail 1]" in rows[0]["reply"]
    told = backtalk("audit", "--action", "feedback.export", "--json").json[0]
    assert (told["actor"], told["detail"]["rows"], told["detail"]["rating"]) == ("command line", 8, -1)


def test_what_people_are_asked_for_is_told_and_changed(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    before = backtalk("feedback", "asking", "--json").json
    file = tmp_path / "reasons.json"
    file.write_text(json.dumps([*before["reasons"], {**before["reasons"][0], "id": "rude"}]))
    after = backtalk("feedback", "asking", "--compare-share", 0.25, "--reasons", file, "--json").json
    assert after["compare_share"] == 0.25 and after["aspects"] == before["aspects"]
    assert [one["id"] for one in after["reasons"]][-1] == "rude"
    file.write_text('[{"name": "rude"}]')
    refused = backtalk("feedback", "asking", "--reasons", file)
    assert refused.code == 1 and "expected a list as" in refused.err
    assert backtalk("feedback", "asking", "--compare-share", 2).code == 2


def test_raters_are_known_by_gold_and_by_each_other(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    lay(backtalk, tmp_path)
    assert "no rater has answered" in backtalk("feedback", "labelling", "--gold-share", 0.25).out
    first, *_ = backtalk("feedback", "list", "--json").json
    assert backtalk("feedback", "gold", first["id"], "--answer", "down").out == "a gold item now: down\n"
    with laid[1].write() as session:
        rater = people.add(session, "rita", "rater")
        item = RateItem(person_id=rater.id, message_id=UUID(first["message_id"]), done_at=now())
        session.add(item)
        session.flush()
        opinions.judge(session, rater.id, item.message_id, opinions.Judgement(rating=-1))
    told = backtalk("feedback", "labelling", "--json").json
    assert told["rules"]["gold_share"] == 0.25
    assert [(one["name"], one["gold"], one["gold_right"]) for one in told["raters"]] == [("rita", 1, 1)]
    assert "1 of 1 (21% to 100%)" in backtalk("feedback", "labelling").out
    assert {row["message_id"] for row in backtalk("feedback", "list", "--gold", "--json").json} == {first["message_id"]}
    assert backtalk("feedback", "gold", first["id"]).code == 2
    assert "up or down" in backtalk("feedback", "gold", first["id"], "--answer", "left").err
    assert backtalk("feedback", "gold", first["id"], "--remove", "--json").json["gold"] is None


def test_a_profile_is_made_checked_changed_and_removed(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    lay(backtalk, tmp_path)
    made = backtalk(
        *("reward", "set", "calm", "--rule", "calm=-exclamations", "--weight", "calm=0.5"),
        *("--words", "fillers=well, um", "--weight", "fillers=-1", "--limit", "maximum_kl=2", "--activate", "--json"),
    ).json
    assert made["weights"] == {"preference": 1.0, "calm": 0.5, "fillers": -1.0}
    assert made["rules"] == {"calm": "-exclamations", "fillers": ["well", "um"]} and made["active"] is True
    kept = backtalk("reward", "set", "calm", "--weight", "brevity=0.2", "--forbid", "ask, darn", "--json").json
    assert (kept["revision"], kept["forbidden"]) == (2, ["ask", "darn"])
    history = backtalk("reward", "show", "calm", "--history", "--json").json["history"]
    assert [row["revision"] for row in history] == [2, 1] and "brevity" not in history[1]["weights"]
    checked = backtalk("reward", "check", "calm", "--json").json
    assert checked["replies"] == 24 and checked["missing"] == [] and checked["forbidden"] == 1.0
    assert checked["validation"]["preference"]["people"] == 2
    assert "preference: auc" in backtalk("reward", "check", "calm").out
    for wrong in ("calm=__import__('os')", "calm=words.real"):
        refused = backtalk("reward", "set", "calm", "--rule", wrong)
        assert refused.code == 1 and "not for rules" in refused.err
    assert backtalk("reward", "set", "calm", "--weight", "calm").code == 2
    assert "calm" in backtalk("reward", "list").out
    assert backtalk("reward", "remove", "calm").code == 0
    assert "no reward profile" in backtalk("reward", "show", "calm").err
