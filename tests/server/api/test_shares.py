"""A conversation's link: who reads what by it, and for how long."""

from uuid import UUID

import httpx2

from backtalk.tables import Message
from tests.server.api.conftest import Home, Somebody, actions, refused


def conversation_of(home: Home, reply_id: UUID) -> str:
    with home.database.read() as session:
        return f"/api/conversations/{session.get_one(Message, reply_id).conversation_id}"


def read(home: Home, token: str) -> httpx2.Response:
    """What somebody reads who has nothing but the link."""
    return httpx2.get(f"{home.url}/api/shared/{token}")


def test_whoever_has_the_link_reads_the_branch_and_not_whose_it_is(own: Home) -> None:
    owner = own.person(name="Ada")
    reply_id = own.reply(owner, "Paris.")
    own.reply(owner, "Lyon.", beside=reply_id)
    link = owner.put(conversation_of(own, reply_id) + "/share", json={"message_id": str(reply_id)}).json()
    shown = read(own, link["token"])
    assert shown.headers["X-Robots-Tag"] == "noindex"
    assert [(turn["role"], turn["content"], turn["policy_version"]) for turn in shown.json()["messages"]] == [
        ("user", "What is the capital of France?", None),
        ("assistant", "Paris.", 0),
    ]
    assert "Ada" not in shown.text and str(owner.id) not in shown.text


def test_what_is_said_later_is_not_in_the_link_until_it_is_shared_again(own: Home) -> None:
    owner = own.person()
    first = own.reply(owner, "Paris.")
    place = conversation_of(own, first) + "/share"
    token = owner.put(place, json={"message_id": str(first)}).json()["token"]
    later = own.reply(owner, "A secret.", question="And now a secret?", below=first)
    assert "secret" not in read(own, token).text
    assert owner.put(place, json={"message_id": str(later)}).json()["token"] == token
    assert [turn["content"] for turn in read(own, token).json()["messages"]][2:] == ["And now a secret?", "A secret."]


def test_a_link_that_was_taken_back_leads_nowhere_and_never_comes_again(own: Home) -> None:
    owner = own.person()
    place = conversation_of(own, own.reply(owner)) + "/share"
    token = owner.put(place, json={}).json()["token"]
    assert owner.delete(place).status_code == owner.delete(place).status_code == 204
    refused(read(own, token), 404, "not_found", "taken it back")
    assert owner.get(place).status_code == 404
    assert owner.put(place, json={}).json()["token"] != token
    assert read(own, token).status_code == 404
    shared = [action for action in actions(own) if "share" in action]
    assert shared == ["conversation.share", "conversation.unshare", "conversation.share"]


def test_a_link_ends_with_its_conversation(own: Home) -> None:
    owner = own.person()
    place = conversation_of(own, own.reply(owner))
    token = owner.put(f"{place}/share", json={}).json()["token"]
    owner.delete(place)
    assert read(own, token).status_code == 404


def test_ones_links_are_listed_and_in_ones_data(own: Home) -> None:
    owner, other = own.person(), own.person()
    link = owner.put(conversation_of(own, own.reply(owner)) + "/share", json={}).json()
    assert owner.get("/api/me/shares").json()["items"] == [link]
    assert [share["token"] for share in owner.get("/api/me/export").json()["shares"]] == [link["token"]]
    assert other.get("/api/me/shares").json()["items"] == []


def test_a_reply_that_is_still_being_written_is_not_shared(own: Home) -> None:
    owner: Somebody = own.person()
    place = conversation_of(own, own.reply(owner, state="streaming")) + "/share"
    refused(owner.put(place, json={}), 400, "bad_request", "still being written")
