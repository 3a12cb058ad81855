"""Who people are: signing up, in and out, one's own account, everything of it as a file, and its end."""

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import audit, opinions, people, policies, receipts, starter
from backtalk.asking import asked
from backtalk.entrance import EntranceMode, mode
from backtalk.tables import (
    ApiKey,
    Audit,
    Comparison,
    Conversation,
    Json,
    Login,
    Message,
    Opinion,
    OpinionHistory,
    Person,
    Reply,
    Share,
    now,
)
from server import access, limits
from server.access import Caller, Role, anyone, requires
from server.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorised
from server.service import Service, get_service

router = APIRouter(prefix="/api", tags=["people"])

T = TypeVar("T")
Held = Annotated[Service, Depends(get_service)]
Visitor = Annotated[Caller | None, anyone]
User = Annotated[Caller, requires("user")]

LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"

_passwords = ThreadPoolExecutor(2, "passwords")
"""Two at a time, so that a crowd that signs in cannot starve the chat (SEC-01)."""


class SignUp(BaseModel):
    """A new account; without a name, a guest."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    password: str | None = None
    language: str | None = Field(None, pattern=LANGUAGE)
    invite: str | None = Field(None, max_length=256, description="Where signing up is by invitation.")


class SignIn(BaseModel):
    """Name and password."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=1024)
    password: str = Field(max_length=1024)


class Consent(BaseModel):
    """May this person's opinions and conversations train? None: not asked yet."""

    model_config = ConfigDict(extra="forbid")

    train: bool | None = Field(None, strict=True)


class MyChange(BaseModel):
    """What a person changes about themselves; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    language: str | None = Field(None, pattern=LANGUAGE)
    consent: Consent | None = None


class AspectOut(BaseModel):
    """Something a reply is scored on."""

    model_config = ConfigDict(extra="forbid")

    name: str
    label_en: str
    label_zh: str


class ReasonOut(BaseModel):
    """Why a thumb went up or down."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    id: str
    label_en: str
    label_zh: str
    direction: Literal["up", "down", "both"] = Field(alias="for")


class Me(BaseModel):
    """The caller's account and what the page needs to know."""

    id: UUID
    name: str | None
    role: Role
    guest: bool
    language: str
    consent: Consent
    limits: dict[str, int]
    aspects: list[AspectOut]
    reasons: list[ReasonOut]
    compare_share: float = Field(
        description="Of the replies, below which a comparison with a second answer is offered."
    )
    starter: bool = Field(description="Whether the bundled starter answers, or a version that was trained from it.")


class SessionOut(BaseModel):
    """A browser that is signed in."""

    id: str
    created_at: datetime
    seen_at: datetime
    current: bool


class Entrance(BaseModel):
    """Who is let in here."""

    signup: EntranceMode
    provider: str | None = Field(description="What to call the provider that one may sign in through, if there is one.")


@router.get("/entrance")
async def entrance(service: Held, caller: Visitor) -> Entrance:
    """Who is let in here, for the page that asks people to sign in."""
    settings = service.settings
    return Entrance(signup=await _mode(service), provider=settings.oidc_name if settings.oidc_issuer else None)


@router.post("/people", status_code=201, responses={200: {"model": Me, "description": "A guest already"}})
async def sign_up(given: SignUp, request: Request, response: Response, service: Held, caller: Visitor) -> Me:
    """Make an account and sign in: a guest without a name; a guest who gives one keeps their conversations."""
    address = request.client.host if request.client else ""
    if given.name is None:
        if given.password is not None:
            raise BadRequest("a password without a name; give both, or neither to chat as a guest")
        if caller is not None:
            response.status_code = 200
            return await service.read(lambda session: _me(session, service, caller.person_id))
        if await _mode(service) != "guest":
            raise Forbidden("guests are not let in here; sign in, or sign up with a name and a password")
        service.limits.guests.use(address)
        return await enter(
            service, response, lambda session: people.add(session, None, language=given.language or "en")
        )
    if given.password is None:
        raise BadRequest("a name without a password; give both")
    signup = await _mode(service)
    if signup == "closed":
        raise Forbidden("nobody can sign up here; ask an operator for an account")
    if signup == "invite" and given.invite is None:
        raise Forbidden("signing up needs an invitation; ask an operator for one")
    if caller is not None and not caller.guest:
        raise Conflict("you are signed in already; sign out first to make another account")
    service.limits.sign_ups.use(address)
    name, password = given.name, given.password
    guest_id = caller.person_id if caller is not None else None
    await service.read(lambda session: people.check_name(session, name))  # before the costly part
    password_hash = await in_pool(lambda: people.hash_password(password, name))

    def change(session: Session) -> Person:
        guest = session.get(Person, guest_id) if guest_id is not None else None
        if guest is None:
            person = people.add(session, name, "user", password_hash, given.language or "en")
        else:
            person = _name_guest(session, guest, name, password_hash)
        if signup == "invite":
            people.use_invite(session, service.settings, given.invite or "", person)
        return person

    return await enter(service, response, change, leave=caller)


@router.post("/session")
async def sign_in(given: SignIn, request: Request, response: Response, service: Held, caller: Visitor) -> Me:
    """Sign in by name and password; the browser gets a fresh session."""
    name = given.name.strip()
    service.limits.logins.use(("name", name.casefold()))
    service.limits.sign_ins.use(request.client.host if request.client else "")
    person = await service.read(lambda session: session.exec(select(Person).where(Person.name == name)).first())
    stored = person.password_hash if person else None
    fits = await in_pool(lambda: people.password_fits(given.password, stored))
    if person is None or stored is None or not fits:
        target = person.id if person else ""
        await service.writer.write(lambda session: audit.record(session, "nobody", "session.refuse", target))
        raise Unauthorised("name and password do not fit together; try again")
    person_id = person.id
    fresh = await in_pool(lambda: people.hash_password(given.password)) if people.is_outdated(stored) else stored

    def change(session: Session) -> Person:
        found = session.get(Person, person_id)
        if found is None or found.password_hash != stored:
            raise Unauthorised("the account has just changed; try again")
        found.password_hash = fresh
        session.add(found)
        return found

    return await enter(service, response, change, leave=caller)


@router.delete("/session", status_code=204)
async def sign_out(response: Response, service: Held, caller: Visitor) -> None:
    """Sign this browser out; sockets opened under the session close within a second."""
    if caller is not None and caller.via == "cookie":
        await service.writer.write(lambda session: _end_sessions(session, caller, [caller.digest]))
        service.identities.forget()
    access.clear_cookie(response, service.settings)


@router.get("/me")
async def show_me(service: Held, caller: User) -> Me:
    """The caller's account."""
    return await service.read(lambda session: _me(session, service, caller.person_id))


@router.patch("/me")
async def change_me(given: MyChange, service: Held, caller: User) -> Me:
    """Change one's name, language or consent. Consent counts from the next snapshot on."""

    def change(session: Session) -> Me:
        person = _person(session, caller.person_id)
        if given.name is not None and given.name.strip() != person.name:
            person.name = people.check_name(session, given.name)
            audit.record(session, person.id, "person.rename", person.id)
        if given.language is not None:
            person.language = given.language
        if given.consent is not None and given.consent.train != person.consent_train:
            person.consent_train = given.consent.train
            person.consent_at = now()
            audit.record(session, person.id, "consent.change", person.id, train=given.consent.train)
        session.add(person)
        session.flush()
        return _me(session, service, person.id)

    return await service.writer.write(change)


@router.delete("/me", status_code=204)
async def erase_me(response: Response, service: Held, caller: User) -> None:
    """Erase the caller: account, conversations, opinions, keys, sessions. Only the audit log keeps that it happened."""

    service.replies.drop(person_id=caller.person_id)
    await service.writer.write(
        lambda session: people.erase(session, _person(session, caller.person_id), caller.person_id)
    )
    service.identities.forget()
    access.clear_cookie(response, service.settings)


@router.get("/me/export")
async def export_me(response: Response, service: Held, caller: User) -> dict[str, Any]:
    """Everything that is kept about the caller, as one JSON file."""
    response.headers["Content-Disposition"] = 'attachment; filename="backtalk.json"'
    return await service.read(lambda session: _everything(session, caller.person_id))


@router.get("/me/sessions")
async def list_sessions(service: Held, caller: User) -> dict[str, list[SessionOut]]:
    """Where the caller is signed in."""
    logins = await service.read(
        lambda session: session.exec(
            select(Login).where(Login.person_id == caller.person_id).order_by(col(Login.seen_at).desc())
        ).all()
    )
    return {
        "items": [
            SessionOut(
                id=_session_id(login),
                created_at=login.created_at,
                seen_at=login.seen_at,
                current=login.digest == caller.digest,
            )
            for login in logins
        ]
    }


@router.delete("/me/sessions/{session_id}", status_code=204)
async def end_session(session_id: str, service: Held, caller: User) -> None:
    """Sign one browser out."""

    def change(session: Session) -> None:
        mine = session.exec(select(Login).where(Login.person_id == caller.person_id)).all()
        found = [login.digest for login in mine if hmac.compare_digest(_session_id(login), session_id)]
        if not found:
            raise NotFound("there is no such session among yours")
        _end_sessions(session, caller, found)

    await service.writer.write(change)
    service.identities.forget()


async def in_pool(work: Callable[[], T]) -> T:
    """Do something costly with a password, two at a time."""
    return await asyncio.get_running_loop().run_in_executor(_passwords, work)


async def enter(
    service: Service, response: Response, change: Callable[[Session], Person], leave: Caller | None = None
) -> Me:
    """Do `change`, sign the person it returns in, and end the session the browser came with."""

    def settle(session: Session) -> tuple[str, Me]:
        person = change(session)
        session.flush()
        if leave is not None and leave.via == "cookie":
            session.execute(sa.delete(Login).where(col(Login.digest) == leave.digest))
        secret = access.sign_in(session, person)
        audit.record(session, person.id, "session.start", person.id)
        return secret, _me(session, service, person.id)

    secret, me = await service.writer.write(settle)
    service.identities.forget()
    access.set_cookie(response, secret, service.settings)
    return me


async def _mode(service: Service) -> EntranceMode:
    return await service.read(lambda session: mode(session, service.settings))


def _name_guest(session: Session, guest: Person, name: str, password_hash: str) -> Person:
    if not guest.guest:
        raise Conflict("you have an account already; sign in with it")
    if guest.name != name.strip():
        guest.name = people.check_name(session, name)
    guest.password_hash = password_hash
    guest.guest = False
    session.add(guest)
    audit.record(session, guest.id, "person.sign_up", guest.id)
    return guest


def _person(session: Session, person_id: UUID) -> Person:
    person = session.get(Person, person_id)
    if person is None:
        raise Unauthorised("this account is no longer there")
    return person


def _end_sessions(session: Session, caller: Caller, digests: list[str]) -> None:
    session.execute(sa.delete(Login).where(col(Login.digest).in_(digests)))
    audit.record(session, caller.person_id, "session.end", caller.person_id)


def _session_id(login: Login) -> str:
    return login.digest[:16]


def _me(session: Session, service: Service, person_id: UUID) -> Me:
    person, asking, live = _person(session, person_id), asked(session), policies.live(session)
    return Me(
        id=person.id,
        name=person.name,
        role=person.role,
        guest=person.guest,
        language=person.language,
        consent=Consent(train=person.consent_train),
        limits={
            "message_bytes": limits.MESSAGE_BYTES,
            "rewrite_bytes": opinions.MAX_REWRITE_BYTES,
            "prompts_per_minute": limits.PROMPTS,
            "opinions_per_minute": limits.OPINIONS,
            "running_replies": limits.RUNNING_REPLIES,
            "sockets": limits.SOCKETS,
        },
        aspects=[AspectOut(**asdict(aspect)) for aspect in asking.aspects],
        reasons=[ReasonOut(**asdict(reason)) for reason in asking.reasons],
        compare_share=asking.compare_share,
        starter=live is not None and starter.made(service.settings.weights_dir / live.directory),
    )


def _everything(session: Session, person_id: UUID) -> Json:
    person = _person(session, person_id)
    turns: dict[UUID, list[Json]] = {}
    messages = session.exec(
        select(Message, Reply)
        .outerjoin(Reply, col(Reply.id) == col(Message.id))
        .where(Message.person_id == person_id)
        .order_by(col(Message.position))
    )
    for message, reply in messages:
        turn = message.model_dump(include={"id", "parent_id", "role", "content", "state", "created_at", "ended_at"})
        turns.setdefault(message.conversation_id, []).append(
            turn | ({"policy_version": reply.policy_version, "sampling": reply.sampling} if reply else {})
        )
    history: dict[UUID, list[Json]] = {}
    for state in session.exec(
        select(OpinionHistory)
        .join(Opinion, col(Opinion.id) == col(OpinionHistory.opinion_id))
        .where(Opinion.person_id == person_id)
        .order_by(col(OpinionHistory.revision))
    ):
        history.setdefault(state.opinion_id, []).append({"revision": state.revision, "at": state.at, **state.content})
    return {
        "person": person.model_dump(exclude={"password_hash"}),
        "sessions": [
            login.model_dump(exclude={"digest", "person_id"})
            for login in session.exec(select(Login).where(Login.person_id == person_id))
        ],
        "api_keys": [
            key.model_dump(include={"prefix", "created_at"})
            for key in session.exec(select(ApiKey).where(ApiKey.person_id == person_id))
        ],
        "conversations": [
            {
                **conversation.model_dump(include={"id", "title", "archived", "train", "created_at", "updated_at"}),
                "messages": turns.get(conversation.id, []),
            }
            for conversation in session.exec(
                select(Conversation).where(Conversation.person_id == person_id).order_by(col(Conversation.created_at))
            )
        ],
        "shares": [
            share.model_dump()
            for share in session.exec(
                select(Share)
                .join(Conversation, col(Conversation.id) == col(Share.conversation_id))
                .where(Conversation.person_id == person_id)
            )
        ],
        "opinions": [
            {**opinion.model_dump(exclude={"person_id"}), "history": history.get(opinion.id, [])}
            for opinion in session.exec(select(Opinion).where(Opinion.person_id == person_id))
        ],
        "comparisons": [
            comparison.model_dump(exclude={"person_id"})
            for comparison in session.exec(select(Comparison).where(Comparison.person_id == person_id))
        ],
        "receipts": receipts.of_person(session, person_id),
        "audit": [
            row.model_dump(include={"at", "action", "target"})
            for row in session.exec(select(Audit).where(Audit.actor == str(person_id)).order_by(col(Audit.seq)))
        ],
    }
