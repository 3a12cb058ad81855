"""Every operation, as its schema describes it and as it does not (F24); the smallest tier of `schema.py`."""

from tests.faults import schema
from tests.server.stack import Stack


def test_every_operation_answers_as_its_schema_says(talkative: Stack) -> None:
    outcome = schema.ask_all(talkative, seed=1, trials=200)
    assert outcome.violations == []
    assert outcome.trials > outcome.measures["operations"] > 80
    assert talkative.log is not None
    assert "Traceback" not in talkative.log.read_text(errors="replace")
