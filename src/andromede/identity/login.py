"""Proofs of identity: each method turns its part of the request into a user, or refuses.

All refusals look alike and take the time of one password check (OWASP, "Authentication responses").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken

from andromede.audit import Draft
from andromede.audit.answers import draft
from andromede.errors import Denied, NotFound, Unauthenticated
from andromede.identity import credentials_store, principals_store
from andromede.identity.authenticator import REFUSED
from andromede.identity.bodies import AuthApplicationCredential, AuthIdentity, AuthUser, DomainRef
from andromede.identity.core import Core
from andromede.identity.model import ApplicationCredential, User
from andromede.identity.tokens import Claims
from andromede.web.call import Call
from andromede.web.limiter import RateLimiter, caller

US = 1_000_000
TOTP_STEP = 30
TOTP_PAST_STEPS = 1


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome of one method. `parent`: the token that was exchanged."""

    user_id: str
    method: str
    parent: Claims | None = None
    app_credential: ApplicationCredential | None = None


@dataclass(slots=True)
class Limits:
    """Brakes on guessing: per address, per user from one address, and per user from everywhere. From one address
    nobody can use up what a user has everywhere: the right password still counts from elsewhere."""

    address: RateLimiter
    pair: RateLimiter
    user: RateLimiter


def refused(cause: str) -> Unauthenticated:
    """The one answer to every failed login."""
    return Unauthenticated(REFUSED, "login", cause=cause)


def totp(secret: bytes, counter: int) -> str:
    """Six digits (RFC 6238 with HMAC-SHA1, 30 s; RFC 4226 truncation)."""
    digest = hmac.digest(secret, counter.to_bytes(8, "big"), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


class Login:
    """The methods `password`, `totp`, `token` and `application_credential`."""

    def __init__(self, core: Core, limits: Limits) -> None:
        self._core = core
        self._limits = limits

    def prove(self, call: Call[Any], identity: AuthIdentity, method: str) -> Proof:
        """The proof by one method. Raises `Unauthenticated`, or `Denied` for a token that may not be exchanged."""
        self._limits.address.take(caller(call.peer))
        if method == "password" and identity.password:
            return self._password(call, identity.password.user)
        if method == "totp" and identity.totp:
            return self._totp(call, identity.totp.user)
        if method == "token" and identity.token:
            return self._token(identity.token.id)
        if method == "application_credential" and identity.application_credential:
            return self._application_credential(call, identity.application_credential)
        raise refused(f"method {method!r} is unknown or has no part in the request")

    def brake(self, call: Call[Any], user_id: str) -> None:
        """Count an attempt of the caller's address on a user. Raises `OverQuota`."""
        self._limits.address.take(caller(call.peer))
        self._count(call, user_id)

    def _count(self, call: Call[Any], named: str) -> None:
        """Count an attempt on what the request names, whether there is such a user or not: an answer that
        differed would tell."""
        self._limits.pair.take(f"{caller(call.peer)} {named}")
        self._limits.user.take(named)

    def find(self, who: AuthUser) -> User | None:
        """The user named by id, or by name with domain."""
        db = self._core.db
        if who.id:
            return principals_store.USERS.find(db, id=who.id)
        domain_id = domain_of(self._core, who.domain) if who.name and who.domain else None
        return principals_store.USERS.find(db, name=who.name, domain_id=domain_id) if domain_id else None

    def _password(self, call: Call[Any], who: AuthUser) -> Proof:
        self._count(call, named(who))
        user = self.find(who)
        self.check_password(call, user, who.password or "")
        assert user is not None
        return Proof(user.id, "password")

    def check_password(self, call: Call[Any], user: User | None, secret: str) -> None:
        """Verify a password with lock-out and expiry. Raises `Unauthenticated`."""
        core = self._core
        password = principals_store.current_password(core.db, user.id) if user else None
        locked = user is not None and self._locked(user)
        right = core.passwords.verify(password.hash if password and not locked else None, secret)
        if user is None or not right or password is None:
            self._failed(call, user, locked)
            raise refused("locked out" if locked else "unknown user or wrong password")
        if user.failures:
            with core.db.write() as tx:
                principals_store.USERS.update(tx, {"id": user.id}, failures=0)
        ends = password.expires_us
        if ends is not None and ends <= core.clock.now_us() and not user.options.get("ignore_password_expiry"):
            raise Unauthenticated(
                f"The password is expired and needs to be changed for user: {user.id}.", "password_expired"
            )

    def _locked(self, user: User) -> bool:
        limit = self._core.settings.lockout_failures
        if not limit or user.failures < limit or user.options.get("ignore_lockout_failure_attempts"):
            return False
        return self._core.clock.now_us() < user.failed_us + self._core.settings.lockout_seconds * US

    def _failed(self, call: Call[Any], user: User | None, locked: bool) -> None:
        core = self._core
        with core.db.write() as tx:
            if user is not None and not locked:
                now, limit = core.clock.now_us(), core.settings.lockout_failures
                fresh = principals_store.USERS.find(tx, id=user.id)
                failures = fresh.failures if fresh else 0
                served = limit and failures >= limit  # a lock-out that has ended starts the count anew
                principals_store.USERS.update(
                    tx, {"id": user.id}, failures=1 if served else failures + 1, failed_us=now
                )
            core.recorder.record(tx, [failure(call, user.id if user else "")])

    def _totp(self, call: Call[Any], who: AuthUser) -> Proof:
        core = self._core
        self._count(call, named(who))
        user = self.find(who)
        step = core.clock.now_us() // US // TOTP_STEP
        for credential_id, secret in self._totp_secrets(user):
            for counter in range(step, step - TOTP_PAST_STEPS - 1, -1):
                right = hmac.compare_digest(totp(secret, counter).encode(), (who.passcode or "").encode())
                if right and self._first_use(credential_id, counter):
                    assert user is not None
                    return Proof(user.id, "totp")
        self._failed(call, user, locked=False)
        raise refused("wrong passcode")

    def _first_use(self, credential_id: str, counter: int) -> bool:
        """A code is good once (RFC 6238, 5.2)."""
        with self._core.db.write() as tx:
            return credentials_store.use_code(tx, credential_id, counter)

    def _totp_secrets(self, user: User | None) -> list[tuple[str, bytes]]:
        if user is None or self._locked(user):
            return []
        found = []
        for credential in credentials_store.CREDENTIALS.select(self._core.db, {"user_id": user.id, "type": "totp"}):
            try:
                text = self._core.vault.decrypt(credential.blob).decode().strip().upper()
                found.append((credential.id, base64.b32decode(text + "=" * (-len(text) % 8))))
            except (InvalidToken, UnicodeError, binascii.Error, json.JSONDecodeError):
                continue
        return found

    def _token(self, text: str) -> Proof:
        try:
            session = self._core.authenticator.session(text)
        except Unauthenticated as error:
            raise NotFound(f"Could not find token: {text[:8]}...", "token", cause=error.cause) from error
        if session.trust or session.app_credential:
            raise Denied("A delegated token (trust, application credential) cannot be exchanged.", "delegated")
        return Proof(session.user.id, "token", session.claims)

    def _application_credential(self, call: Call[Any], given: AuthApplicationCredential) -> Proof:
        core = self._core
        self._count(call, given.id or f"{given.name!r} of {named(given.user or AuthUser())}")
        table = credentials_store.APP_CREDENTIALS
        found = None
        if given.id:
            found = table.find(core.db, id=given.id)
        elif given.name and given.user:
            user = self.find(given.user)
            found = table.find(core.db, user_id=user.id, name=given.name) if user else None
        right = core.passwords.verify(found.hash if found else None, given.secret)
        if found is None or not right:
            with core.db.write() as tx:
                core.recorder.record(tx, [failure(call, found.user_id if found else "")])
            raise refused("unknown application credential or wrong secret")
        if found.expires_us is not None and found.expires_us <= core.clock.now_us():
            raise refused("the application credential has expired")
        return Proof(found.user_id, "application_credential", app_credential=found)


def named(who: AuthUser) -> str:
    """The user as the request names it."""
    if who.id:
        return who.id
    domain = who.domain or DomainRef()
    return f"{who.name!r} in {domain.id!r} or {domain.name!r}"


def failure(call: Call[Any], user_id: str) -> Draft:
    """The audit event of a failed login."""
    return draft(call, f"user:{user_id or 'unknown'}", outcome="failure")


def domain_of(core: Core, ref: DomainRef | None) -> str | None:
    """The id of a domain named by id or name, or None."""
    if ref is None:
        return None
    table = principals_store.PROJECTS
    found = (
        table.find(core.db, id=ref.id, is_domain=True)
        if ref.id
        else table.find(core.db, name=ref.name, is_domain=True)
        if ref.name
        else None
    )
    return found.id if found else None
