"""What a run may learn from: who said yes, what was meant, nobody too loud, and a list that never changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from backtalk import labelling, opinions, people
from backtalk.database import Database
from backtalk.forecast import forecast
from backtalk.recipe import Data
from backtalk.tables import Comparison, Conversation, Message, Opinion, Person, RateItem, now
from backtalk.template import Template
from learner.dataset import Snapshot, lost_consent, take_snapshot
from tests.learner.town import Town, first_policy

RUN = UUID(int=7)


@contextmanager
def town(database: Database, template: Template) -> Iterator[Town]:
    first_policy(database)
    with database.write() as session:
        yield Town(session, template)


def snapshot(town: Town, recipe: Data | None = None) -> Snapshot:
    return take_snapshot(town.session, RUN, town.template, recipe or Data())


def test_a_thumb_becomes_an_example_of_exactly_what_was_sampled(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "fig!"), 1)
        found = snapshot(here)
    (thumb,) = found.examples.thumbs
    assert thumb.liked
    assert thumb.exchange.text == "fig!"
    assert thumb.at == here.clock
    assert template.text(thumb.exchange.reply) == "fig!"
    assert thumb.exchange.reply[-1] in template.ends
    assert found.counts["liked"] == found.counts["opinions"] == found.counts["people"] == 1


def test_a_rewrite_becomes_a_pair_and_a_demonstration(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "no."), -1, rewrite=" egg! ")
        found = snapshot(here)
    (pair,), (shown,) = found.examples.pairs, found.examples.demonstrations
    assert (pair.better.text, pair.worse.text, pair.target) == ("egg!", "no.", 1.0)
    assert pair.better == shown.exchange
    assert pair.better.prompt == pair.worse.prompt
    assert shown.exchange.reply == tuple(template.reply("egg!"))


def test_a_rewrite_longer_than_the_context_is_left_out(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "no."), -1, rewrite="egg " * 80)
        found = snapshot(here)
    assert not found.examples.pairs
    assert len(found.examples.thumbs) == 1


def test_scores_become_scores_and_half_a_thumb(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "fig!"), labels={"quality": 5, "fluency": 4})
        here.rate(ann, here.reply(ann, "abc", "fig."), labels={"quality": 3})
        here.rate(ann, here.reply(ann, "abc", "dad."), -1, labels={"quality": 2})
        found = snapshot(here).examples
    assert [(s.aspect, s.points) for s in found.scores] == [
        ("quality", 5.0),
        ("fluency", 4.0),
        ("quality", 3.0),
        ("quality", 2.0),
    ]
    assert [(t.liked, t.weight) for t in found.thumbs] == [(True, 0.5), (False, 1.0)]  # in the middle: no thumb


@pytest.mark.parametrize(
    ("verdict", "better", "target"), [("left", "fig!", 1.0), ("right", "dad.", 1.0), ("tie", "fig!", 0.5)]
)
def test_a_comparison_becomes_a_pair(
    verdict: str, better: str, target: float, database: Database, template: Template
) -> None:
    with town(database, template) as here:
        ann = here.person()
        left = here.reply(ann, "abc", "fig!")
        here.compare(ann, left, here.reply(ann, "abc", "dad.", after=left), verdict)
        (pair,) = snapshot(here).examples.pairs
    assert (pair.better.text, pair.target) == (better, target)


def test_neither_is_two_halves_of_a_thumb_down(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        left = here.reply(ann, "abc", "fig!")
        here.compare(ann, left, here.reply(ann, "abc", "dad.", after=left), "neither")
        found = snapshot(here).examples
    assert [(t.liked, t.weight) for t in found.thumbs] == [(False, 0.5), (False, 0.5)]
    assert not found.pairs


def test_a_liked_and_a_disliked_reply_to_one_question_become_a_pair(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        first = here.reply(ann, "abc", "fig!")
        here.rate(ann, first, 1)
        here.rate(ann, here.reply(ann, "abc", "dad.", after=first), -1)
        here.rate(ann, here.reply(ann, "abc", "hat."), -1)  # to another question
        (pair,) = snapshot(here).examples.pairs
    assert (pair.better.text, pair.worse.text) == ("fig!", "dad.")


def test_many_thumbs_on_one_question_weigh_no_more_than_as_many_pairs(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        first = here.reply(ann, "abc", "fig!")
        here.rate(ann, first, 1)
        for number in range(5):
            answer = "dad" + "." * number
            here.rate(ann, here.reply(ann, "abc", answer, after=first), 1 if number % 2 else -1)
        pairs = snapshot(here).examples.pairs
    assert len(pairs) == 9
    assert sum(pair.weight for pair in pairs) == pytest.approx(3)


def test_where_trust_is_guarded_who_answers_gold_wrongly_is_not_heard(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann, clicker = here.person(), here.person()
        for person in (ann, clicker):
            here.session.get_one(Person, person).created_at = now() - timedelta(days=9)
        for _ in range(6):
            reply = here.reply(ann, "abc", "fig!")
            marked = here.rate(ann, reply, 1)
            labelling.mark_gold(here.session, "test", "opinion", marked, "up")
            here.rate(clicker, reply, -1)
        here.session.execute(sa.update(RateItem).values(done_at=now()))
        everybody, reliable = snapshot(here, Data().under("open")), snapshot(here, Data().under("guarded"))
        foretold = [forecast(here.session, {}, trust=trust).counts["opinions"] for trust in ("open", "guarded")]
    assert (everybody.counts["people"], reliable.counts["people"]) == (2, 1)
    assert reliable.counts["skipped"] == {"their giver answers gold items wrongly": 6}
    assert foretold == [12, 6], "the dry run says the same"


def test_what_each_person_gave_and_what_of_it_counts_is_told(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann, bob = here.person(), here.person()
        for _ in range(5):
            here.rate(ann, here.reply(ann, "abc", "fig!"), 1)
        here.rate(bob, here.reply(bob, "abc", "fig!"), -1)
        found = snapshot(here, Data(cap=1, cap_factor=1.0))
    assert [(one.person_id, one.given, one.used) for one in found.givers] == [(ann, 5, 3), (bob, 1, 1)]
    assert {thumb.giver for thumb in found.examples.thumbs} == {ann.hex, bob.hex}
    assert not {thumb.person for thumb in found.examples.thumbs} & {ann.hex, bob.hex}, (
        "so few people hold out questions"
    )


def test_two_replies_to_one_question_are_siblings(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        first = here.reply(ann, "abc", "fig!")
        here.reply(ann, "abc", "fig!", after=first)
        last = here.reply(ann, "abc", "dad.", after=first)
        here.reply(ann, "abc", "hat.")
        (pair,) = snapshot(here).siblings
    assert (pair.right_id, pair.left.text, pair.right.text) == (last, "fig!", "dad."), "equal ones are no choice"


def test_where_trust_is_guarded_young_accounts_wait(database: Database, template: Template) -> None:
    with town(database, template) as here:
        old, young = here.person(), here.person()
        for who in (old, young):
            here.rate(who, here.reply(old, "abc", "fig!"), 1)
        here.session.get_one(Person, old).created_at = now() - timedelta(days=4)
        everybody, settled = snapshot(here, Data().under("open")), snapshot(here, Data().under("guarded"))
        foretold = [forecast(here.session, {}, trust=trust).counts["opinions"] for trust in ("open", "guarded")]
    assert len(everybody.items) == 2
    assert [item.person_id for item in settled.items] == [old]
    assert settled.counts["skipped"]["account too young"] == 1
    assert foretold == [2, 1]


def test_only_who_said_yes_teaches(database: Database, template: Template) -> None:
    with town(database, template) as here:
        for consents in (True, False, None):
            who = here.person(consents)
            here.rate(who, here.reply(who, "abc", "fig!"), 1)
        found = snapshot(here)
    assert len(found.examples.thumbs) == len(found.items) == len(found.replies) == 1
    assert found.counts["skipped"]["no consent"] == 2


def test_whose_conversation_it_is_must_have_said_yes_too(database: Database, template: Template) -> None:
    with town(database, template) as here:
        owner, rater = here.person(consents=None), here.person()
        here.rate(rater, here.reply(owner, "abc", "fig!"), 1)
        found = snapshot(here)
    assert not found.items
    assert found.counts["skipped"] == {"the conversation's owner has not consented": 1}


def test_a_conversation_that_its_owner_keeps_out_teaches_nothing(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "fig!"), 1)
        keep_out(here.session, ann)
        here.rate(ann, here.reply(ann, "abc", "dad."), -1)
        found = snapshot(here)
    assert [thumb.exchange.text for thumb in found.examples.thumbs] == ["dad."]
    assert len(found.items) == len(found.replies) == 1
    assert found.counts["skipped"] == {"the conversation's owner keeps it out": 1}


def test_the_raters_opinion_counts_as_the_raters(database: Database, template: Template) -> None:
    with town(database, template) as here:
        owner, rater = here.person(), here.person()
        here.rate(rater, here.reply(owner, "abc", "fig!"), 1)
        found = snapshot(here)
    assert [item.person_id for item in found.items] == [rater]
    assert found.people == {owner, rater}  # consent of both is asked again


@pytest.mark.parametrize("how", ["excluded", "withdrawn"])
def test_what_was_excluded_or_withdrawn_does_not_teach(how: str, database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        kept, gone = here.reply(ann, "abc", "fig!"), here.reply(ann, "abc", "dad.")
        here.rate(ann, kept, 1)
        opinion = here.rate(ann, gone, -1)
        here.session.execute(sa.update(Opinion).where(col(Opinion.id) == opinion).values({how: True}))
        found = snapshot(here)
    assert [thumb.exchange.text for thumb in found.examples.thumbs] == ["fig!"]


def test_replies_of_another_tokenizer_or_still_running_are_left_out(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "fig!", template_digest="another"), 1)
        here.reply(ann, "abc", "dad", state="streaming")
        here.reply(ann, "abc", "dad", state="failed")
        found = snapshot(here)
    assert not found.items
    assert not found.replies
    assert found.counts["skipped"] == {"written with another tokenizer or template": 1}


def test_nobody_counts_more_than_the_cap_allows_and_the_newest_stay(database: Database, template: Template) -> None:
    with town(database, template) as here:
        loud = here.person()
        for number in range(12):
            here.rate(loud, here.reply(loud, "abc", f"{'a' * (number + 1)}."), 1)
        for _ in range(3):
            quiet = here.person()
            here.rate(quiet, here.reply(quiet, "abc", "dad."), -1)
        found = snapshot(here, Data(cap=5, cap_factor=1))
        assert snapshot(here, Data(cap=5, cap_factor=8)).counts["opinions"] == 8 + 3
        assert snapshot(here, Data(cap=60)).counts["opinions"] == 12 + 3
    lengths = [len(thumb.exchange.text) for thumb in found.examples.thumbs if thumb.liked]
    assert lengths == [9, 10, 11, 12, 13]
    assert found.counts["skipped"]["over the cap of one person"] == 7


def crowd(here: Town, size: int, each: int = 4) -> list[UUID]:
    """People with as many opinions each, on questions of their own."""
    found = [here.person() for _ in range(size)]
    for number, who in enumerate(found):
        for at in range(each):
            here.rate(who, here.reply(who, "abcdefghij"[number] * (at + 1), "fig!"), 1 if at % 2 else -1)
    return found


def test_people_are_held_out_whole(database: Database, template: Template) -> None:
    with town(database, template) as here:
        crowd(here, 10)
        found = snapshot(here)
    held_out = found.hold_out(0.2, "a")
    assert found.split_by == "person"
    assert len(held_out) == 2
    assert len(found.examples.of(held_out).thumbs) == 8
    assert found.hold_out(0.2, "a") == held_out


def test_another_seed_holds_out_others(database: Database, template: Template) -> None:
    with town(database, template) as here:
        crowd(here, 10)
        found = snapshot(here)
    assert len({found.hold_out(0.2, str(seed)) for seed in range(12)}) > 3


def test_who_says_something_meanwhile_changes_nobody_elses_turn(database: Database, template: Template) -> None:
    with town(database, template) as here:
        crowd(here, 10)
        before = snapshot(here)
        who = here.person()
        here.rate(who, here.reply(who, "late", "fig!"), 1)
        after = snapshot(here)
    assert before.hold_out(0.2, "a") <= after.hold_out(0.2, "a") | {who.hex}


def test_with_few_people_questions_are_held_out(database: Database, template: Template) -> None:
    with town(database, template) as here:
        crowd(here, 3, each=10)
        found = snapshot(here)
    held_out = found.hold_out(0.2, "a")
    assert found.split_by == "question"
    kept, taught = found.examples.of(held_out), found.examples.of(set(found.examples.people()) - held_out)
    assert 4 <= len(kept.thumbs) <= 8
    assert not {t.exchange.prompt for t in kept.thumbs} & {t.exchange.prompt for t in taught.thumbs}


def test_the_list_has_a_digest_of_everything_that_was_said(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        reply = here.reply(ann, "abc", "fig!")
        here.rate(ann, reply, 1)
        first, again = snapshot(here), snapshot(here)
        here.rate(ann, reply, -1)
        changed = snapshot(here)
    assert first.digest == again.digest != changed.digest
    assert [item.revision for item in changed.items] == [2]


def test_both_databases_and_any_order_give_the_same_list(database: Database, template: Template) -> None:
    """Newest replies first, opinions oldest first, ties by id: what trains does not depend on a query plan."""
    with town(database, template) as here:
        crowd(here, 6)
        found = snapshot(here)
        few = snapshot(here, Data(replies=1))  # the wanted ones are fetched apart
    texts = [logged.exchange.prompt for logged in found.replies]
    assert [logged.exchange.prompt for logged in few.replies] == texts
    assert [item.item_id for item in few.items] == [item.item_id for item in found.items]
    assert len(set(texts)) == 24


def test_unrated_replies_are_there_to_be_distilled(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.reply(ann, "abc", "fig!", logprobs=[-0.5] * 5)
        here.reply(ann, "abc", "dad", finish_reason="length")
        cut, whole = snapshot(here).replies
    assert (whole.ended, cut.ended) == (True, False)
    assert whole.logprobs == (-0.5,) * 5


@pytest.mark.parametrize(
    ("sampling", "temperature"),
    [
        ({"temperature": 0.6, "top_p": 1.0}, 0.6),
        ({}, 1.0),
        ({"temperature": 0.6, "top_p": 0.9}, None),
        ({"temperature": 0.6, "top_k": 40}, None),
        ({"temperature": 0.0}, None),
        ({"temperature": 0.6, "repetition_penalty": 1.1}, None),
    ],
)
def test_log_probs_of_filtered_sampling_are_of_another_distribution(
    sampling: dict[str, float], temperature: float | None, database: Database, template: Template
) -> None:
    with town(database, template) as here:
        here.reply(here.person(), "abc", "fig!", sampling=sampling)
        (logged,) = snapshot(here).replies
    assert logged.temperature == temperature


# Consent is looked at once more when a version is published ----------------------------------------------------------


def take_back_consent(session: Session, person: UUID) -> None:
    session.execute(sa.update(Person).where(col(Person.id) == person).values(consent_train=False))


def erase(session: Session, person: UUID) -> None:
    session.execute(sa.delete(Person).where(col(Person.id) == person))


def withdraw(session: Session, person: UUID) -> None:
    message = session.exec(select(Opinion.message_id).where(Opinion.person_id == person).limit(1)).one()
    opinions.withdraw(session, person, message)


def exclude(session: Session, person: UUID) -> None:
    session.execute(sa.update(Opinion).where(col(Opinion.person_id) == person).values(excluded=True))


def exclude_comparison(session: Session, person: UUID) -> None:
    session.execute(sa.update(Comparison).where(col(Comparison.person_id) == person).values(excluded=True))


def keep_out(session: Session, person: UUID) -> None:
    session.execute(sa.update(Conversation).where(col(Conversation.person_id) == person).values(train=False))


def delete_a_message(session: Session, person: UUID) -> None:
    """An unrated one, that only was in the pool."""
    rated = sa.select(col(Opinion.message_id))
    session.execute(
        sa.delete(Message).where(
            col(Message.person_id) == person, col(Message.role) == "assistant", col(Message.id).not_in(rated)
        )
    )


@pytest.mark.parametrize(
    "change", [take_back_consent, erase, withdraw, exclude, exclude_comparison, keep_out, delete_a_message]
)
def test_what_was_taken_back_since_is_noticed(change: object, database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann, bob = here.person(), here.person()
        for who in (ann, bob):
            first = here.reply(who, "abc", "fig!")
            here.rate(who, first, 1)
            second = here.reply(who, "abc", "dad.", after=first)
            here.compare(who, first, second, "left")
            here.reply(who, "ab", "unrated")
        found = snapshot(here)
        assert lost_consent(here.session, found) == 0
        change(here.session, ann)  # type: ignore[operator]
        here.session.flush()
        assert lost_consent(here.session, found) > 0


def test_an_owner_who_never_rated_takes_consent_back_for_their_replies(database: Database, template: Template) -> None:
    with town(database, template) as here:
        owner, rater = here.person(), here.person()
        here.rate(rater, here.reply(owner, "abc", "fig!"), 1)
        found = snapshot(here)
        take_back_consent(here.session, owner)
        assert lost_consent(here.session, found) == 1


def test_more_people_than_fit_in_one_query_are_all_asked_again(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "fig!"), 1)
        found = snapshot(here)
        here.session.add_all(Person(id=uuid4(), name=f"p{n}", consent_train=True) for n in range(1201))
        here.session.flush()
        everybody = frozenset(here.session.execute(sa.select(col(Person.id))).scalars())
        many = replace(found, people=everybody)
        assert lost_consent(here.session, many) == 0
        take_back_consent(here.session, max(everybody))
        assert lost_consent(here.session, many) == 1


def test_people_erased_by_the_product_itself_are_noticed(database: Database, template: Template) -> None:
    with town(database, template) as here:
        ann = here.person()
        here.rate(ann, here.reply(ann, "abc", "fig!"), 1)
        found = snapshot(here)
        people.erase(here.session, here.session.get_one(Person, ann), "test")
        assert lost_consent(here.session, found) > 0
