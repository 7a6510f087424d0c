"""From tokens and access keys to actors, in microseconds when warm.

Every answer is remembered under the *epoch* it was computed in. The epoch is one row, raised in the
transaction of every change that can affect a credential, a role or an enabled state, and read on every
check: a revocation is seen at once by every process.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cryptography.fernet import InvalidToken

from andromede.clock import Clock
from andromede.db import Database, Tx
from andromede.db.table import Reader
from andromede.errors import Fatal, NotFound, Unauthenticated
from andromede.identity import credentials_store, principals_store, roles_store
from andromede.identity.keyring import KeyRing
from andromede.identity.model import AccessRule, ApplicationCredential, Credential, Project, Role, Trust, User
from andromede.identity.tokens import Claims, unseal
from andromede.web.actor import Actor

V = TypeVar("V")
REFUSED = "The request you have made requires authentication."
SHOWN_CAPACITY = 1000
"""Answers that are kept as they are sent, a few KiB each."""
EXPIRED_WINDOW_US = 48 * 3600 * 1_000_000
"""How long after its end a token may still be looked at with `allow_expired` (a service's long job)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A valid token and everything it stands for."""

    claims: Claims
    actor: Actor
    user: User
    user_domain: Project
    roles: tuple[Role, ...] = ()
    project: Project | None = None
    project_domain: Project | None = None
    domain: Project | None = None
    trust: Trust | None = None
    app_credential: ApplicationCredential | None = None
    rules: tuple[AccessRule, ...] = ()


class EpochCache:
    """Values by key, each good for one epoch; at most `capacity`, the oldest go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._found: dict[Hashable, tuple[int, Any]] = {}

    def get(self, key: Hashable, epoch: int) -> Any:
        """The value, or None when it is unknown or of another epoch."""
        entry = self._found.get(key)
        return entry[1] if entry is not None and entry[0] == epoch else None

    def put(self, key: Hashable, epoch: int, value: Any) -> None:
        """Remember a value that was computed from a snapshot of this epoch."""
        with self._lock:
            self._found.pop(key, None)
            self._found[key] = (epoch, value)
            while len(self._found) > self._capacity:
                self._found.pop(next(iter(self._found)))

    def __len__(self) -> int:
        return len(self._found)


class Authenticator:
    """Shared by the API port and the object port. Safe to use from many threads."""

    def __init__(self, db: Database, tokens: KeyRing, vault: KeyRing, clock: Clock, capacity: int = 20_000) -> None:
        self._db = db
        self._tokens = tokens
        self._vault = vault
        self._clock = clock
        self._cache = EpochCache(capacity)
        self._shown = EpochCache(SHOWN_CAPACITY)
        self._seen: tuple[bytes | None, int] = (None, 0)

    def token(self, token: str) -> Actor:
        """The actor of a token. Raises `Unauthenticated` (reason `token`)."""
        return self.session(token).actor

    def session(self, token: str) -> Session:
        """Everything about a valid token. Raises `Unauthenticated` (reason `token`)."""
        epoch = self._epoch()
        found: Session | None = self._cache.get(("token", token), epoch)
        if found is None:
            found, epoch = self._session(token, epoch)
            self._cache.put(("token", token), epoch, found)
        if found.claims.expires_us <= self._clock.now_us():
            raise Unauthenticated(REFUSED, "token", cause="expired")
        return found

    def expired_session(self, token: str) -> Session:
        """The same for a token that ended within `EXPIRED_WINDOW_US`."""
        found, _ = self._session(token, self._epoch())
        if found.claims.expires_us + EXPIRED_WINDOW_US <= self._clock.now_us():
            raise Unauthenticated(REFUSED, "token", cause="expired too long ago")
        return found

    def ec2(self, access_key: str) -> tuple[str, Actor]:
        """(secret, actor on the credential's project with its current roles). Raises `Unauthenticated`
        (reason `access_key`)."""
        secret, actor = self._remember(("ec2", access_key), lambda tx: self._ec2(tx, access_key))
        if actor.expires_us is not None and actor.expires_us <= self._clock.now_us():
            raise Unauthenticated("the access key has expired", "access_key")
        return secret, actor

    def project(self, project_id: str) -> Project | None:
        """A project by id, enabled or not."""
        return self._remember(
            ("project", project_id), lambda tx: principals_store.PROJECTS.find(tx, id=project_id, is_domain=False)
        )

    def project_by_name(self, name: str, domain_id: str = "default") -> Project | None:
        """A project by name within a domain."""
        return self._remember(
            ("project name", domain_id, name),
            lambda tx: principals_store.PROJECTS.find(tx, name=name, domain_id=domain_id, is_domain=False),
        )

    def user(self, user_id: str) -> User | None:
        """A user by id."""
        return self._remember(("user", user_id), lambda tx: principals_store.USERS.find(tx, id=user_id))

    def user_by_email(self, email: str) -> User | None:
        """The first user (by name) with this e-mail address, for grants of S3 that name one."""

        def look(tx: Tx) -> User | None:
            rows = principals_store.USERS.query(
                tx, "WHERE t.extra LIKE ? ESCAPE '\\' ORDER BY t.name, t.id", (f"%{_pattern(email)}%",)
            )
            return next((user for user in rows if user.extra.get("email") == email), None)

        return self._remember(("email", email), look)

    def _remember(self, key: Hashable, work: Callable[[Tx], V]) -> V:
        epoch = self._epoch()
        value: V | None = self._cache.get(key, epoch)
        if value is None:
            with self._db.read() as tx:
                # the epoch of the snapshot itself: a change between the two reads must not be remembered as old
                epoch = principals_store.epoch(tx)
                value = work(tx)
            if value is not None:
                self._cache.put(key, epoch, value)
        return value

    def shown(self, key: Hashable, make: Callable[[], V]) -> V:
        """A value that rests on nothing but what raises the epoch: made once for each epoch."""
        epoch = self._epoch()
        value: V | None = self._shown.get(key, epoch)
        if value is None:
            value = make()
            self._shown.put(key, epoch, value)  # read after the epoch: at worst newer, and then never used
        return value

    def _epoch(self) -> int:
        """The epoch now; its row is not read again while nobody has raised it since."""
        version, seen = self._db.epoch(), self._seen
        if version is None or version != seen[0]:
            seen = self._seen = version, principals_store.epoch(self._db)
        return seen[1]

    def _session(self, token: str, epoch: int) -> tuple[Session, int]:
        """What a token that is not known stands for, and the epoch of that. What its user may do in its scope was
        perhaps asked for another token of theirs."""
        try:
            claims = unseal(self._tokens, token)
        except NotFound as error:
            raise Unauthenticated(REFUSED, "token", cause=error.public) from error
        key = ("standing", _standing(claims))
        known: Session | None = self._cache.get(key, epoch)
        if known is not None:
            revoked = _is_revoked(self._db, claims)
            if self._epoch() == epoch:  # nothing changed between the two reads
                if revoked:
                    raise _refuse("revoked")
                return _carried(known, claims), epoch
        with self._db.read() as tx:
            epoch = principals_store.epoch(tx)
            if _is_revoked(tx, claims):
                raise _refuse("revoked")
            found = open_session(tx, claims)
        self._cache.put(key, epoch, found)
        return found, epoch

    def _ec2(self, tx: Tx, access_key: str) -> tuple[str, Actor]:
        credential = credentials_store.CREDENTIALS.find(tx, access=access_key, type="ec2")
        if credential is None or credential.project_id is None:
            raise Unauthenticated("the access key is unknown", "access_key")
        secret = str(open_blob(self._vault, credential).get("secret", ""))
        if not secret:
            raise Unauthenticated("the access key has no secret", "access_key")
        claims = Claims(
            user_id=credential.user_id, methods=("ec2",), issued_us=0, expires_us=0, audit_ids=("ec2",),
            scope="project", scope_id=credential.project_id, trust_id=credential.trust_id or "",
            app_credential_id=credential.app_credential_id or "",
        )  # fmt: skip
        try:
            session = open_session(tx, claims, via="ec2", credential_id=credential.id)
        except Unauthenticated as error:
            raise Unauthenticated("the access key is not valid now", "access_key", cause=error.cause) from error
        if session.actor.access_rules is not None:
            raise Unauthenticated("access rules do not fit the S3 interface", "access_key")
        return secret, session.actor


def _pattern(text: str) -> str:
    """The text as it stands inside a JSON document, for LIKE."""
    inner = json.dumps(text)[1:-1]
    for sign in ("\\", "%", "_"):
        inner = inner.replace(sign, "\\" + sign)
    return inner


def open_blob(vault: KeyRing, credential: Credential) -> dict[str, Any]:
    """The decrypted JSON of an EC2 credential; empty when it is none. Raises `Fatal` when no key opens it."""
    try:
        found = json.loads(vault.decrypt(credential.blob))
    except InvalidToken as error:
        text = f"the credential {credential.id} does not open: it was altered, or its key in keys/credential was"
        raise Fatal(f"{text}; restore a backup", "credential") from error
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(cause: str) -> Unauthenticated:
    return Unauthenticated(REFUSED, "token", cause=cause)


def _is_revoked(tx: Reader, claims: Claims) -> bool:
    return credentials_store.is_revoked(tx, claims.audit_ids, claims.user_id, claims.issued_us)


def _standing(claims: Claims) -> tuple[Hashable, ...]:
    """What of a token decides who its bearer is and what that one may do; the rest is when and which."""
    return claims.user_id, claims.methods, claims.scope, claims.scope_id, claims.trust_id, claims.app_credential_id


def _carried(known: Session, claims: Claims) -> Session:
    """The session of a token that stands for the same as another one."""
    actor = replace(known.actor, expires_us=_ends(claims, known.trust, known.app_credential))
    return replace(known, claims=claims, actor=actor)


def _enabled_domain(tx: Tx, domain_id: str) -> Project:
    domain = principals_store.PROJECTS.find(tx, id=domain_id, is_domain=True)
    if domain is None or not domain.enabled:
        raise _refuse("the domain is gone or disabled")
    return domain


def _enabled_user(tx: Tx, user_id: str) -> tuple[User, Project]:
    user = principals_store.USERS.find(tx, id=user_id)
    if user is None or not user.enabled:
        raise _refuse("the user is gone or disabled")
    return user, _enabled_domain(tx, user.domain_id)


def _delegated(tx: Tx, claims: Claims) -> tuple[Trust | None, ApplicationCredential | None]:
    trust = app = None
    if claims.trust_id:
        trust = credentials_store.TRUSTS.find(tx, id=claims.trust_id, deleted_us=None)
        if trust is None:
            raise _refuse("the trust is gone")
        _enabled_user(tx, trust.trustor_user_id)
        _enabled_user(tx, trust.trustee_user_id)
    if claims.app_credential_id:
        app = credentials_store.APP_CREDENTIALS.find(tx, id=claims.app_credential_id)
        if app is None:
            raise _refuse("the application credential is gone")
    for delegation in (trust, app):
        # a key pair names its project itself: a delegation must not be carried to another one
        if delegation is not None and claims.scope and claims.scope_id != delegation.project_id:
            raise _refuse("the delegation is for another project")
    return trust, app


def _roles(tx: Tx, claims: Claims, project: Project | None, trust: Trust | None, app: Any) -> list[Role]:
    holder = trust.trustor_user_id if trust else claims.user_id
    if project is not None:
        held = roles_store.on_project(tx, holder, project)
    elif claims.scope == "domain":
        held = roles_store.on_domain(tx, holder, claims.scope_id)
    else:
        held = roles_store.on_system(tx, holder)
    roles = roles_store.expand(tx, held)
    wanted = trust.roles if trust else app.roles if app else None
    if wanted is not None:
        have = {role.id for role in roles}
        if not set(wanted) <= have:
            raise _refuse("the delegated roles are no longer held")
        roles = roles_store.expand(tx, wanted)
    if not roles:
        raise _refuse("the user has no role in this scope")
    return roles


def _ends(claims: Claims, trust: Trust | None, app: ApplicationCredential | None) -> int | None:
    ends = [x for x in (claims.expires_us, trust and trust.expires_us, app and app.expires_us) if x]
    return min(ends) if ends else None


def _via(claims: Claims) -> str:
    """A delegation shows before the proof: what it may do depends on it."""
    if claims.trust_id or claims.app_credential_id:
        return "trust" if claims.trust_id else "application_credential"
    return claims.methods[0] if claims.methods else "token"


def open_session(tx: Tx, claims: Claims, via: str = "", credential_id: str | None = None) -> Session:
    """What claims stand for now: enabled states and roles are read, not remembered in the token.
    Raises `Unauthenticated` when the user, the scope or the delegation no longer holds."""
    user, user_domain = _enabled_user(tx, claims.user_id)
    trust, app = _delegated(tx, claims)
    project = project_domain = domain = None
    roles: list[Role] = []
    if claims.scope == "project":
        project = principals_store.PROJECTS.find(tx, id=claims.scope_id)
        if project is None or not project.enabled:
            raise _refuse("the project is gone or disabled")
        project_domain = _enabled_domain(tx, project.domain_id or project.id)
    elif claims.scope == "domain":
        domain = _enabled_domain(tx, claims.scope_id)
    if claims.scope:
        roles = _roles(tx, claims, project, trust, app)
    rules: list[AccessRule] = []
    if app and app.rules is not None:
        rules = credentials_store.ACCESS_RULES.select(tx, {"id": app.rules})
    actor = Actor(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain_id,
        roles=frozenset(role.name for role in roles),
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project.domain_id if project else None,
        domain_id=domain.id if domain else None,
        system=claims.scope == "system",
        via=via or _via(claims),
        credential_id=credential_id or (app.id if app else trust.id if trust else None),
        expires_us=_ends(claims, trust, app),
        access_rules=None if not app or app.rules is None else tuple((r.service, r.method, r.path) for r in rules),
    )
    return Session(
        claims, actor, user, user_domain, tuple(roles), project, project_domain, domain, trust, app, tuple(rules)
    )
