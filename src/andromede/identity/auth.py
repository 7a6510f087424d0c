"""Issue, validation and revocation of tokens (Identity API v3, "Authentication and token management")."""

from __future__ import annotations

import base64
from typing import Any

from andromede.audit import Draft
from andromede.errors import Denied, Invalid, NotFound, Unauthenticated
from andromede.identity import credentials_store, principals_store, roles_store
from andromede.identity.authenticator import Session, open_session
from andromede.identity.bodies import Auth, AuthScope, ProjectRef
from andromede.identity.core import Core
from andromede.identity.login import Login, Proof, domain_of, refused
from andromede.identity.model import Project, Revocation, Trust, User
from andromede.identity.tokens import Claims, ScopeKind, seal, unseal
from andromede.web.call import Call

US = 1_000_000
RECEIPT_US = 300 * US
METHODS = frozenset({"password", "totp", "token", "application_credential"})


class Tokens:
    """What /v3/auth/tokens does."""

    def __init__(self, core: Core, login: Login) -> None:
        self._core = core
        self._login = login

    def issue(self, call: Call[Any], auth: Auth) -> tuple[str, Session]:
        """(token, what it stands for). Raises `Unauthenticated`; with reason `receipt` when another factor is due."""
        proofs, before = self._prove(call, auth)
        methods = self._methods(proofs, before)
        user_id = proofs[0].user_id
        self._second_factor(user_id, methods, proofs)
        parent = next((proof.parent for proof in proofs if proof.parent), None)
        app = next((proof.app_credential for proof in proofs if proof.app_credential), None)
        now = self._core.clock.now_us()
        expires = parent.expires_us if parent else now + self._core.settings.token_seconds * US
        audit_id = self._audit_id()
        kind: ScopeKind
        if app is not None:
            if auth.scope is not None and auth.scope != "unscoped":
                raise refused("an application credential has its own scope")
            kind, scope_id, trust = "project", app.project_id, None
            expires = min(expires, app.expires_us or expires)
        else:
            kind, scope_id, trust = self._scope(user_id, auth.scope)
        if trust is not None:
            user_id, expires = self._trusted(trust, user_id, expires)
        claims = Claims(
            user_id=user_id, methods=methods, issued_us=now, expires_us=expires,
            audit_ids=(audit_id, parent.chain_id) if parent else (audit_id,),
            scope=kind, scope_id=scope_id, trust_id=trust.id if trust else "",
            app_credential_id=app.id if app else "",
        )  # fmt: skip
        return seal(self._core.tokens, claims), self._open(call, claims)

    def _open(self, call: Call[Any], claims: Claims) -> Session:
        """Check that the claims hold and write the login's event in the same transaction."""
        core = self._core
        with core.db.write() as tx:
            session = open_session(tx, claims)
            limited = session.trust if session.trust and session.trust.remaining_uses is not None else None
            if limited and not credentials_store.use_trust(tx, limited.id):
                raise Denied("The trust has no uses left.", "trust")
            tenant = session.project.id if session.project and not session.project.is_domain else ""
            event = Draft(
                tenant, session.actor.label(), call.action, f"token:{claims.audit_ids[0]}", call.request_id,
                detail={"methods": ",".join(claims.methods), "address": call.peer},
            )  # fmt: skip
            core.recorder.record(tx, [event])
        return session

    def _prove(self, call: Call[Any], auth: Auth) -> tuple[list[Proof], Claims | None]:
        identity = auth.identity
        if not identity.methods:
            raise Invalid("auth.identity.methods names no method", "schema")
        if unknown := set(identity.methods) - METHODS:
            raise refused(f"unknown methods {sorted(unknown)}")
        for method in identity.methods:
            if getattr(identity, method) is None:
                raise Invalid(f"auth.identity.{method} is missing", "schema")
        before = None
        if text := call.headers.get("openstack-auth-receipt"):
            before = self._receipt(text)
        proofs = [self._login.prove(call, identity, method) for method in dict.fromkeys(identity.methods)]
        users = {proof.user_id for proof in proofs} | ({before.user_id} if before else set())
        if len(users) != 1:
            raise refused("the methods prove different users")
        return proofs, before

    def _receipt(self, text: str) -> Claims:
        try:
            claims = unseal(self._core.tokens, text, "receipt")
        except NotFound as error:
            raise refused("bad receipt") from error
        if claims.expires_us <= self._core.clock.now_us():
            raise refused("the receipt has expired")
        return claims

    @staticmethod
    def _methods(proofs: list[Proof], before: Claims | None) -> tuple[str, ...]:
        methods = [proof.method for proof in proofs]
        for proof in proofs:
            methods += proof.parent.methods if proof.parent else ()
        return tuple(dict.fromkeys([*methods, *(before.methods if before else ())]))

    def _second_factor(self, user_id: str, methods: tuple[str, ...], proofs: list[Proof]) -> None:
        """Compare with the user's `multi_factor_auth_rules`; a receipt lets the client bring the rest."""
        user = principals_store.USERS.find(self._core.db, id=user_id)
        if user is None or not user.options.get("multi_factor_auth_enabled"):
            return
        rules = [rule for rule in user.options.get("multi_factor_auth_rules", []) if rule]
        if not rules or any(set(rule) <= set(methods) for rule in rules):
            return
        if any(proof.method == "token" for proof in proofs):
            raise refused("the exchanged token lacks a factor")
        raise self._due(user, methods, rules)

    def _due(self, user: User, methods: tuple[str, ...], rules: list[list[str]]) -> Unauthenticated:
        now = self._core.clock.now_us()
        claims = Claims(
            form="receipt", user_id=user.id, methods=methods, issued_us=now, expires_us=now + RECEIPT_US,
            audit_ids=(self._audit_id(),),
        )  # fmt: skip
        return Unauthenticated(
            "Additional authentications steps required.", "receipt", receipt=claims, user=user, rules=rules,
            text=seal(self._core.tokens, claims),
        )  # fmt: skip

    def _scope(self, user_id: str, scope: AuthScope | str | None) -> tuple[ScopeKind, str, Trust | None]:
        if scope is None:
            return self._default_scope(user_id)
        if isinstance(scope, str) or scope.unscoped is not None:
            if isinstance(scope, str) and scope != "unscoped":
                raise Invalid(f"auth.scope {scope!r} is neither an object nor 'unscoped'", "schema")
            return "", "", None
        if sum(part is not None for part in (scope.project, scope.domain, scope.system, scope.trust)) != 1:
            raise Invalid("auth.scope must have exactly one of project, domain, system, OS-TRUST:trust", "schema")
        if scope.project:
            project = self._project(scope.project)
            if project is None:
                raise refused("the project to scope to is unknown")
            return "project", project.id, None
        if scope.domain:
            domain_id = domain_of(self._core, scope.domain)
            if domain_id is None:
                raise refused("the domain to scope to is unknown")
            return "domain", domain_id, None
        if scope.trust:
            return self._trust_scope(user_id, scope.trust.id)
        if not (scope.system or {}).get("all"):
            raise Invalid("auth.scope.system must be {'all': true}", "schema")
        return "system", roles_store.SYSTEM, None

    def _default_scope(self, user_id: str) -> tuple[ScopeKind, str, Trust | None]:
        db = self._core.db
        user = principals_store.USERS.find(db, id=user_id)
        if user is None or not user.default_project_id:
            return "", "", None
        project = principals_store.PROJECTS.find(db, id=user.default_project_id, enabled=True)
        if project is None or not roles_store.on_project(db, user_id, project):
            return "", "", None
        domain = principals_store.PROJECTS.find(db, id=project.domain_id, enabled=True)
        return ("project", project.id, None) if domain else ("", "", None)

    def _project(self, ref: ProjectRef) -> Project | None:
        table = principals_store.PROJECTS
        if ref.id:
            return table.find(self._core.db, id=ref.id)
        domain_id = domain_of(self._core, ref.domain)
        if not ref.name or domain_id is None:
            return None
        return table.find(self._core.db, name=ref.name, domain_id=domain_id)

    def _trust_scope(self, user_id: str, trust_id: str) -> tuple[ScopeKind, str, Trust | None]:
        trust = credentials_store.TRUSTS.find(self._core.db, id=trust_id, deleted_us=None)
        if trust is None:
            raise Denied("The trust is not known to you.", "trust")
        if trust.trustee_user_id != user_id:
            raise Denied("The trust is not known to you.", "trust")
        return ("project", trust.project_id, trust) if trust.project_id else ("", "", trust)

    def _trusted(self, trust: Trust, user_id: str, expires: int) -> tuple[str, int]:
        if trust.expires_us is not None and trust.expires_us <= self._core.clock.now_us():
            raise Denied("The trust has expired.", "trust")
        owner = trust.trustor_user_id if trust.impersonation else user_id
        return owner, min(expires, trust.expires_us or expires)

    def _audit_id(self) -> str:
        return base64.urlsafe_b64encode(self._core.ids.secret(16)).decode().rstrip("=")

    def look(self, text: str, allow_expired: bool = False) -> Session:
        """The session of a subject token. Raises `NotFound`."""
        authenticator = self._core.authenticator
        try:
            return authenticator.expired_session(text) if allow_expired else authenticator.session(text)
        except Unauthenticated as error:
            raise NotFound(f"Could not find token: {text[:8]}...", "token", cause=error.cause) from error

    def revoke(self, call: Call[Any], session: Session) -> None:
        """End one token at once, everywhere."""
        claims = session.claims
        tenant = session.project.id if session.project else ""
        with self._core.change(call, f"token:{claims.audit_ids[0]}", tenant) as change:
            now = self._core.clock.now_us()
            row = Revocation(
                change.tx.take("identity/revocation"), now, claims.expires_us, audit_id=claims.audit_ids[0]
            )
            credentials_store.revoke(change.tx, row, now)


def revoke_user(core: Core, tx: Any, user_id: str) -> None:
    """End every token that a user has now."""
    now = core.clock.now_us()
    row = Revocation(tx.take("identity/revocation"), now, now + core.settings.token_seconds * US, user_id=user_id)
    credentials_store.revoke(tx, row, now)
