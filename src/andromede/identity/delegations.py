"""Rules of application credentials, access rules and trusts (Identity API v3; OS-TRUST)."""

from __future__ import annotations

import base64
import re
from typing import Any

from andromede.db import Tx
from andromede.errors import Conflict, Denied, Invalid
from andromede.identity import credentials_store, principals_store, roles_store
from andromede.identity.bodies import AppCredentialFields, RoleRef, RuleFields, TrustFields
from andromede.identity.common import found, future
from andromede.identity.core import Core
from andromede.identity.model import AccessRule, ApplicationCredential, Role, Trust
from andromede.web.call import Call

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "COPY"})
MAX_REDELEGATION = 3
RULES = credentials_store.ACCESS_RULES
APPS = credentials_store.APP_CREDENTIALS
TRUSTS = credentials_store.TRUSTS


def unrestricted(core: Core, call: Call[Any]) -> None:
    """Raise `Denied` for a token of an application credential that may not make delegations itself."""
    who = call.who
    if who.via != "application_credential":
        return
    app = APPS.find(core.db, id=who.credential_id)
    if app is None or not app.unrestricted:
        raise Denied("A restricted application credential may not manage credentials or trusts.", "restricted")


def chosen_roles(tx: Tx, wanted: list[RoleRef], held: list[Role], kind: str) -> list[str]:
    """Ids of the roles named, all of which must be held."""
    by_id = {role.id: role for role in held}
    by_name = {role.name: role for role in held}
    ids = []
    for ref in wanted:
        role = by_id.get(ref.id) if ref.id else by_name.get(ref.name or "")
        if role is None:
            raise Invalid(f"The {kind} asks for role {ref.id or ref.name!r}, which its maker does not hold.", "role")
        ids.append(role.id)
    return sorted(set(ids))


class AppCredentials:
    """Application credentials and their access rules."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, call: Call[Any], user_id: str, fields: AppCredentialFields) -> tuple[ApplicationCredential, str]:
        """(credential, its secret, which is shown once). The caller's scope becomes the credential's."""
        core, who = self._core, call.who
        unrestricted(core, call)
        if who.access_rules is not None:
            raise Denied("A credential with access rules may not make one without.", "access_rules")
        if who.project_id is None or who.via == "trust":
            raise Denied("An application credential needs a project-scoped token of the user's own.", "scope")
        expires = future(fields.expires_at, "expires_at", core.clock.now_us())
        secret = fields.secret or base64.urlsafe_b64encode(core.ids.secret(64)).decode().rstrip("=")
        hashed = core.passwords.hash(secret)
        with core.change(call, tenant=who.project_id) as change:
            tx = change.tx
            held = [role for role in roles_store.ROLES.select(tx, {"domain_id": ""}) if role.name in who.roles]
            ids = chosen_roles(tx, fields.roles, held, "credential") if fields.roles else [r.id for r in held]
            if APPS.find(tx, user_id=user_id, name=fields.name):
                raise Conflict(f"The user has an application credential named {fields.name!r} already.", "name")
            rules = None
            if fields.access_rules is not None:
                rules = [self._rule(tx, user_id, rule) for rule in fields.access_rules]
            app = ApplicationCredential(
                core.ids.hex(), user_id, who.project_id, fields.name, hashed, ids, fields.description, expires,
                fields.unrestricted, rules,
            )  # fmt: skip
            APPS.insert(tx, app)
            change.object = f"application_credential:{app.id}"
        return app, secret

    def _rule(self, tx: Tx, user_id: str, given: RuleFields) -> str:
        if given.id:
            return found(RULES.find(tx, id=given.id, user_id=user_id), "access rule", given.id).id
        if not (given.service and given.method and given.path):
            raise Invalid("an access rule needs service, method and path, or the id of an existing one", "rule")
        if given.method not in METHODS or not re.fullmatch(r"/\S*", given.path):
            raise Invalid(
                "the method of an access rule must be an HTTP method, its path must begin with a slash", "rule"
            )
        same = {"user_id": user_id, "service": given.service, "method": given.method, "path": given.path}
        rule = RULES.find(tx, **same) or RULES.insert(tx, AccessRule(self._core.ids.hex(), **same))
        return rule.id

    def get(self, user_id: str, credential_id: str) -> ApplicationCredential:
        """A user's application credential."""
        one = APPS.find(self._core.db, id=credential_id, user_id=user_id)
        return found(one, "application credential", credential_id)

    def remove(self, call: Call[Any], user_id: str, credential_id: str) -> None:
        """Delete one; its tokens end at once."""
        unrestricted(self._core, call)
        with self._core.change(call, f"application_credential:{credential_id}") as change:
            app = APPS.find(change.tx, id=credential_id, user_id=user_id)
            change.tenant = found(app, "application credential", credential_id).project_id
            APPS.remove(change.tx, id=credential_id)
            credentials_store.CREDENTIALS.remove(change.tx, app_credential_id=credential_id)

    def remove_rule(self, call: Call[Any], user_id: str, rule_id: str) -> None:
        """Delete an access rule that no credential uses."""
        with self._core.change(call, f"access_rule:{rule_id}") as change:
            found(RULES.find(change.tx, id=rule_id, user_id=user_id), "access rule", rule_id)
            if any(rule_id in (app.rules or []) for app in APPS.select(change.tx, {"user_id": user_id})):
                raise Denied(f"Could not delete access rule {rule_id}: it is in use.", "in_use")
            RULES.remove(change.tx, id=rule_id)


class Trusts:
    """Delegation from one user to another."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, call: Call[Any], fields: TrustFields) -> Trust:
        """A new trust of the caller, or of the trustor that a redelegable trust lets it act for."""
        core = self._core
        unrestricted(core, call)
        expires = future(fields.expires_at, "expires_at", core.clock.now_us())
        parent = self._parent(call, fields)
        with core.change(call, tenant=fields.project_id or "") as change:
            tx = change.tx
            found(principals_store.USERS.find(tx, id=fields.trustee_user_id), "user", fields.trustee_user_id)
            roles: list[str] = []
            if fields.project_id is not None:
                project = found(principals_store.PROJECTS.find(tx, id=fields.project_id), "project", fields.project_id)
                held = roles_store.expand(tx, roles_store.on_project(tx, fields.trustor_user_id, project))
                if not fields.roles:
                    raise Denied("At least one role should be specified.", "role")
                roles = chosen_roles(tx, fields.roles, held, "trust")
            elif fields.roles:
                raise Invalid("A trust with roles needs a project.", "scope")
            if parent is not None and not set(roles) <= set(parent.roles):
                raise Denied("Some of requested roles are not in redelegated trust.", "redelegation")
            trust = Trust(
                id=core.ids.hex(),
                trustor_user_id=fields.trustor_user_id,
                trustee_user_id=fields.trustee_user_id,
                roles=roles,
                project_id=fields.project_id,
                impersonation=fields.impersonation,
                expires_us=expires,
                remaining_uses=fields.remaining_uses,
                redelegated_trust_id=parent.id if parent else None,
                redelegation_count=self._count(fields, parent),
                allow_redelegation=fields.allow_redelegation,
            )
            TRUSTS.insert(tx, trust)
            change.object = f"trust:{trust.id}"
        return trust

    def _parent(self, call: Call[Any], fields: TrustFields) -> Trust | None:
        who = call.who
        if who.via != "trust":
            return None
        parent = found(TRUSTS.find(self._core.db, id=who.credential_id, deleted_us=None), "trust", "the token's")
        if not parent.allow_redelegation or parent.redelegation_count < 1:
            raise Denied("The trust of this token cannot be passed on.", "redelegation")
        if parent.impersonation is False and fields.impersonation:
            raise Denied("Impersonation is not allowed because redelegated trust does not allow it.", "redelegation")
        expires = future(fields.expires_at, "expires_at", self._core.clock.now_us())
        if parent.expires_us is not None and (expires is None or expires > parent.expires_us):
            raise Denied("Requested expiration time is more than redelegated trust can provide.", "redelegation")
        if fields.remaining_uses is not None:
            raise Denied("remaining_uses must not be set on a redelegated trust.", "redelegation")
        return parent

    @staticmethod
    def _count(fields: TrustFields, parent: Trust | None) -> int:
        if not fields.allow_redelegation and fields.redelegation_count:
            raise Denied("redelegation_count needs allow_redelegation.", "redelegation")
        if parent is not None:
            left = parent.redelegation_count - 1
        else:
            left = MAX_REDELEGATION if fields.allow_redelegation else 0
        asked = left if fields.redelegation_count is None else fields.redelegation_count
        if asked > left:
            raise Denied(f"Requested redelegation depth of {asked} is greater than allowed {left}.", "redelegation")
        return asked

    def get(self, trust_id: str) -> Trust:
        """A trust that was not deleted."""
        return found(TRUSTS.find(self._core.db, id=trust_id, deleted_us=None), "trust", trust_id)

    def remove(self, call: Call[Any], trust_id: str) -> None:
        """End a trust and those made from it; their tokens end at once."""
        now = self._core.clock.now_us()
        with self._core.change(call, f"trust:{trust_id}") as change:
            trust = found(TRUSTS.find(change.tx, id=trust_id, deleted_us=None), "trust", trust_id)
            change.tenant = trust.project_id or ""
            ids = [trust_id]
            while ids:
                TRUSTS.update(change.tx, {"id": ids}, deleted_us=now)
                below = TRUSTS.select(change.tx, {"redelegated_trust_id": ids, "deleted_us": None})
                ids = [trust.id for trust in below]
