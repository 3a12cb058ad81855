"""Signing in through a provider of OpenID Connect: the authorization code flow with PKCE, everything checked.

The browser is sent to the provider with a state that only it can bring back; it returns with a code, which the server
exchanges for an ID token. That counts if its signature, issuer, audience, times and nonce are right. A person is known
by issuer and subject alone: a name or an address at the provider may change hands, and opens no account here.
"""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import time
from typing import Annotated, Any, Literal
from urllib.parse import urlencode, urlsplit

import httpx2
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlmodel import Session

from backtalk import audit, people
from backtalk.entrance import mode
from backtalk.people import PersonConflict
from backtalk.settings import Settings
from backtalk.tables import OidcIdentity, Person
from server.access import Caller, anyone, is_secure
from server.errors import NotFound
from server.people import enter
from server.service import Service, get_service

router = APIRouter(prefix="/api/oidc", tags=["people"])

Held = Annotated[Service, Depends(get_service)]
Visitor = Annotated[Caller | None, anyone]
Problem = Literal["refused", "stale", "closed", "failed"]
"""The person or the provider said no; the way back took too long; nobody new is let in; what came cannot be trusted."""

COOKIE = "backtalk_oidc"
WAY_SECONDS = 600
"""How long somebody may take at the provider."""
LEEWAY_SECONDS = 60
"""How far the provider's clock may be off."""
TIMEOUT_SECONDS = 10
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a key that the provider keeps to itself; never `none`, never a shared secret."""

log = logging.getLogger(__name__)


class OidcError(RuntimeError):
    """The provider said something that cannot be trusted, or nothing at all; the log has it."""


class _Problem(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


@router.get("/start", status_code=303, response_class=RedirectResponse)
async def start(request: Request, service: Held, caller: Visitor) -> RedirectResponse:
    """Send the browser to the provider."""
    settings = service.settings
    if settings.oidc_issuer is None:
        raise NotFound("no provider is set up here; sign in with a name and a password")
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    try:
        provider = await _discover(settings)
    except (OidcError, httpx2.HTTPError) as error:
        log.error("the provider %s cannot be asked: %s", settings.oidc_issuer, error)
        return _back("failed")
    asked = {
        "response_type": "code",
        "client_id": settings.oidc_client_id,
        "redirect_uri": _return_address(request, settings),
        "scope": "openid profile",
        "state": state,
        "nonce": nonce,
        "code_challenge": _base64(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    endpoint = provider["authorization_endpoint"]
    response = RedirectResponse(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}", 303)
    kept = {"state": state, "nonce": nonce, "verifier": verifier, "until": time.time() + WAY_SECONDS}
    response.set_cookie(
        COOKIE,
        _sealed(settings, kept),
        max_age=WAY_SECONDS,
        path="/api/oidc",
        httponly=True,
        samesite="lax",
        secure=is_secure(settings),
    )
    return response


@router.get("/done", status_code=303, response_class=RedirectResponse)
async def done(
    request: Request, service: Held, caller: Visitor, state: str = "", code: str = "", error: str = ""
) -> RedirectResponse:
    """Where the provider sends the browser back to: sign the person in, and go on to the chat."""
    settings = service.settings
    try:
        kept = _opened(settings, request.cookies.get(COOKIE, ""))
        if kept is None or not hmac.compare_digest(kept["state"].encode(), state.encode()):
            raise _Problem("stale")
        if error or not code:
            raise _Problem("refused")
        claims = await _exchange(request, settings, code, kept)
        response = RedirectResponse("/", 303)
        await enter(service, response, lambda session: _person(session, settings, caller, claims), leave=caller)
    except _Problem as problem:
        response = _back(problem.problem)
    except (OidcError, JoseError, httpx2.HTTPError, ValueError, KeyError) as fault:
        log.error("signing in through %s failed: %s: %s", settings.oidc_issuer, type(fault).__name__, fault)
        response = _back("failed")
    response.delete_cookie(COOKIE, path="/api/oidc")
    return response


def _person(session: Session, settings: Settings, caller: Caller | None, claims: dict[str, Any]) -> Person:
    """Whom this subject is: known, or the guest who is here, or somebody new.

    Raises:
        _Problem: it is somebody new, and nobody new is let in.
    """
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    known = session.get(OidcIdentity, (issuer, subject))
    if known is not None:
        return session.get_one(Person, known.person_id)
    if mode(session, settings) == "closed":
        raise _Problem("closed")
    name = _free_name(session, str(claims.get("preferred_username") or claims.get("name") or subject))
    guest = session.get(Person, caller.person_id) if caller is not None and caller.guest else None
    if guest is None:
        person = people.add(session, name)
    else:
        person, guest.name, guest.guest = guest, name, False
        session.add(guest)
        audit.record(session, guest.id, "person.sign_up", guest.id)
    session.flush()
    session.add(OidcIdentity(issuer=issuer, subject=subject, person_id=person.id))
    return person


def _free_name(session: Session, wished: str) -> str:
    wished = "".join(character for character in wished if character.isprintable()).strip() or "somebody"
    wished = wished[: people.NAME_LENGTH - 4]
    for number in range(2, 1000):
        try:
            return people.check_name(session, wished if number == 2 else f"{wished} {number - 1}")
        except PersonConflict:
            continue
    raise OidcError(f"a thousand people are called {wished!r}")


# The provider ------------------------------------------------------------------------------------------------------


async def _discover(settings: Settings) -> dict[str, Any]:
    issuer = str(settings.oidc_issuer)
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        answer = await client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    answer.raise_for_status()
    provider: dict[str, Any] = answer.json()
    if provider.get("issuer") != issuer:
        raise OidcError(f"it calls itself {provider.get('issuer')!r}, not {issuer!r} as BACKTALK_OIDC_ISSUER says")
    return provider


async def _exchange(request: Request, settings: Settings, code: str, kept: dict[str, Any]) -> dict[str, Any]:
    """The claims of the ID token that the code is good for.

    Raises:
        OidcError, JoseError: it cannot be trusted.
    """
    provider, secret = await _discover(settings), settings.oidc_secret()
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _return_address(request, settings),
        "client_id": settings.oidc_client_id,
        "code_verifier": kept["verifier"],
    }
    if secret is not None:
        asked["client_secret"] = secret
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        answer = await client.post(provider["token_endpoint"], data=asked)
        answer.raise_for_status()
        keys = await client.get(provider["jwks_uri"])
        keys.raise_for_status()
    token = jwt.decode(answer.json()["id_token"], KeySet.import_key_set(keys.json()), algorithms=ALGORITHMS)
    registry = jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": str(settings.oidc_issuer)},
        aud={"essential": True, "value": str(settings.oidc_client_id)},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": kept["nonce"]},
    )
    registry.validate(token.claims)
    several = isinstance(token.claims["aud"], list) and len(token.claims["aud"]) > 1
    if (several or "azp" in token.claims) and token.claims.get("azp") != settings.oidc_client_id:
        raise OidcError(f"the token was made for {token.claims.get('azp')!r}")
    return token.claims


def _return_address(request: Request, settings: Settings) -> str:
    base = urlsplit(settings.public_url or str(request.base_url))
    return f"{base.scheme}://{base.netloc}/api/oidc/done"


def _back(problem: Problem) -> RedirectResponse:
    return RedirectResponse(f"/join?problem={problem}", 303)


# What the browser keeps meanwhile -------------------------------------------------------------------------------------


def _sealed(settings: Settings, kept: dict[str, Any]) -> str:
    content = _base64(json.dumps(kept).encode())
    return f"{content}.{_signature(settings, content)}"


def _opened(settings: Settings, cookie: str) -> dict[str, Any] | None:
    content, _, signature = cookie.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(settings, content).encode()):
        return None
    kept: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    return kept if kept["until"] > time.time() else None


def _signature(settings: Settings, content: str) -> str:
    return _base64(hmac.digest(settings.secret_key(), b"oidc." + content.encode(), "sha256"))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
