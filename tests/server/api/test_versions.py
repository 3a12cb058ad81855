"""What is known of a version: its data, its people, its thumbs, and whether its files are whole."""

from backtalk.tables import Policy, Run, RunPerson
from tests.server.api.conftest import Home, Somebody, refused


def test_the_card_tells_where_a_version_comes_from_and_how_it_is_liked(own: Home, operator: Somebody) -> None:
    ann, bob = own.person(consent=True), own.person(consent=True)
    with own.database.write() as session:
        first = session.get_one(Policy, 0)
        run = Run(
            state="promoted",
            counts={"opinions": 4},
            snapshot_digest="d" * 64,
            recipe={"seed": 3, "rewards": {"preference": 1.0}},
        )
        session.add(run)
        session.flush()
        session.add(
            Policy(number=1, parent=0, state="live", run_id=run.id, directory=first.directory, digest=first.digest)
        )
        first.state = "retired"
        session.add(first)
        for person, used, influence in ((ann, 3, None), (bob, 1, 0.42)):
            row = RunPerson(run_id=run.id, person_id=person.id, given=used + 1, used=used, influence=influence)
            session.add(row)
    for rating in (1, 1, -1):
        ann.put(f"/api/messages/{own.reply(ann, version=1)}/feedback", json={"rating": rating})
    card = operator.get("/api/operate/policies/1/card").json()
    assert card["policy"]["number"] == 1
    assert (card["recipe"]["seed"], card["rewards"]) == (3, {"preference": 1.0})
    assert (card["snapshot"]["people"], card["snapshot"]["opinions"]) == (2, 4)
    givers = card["snapshot"]["givers"]
    assert [(one["name"], one["given"], one["used"], one["share"], one["influence"]) for one in givers] == [
        (bob.name, 2, 1, 0.25, 0.42),
        (ann.name, 4, 3, 0.75, None),
    ]
    path = f"/api/operate/runs/{card['policy']['run_id']}/people"
    assert operator.get(path).json()["items"] == givers
    assert len(operator.get(path, params={"limit": 1}).json()["items"]) == 1
    assert card["thumbs"] == {"replies": 3, "rated": 3, "liked": 2}
    assert (card["files"]["signature"], card["files"]["problem"]) == ("valid", None)
    assert operator.get("/api/operate/policies/0/card").json()["snapshot"] is None
    refused(operator.get("/api/operate/policies/9/card"), 404, "not_found", "no policy 9")


def test_changed_files_and_missing_ones_are_told(own: Home, operator: Somebody) -> None:
    with own.database.write() as session:
        first = session.get_one(Policy, 0)
        session.add(Policy(number=1, state="candidate", directory="1-gone", digest="x"))
        session.add(Policy(number=2, state="candidate", directory=first.directory, digest="another"))
    config = own.settings.weights_dir / first.directory / "config.json"
    missing = operator.get("/api/operate/policies/1/card").json()["files"]
    assert missing["signature"] == "missing"
    other = operator.get("/api/operate/policies/2/card").json()["files"]
    assert (other["signature"], "not the weights" in other["problem"]) == ("broken", True)
    config.write_text(config.read_text() + " ")
    changed = operator.get("/api/operate/policies/0/card").json()["files"]
    assert (changed["signature"], "config.json" in changed["problem"]) == ("broken", True)


def test_real_questions_come_from_people_who_let_theirs_train(own: Home, operator: Somebody) -> None:
    for consent, question in ((True, "open?"), (False, "closed?"), (None, "unasked?")):
        own.reply(own.person(consent=consent), question=question)
    own.reply(own.person(consent=True), question="Is ann@example.org an address?")
    asked = operator.get("/api/operate/policies/questions").json()["items"]
    assert sorted(asked) == ["Is [mail 1] an address?", "open?"]


def test_who_was_left_out_stands_first_with_how_surely(own: Home, operator: Somebody) -> None:
    ann, bob = own.person(consent=True), own.person(consent=True)
    with own.database.write() as session:
        run = Run(state="promoted")
        session.add(run)
        session.flush()
        run_id = run.id
        session.add(RunPerson(run_id=run_id, person_id=ann.id, given=9, used=9, influence=0.4, contrary=0.001))
        session.add(RunPerson(run_id=run_id, person_id=bob.id, given=5, used=0, contrary=0.98))
    found = operator.get(f"/api/operate/runs/{run_id}/people").json()["items"]
    assert [(one["name"], one["used"], one["share"], one["contrary"]) for one in found] == [
        (bob.name, 0, 0.0, 0.98),
        (ann.name, 9, 1.0, 0.001),
    ]
