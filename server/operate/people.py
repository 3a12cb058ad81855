"""People as operators see them: who there is, roles, invitations, and how the first admin comes to be."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, col, select

from backtalk import people
from backtalk.people import PersonError
from backtalk.tables import Message, Opinion, Person
from server.access import Caller, Role, anyone
from server.errors import Forbidden, NotFound
from server.operate.rules import PREFIX, Admin, Held, Limit, Operator
from server.people import Me, enter, in_pool

router = APIRouter(prefix=PREFIX, tags=["people"])


class PersonIn(BaseModel):
    """Somebody new, with a password, an API key, both, or neither yet."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: Role = "user"
    password: str | None = None
    api_key: bool = Field(False, strict=True, description="Make an API key too; it is shown this once.")


class RoleChange(BaseModel):
    """Another role."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class PersonOut(BaseModel):
    """A person, without anything they wrote."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str | None
    role: Role
    guest: bool
    language: str
    consent_train: bool | None
    created_at: datetime


class Listed(PersonOut):
    """A person in the list, with how much they take part."""

    questions: int
    opinions: int


class Added(PersonOut):
    """A new person, with their key at the only moment it can be seen."""

    api_key: str | None


class PeoplePage(BaseModel):
    """Some people, newest first; `next` goes into `offset`."""

    items: list[Listed]
    next: int | None


class Invitation(BaseModel):
    """A word that lets its holder sign up once."""

    invite: str


class Claim(BaseModel):
    """What the holder of the one-time token sends to become the first admin."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=256)
    name: str
    password: str


@router.get("/people")
async def list_people(
    service: Held,
    caller: Operator,
    query: Annotated[str | None, Query(max_length=128, description="Part of a name.")] = None,
    role: Role | None = None,
    guests: bool = False,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Limit = 100,
) -> PeoplePage:
    """People, newest first; guests only when asked for."""
    questions = (
        sa.select(sa.func.count())
        .select_from(Message)
        .where(col(Message.person_id) == col(Person.id), col(Message.role) == "user")
    )
    opinions = sa.select(sa.func.count()).select_from(Opinion).where(col(Opinion.person_id) == col(Person.id))
    wanted = (
        select(Person, questions.scalar_subquery(), opinions.scalar_subquery())
        .order_by(col(Person.created_at).desc(), col(Person.id))
        .offset(offset)
        .limit(limit + 1)
    )
    if not guests:
        wanted = wanted.where(~col(Person.guest))
    if role is not None:
        wanted = wanted.where(Person.role == role)
    if query:
        wanted = wanted.where(col(Person.name).icontains(query, autoescape=True))
    rows = await service.read(lambda session: session.exec(wanted).all())
    items = [Listed(**person.model_dump(), questions=asked, opinions=given) for person, asked, given in rows[:limit]]
    return PeoplePage(items=items, next=offset + limit if len(rows) > limit else None)


@router.post("/people", status_code=201)
async def add(given: PersonIn, service: Held, caller: Operator) -> Added:
    """Make a person. Operators make users and raters; admins make anybody."""
    if not caller.may("admin") and given.role not in ("user", "rater"):
        raise Forbidden(f"only an admin can make a person {given.role}")
    password = given.password
    password_hash = await in_pool(lambda: people.hash_password(password, given.name)) if password is not None else None

    def change(session: Session) -> Added:
        person = people.add(session, given.name, given.role, password_hash, actor=caller.person_id)
        secret = people.add_key(session, person, actor=caller.person_id).secret if given.api_key else None
        return Added(**person.model_dump(), api_key=secret)

    return await service.writer.write(change)


@router.post("/people/invites", status_code=201)
async def invite(service: Held, caller: Operator) -> Invitation:
    """Make an invitation, good once and for a week, where signing up needs one."""
    word = await service.writer.write(lambda session: people.invite(session, service.settings, caller.person_id))
    return Invitation(invite=word)


@router.patch("/people/{person_id}")
async def set_role(person_id: UUID, given: RoleChange, service: Held, caller: Admin) -> PersonOut:
    """Give a person another role; it holds at once, on open sockets within a second."""

    def change(session: Session) -> PersonOut:
        person = _person(session, person_id)
        people.set_role(session, person, given.role, caller.person_id)
        return PersonOut.model_validate(person)

    changed = await service.writer.write(change)
    service.identities.forget()
    return changed


@router.delete("/people/{person_id}", status_code=204)
async def erase(person_id: UUID, service: Held, caller: Admin) -> None:
    """Erase a person with everything that belongs to them."""
    service.replies.drop(person_id=person_id)
    await service.writer.write(lambda session: people.erase(session, _person(session, person_id), caller.person_id))
    service.identities.forget()


@router.post("/claim", status_code=201)
async def claim(given: Claim, response: Response, service: Held, caller: Annotated[Caller | None, anyone]) -> Me:
    """Become the first admin with the one-time token, and sign in. Of many at once exactly one wins."""

    def prove() -> str:
        with service.database.read() as session:
            _check(session)
            people.check_name(session, given.name)
        return people.hash_password(given.password, given.name)

    def change(session: Session) -> Person:
        _check(session)
        return people.claim(session, service.settings, given.token, given.name, password_hash)

    def _check(session: Session) -> None:
        try:
            people.check_claim(session, service.settings, given.token)
        except PersonError as error:
            raise Forbidden(str(error)) from error

    password_hash = await in_pool(prove)
    me = await enter(service, response, change, leave=caller)
    people.end_claim(service.settings)
    return me


def _person(session: Session, person_id: UUID) -> Person:
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound(f"there is no person {person_id}")
    return person
