"""What is private reaches neither a training nor a rater nor an export: placeholders stand in its place (SEC-16)."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from backtalk import exports, privacy, starter
from backtalk.database import Database
from backtalk.recipe import Recipe
from backtalk.template import Template
from learner.dataset import Snapshot, take_snapshot
from tests.learner.town import Town, first_policy
from tests.server.api.conftest import running

PHONE, MAIL, CASE = "13812345678", "lilei@example.cn", "C-1234"
QUESTION = f"Call me on {PHONE} or mail {MAIL} about {CASE}"
ANSWER = f"I will call {PHONE}."


@pytest.fixture
def template() -> Template:
    return Template(Path(starter.FILES))


def snapshot(database: Database, template: Template, tmp_path: Path, **reply: object) -> Snapshot:
    (tmp_path / privacy.FILE).write_text("case: C-[0-9]{4}\n")
    first_policy(database)
    with database.write() as session:
        town = Town(session, template)
        ann, bob = town.person(), town.person()
        private = town.reply(ann, QUESTION, ANSWER, **reply)  # type: ignore[arg-type]
        town.rate(ann, private, -1, rewrite=f"I shall ring {PHONE} tomorrow.")
        harmless = town.reply(bob, "What is the capital of France?", "Paris.")
        town.rate(bob, harmless, 1)
    with database.read() as session:
        return take_snapshot(session, uuid4(), template, Recipe().data, privacy.load(tmp_path))


def test_a_training_sees_placeholders(database: Database, template: Template, tmp_path: Path) -> None:
    found = snapshot(database, template, tmp_path)
    exchanges = [*found.examples.exchanges(), *(one.exchange for one in found.examples.demonstrations)]
    exchanges += [logged.exchange for logged in found.replies]
    texts = [template.text(one.prompt) + template.text(one.reply) + one.text for one in exchanges]
    assert not any(secret in text for text in texts for secret in (PHONE, MAIL, CASE))
    assert any("Call me on [phone 1] or mail [mail 1] about [case 1]" in text for text in texts)
    (demonstration,) = found.examples.demonstrations
    assert demonstration.exchange.text == "I shall ring [phone 1] tomorrow."
    assert found.counts["redacted"] == 1


def test_what_was_replaced_has_no_known_log_probs_and_the_rest_keeps_its_tokens(
    database: Database, template: Template, tmp_path: Path
) -> None:
    found = snapshot(database, template, tmp_path)
    by_length = {bool(logged.logprobs): logged for logged in found.replies}
    assert by_length[True].exchange.text == "Paris."
    assert by_length[False].temperature is None
    assert by_length[False].exchange.reply[-1] == template.ends[0]


def test_a_reply_that_was_cut_stays_cut(database: Database, template: Template, tmp_path: Path) -> None:
    found = snapshot(database, template, tmp_path, finish_reason="length")
    (cut,) = [logged for logged in found.replies if "[phone 1]" in logged.exchange.text]
    assert cut.exchange.reply[-1] != template.ends[0]


def test_an_export_for_trainers_holds_placeholders(database: Database, template: Template, tmp_path: Path) -> None:
    snapshot(database, template, tmp_path)
    for form in ("preference", "unpaired", "demonstrations"):
        with database.read() as session:
            exports.export(session, form, tmp_path / f"{form}.jsonl", privacy.load(tmp_path))
        text = (tmp_path / f"{form}.jsonl").read_text()
        assert "[phone 1]" in text
        assert not any(secret in text for secret in (PHONE, MAIL, CASE))
        json.loads(text.splitlines()[0])


def test_a_rater_sees_placeholders(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        (house.settings.data_dir / privacy.FILE).write_text("case: C-[0-9]{4}\n")
        house.reply(house.person(consent=True), ANSWER, question=QUESTION)
        item = house.person("rater").get("/api/rate/next").json()
    assert item["content"] == "I will call [phone 1]."
    assert item["turns"][0]["content"] == "Call me on [phone 1] or mail [mail 1] about [case 1]"
