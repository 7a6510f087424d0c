"""Credentials, EC2 key pairs, application credentials, access rules and trusts."""

from __future__ import annotations

from typing import Any

from andromede.clock import iso_micro
from andromede.errors import Denied
from andromede.identity import roles_store
from andromede.identity.bodies import AppCredentialRequest, CredentialRequest, Ec2Request, TrustRequest
from andromede.identity.common import filters, found, own_scope
from andromede.identity.credentials import CREDENTIALS, within
from andromede.identity.delegations import APPS, RULES, TRUSTS
from andromede.identity.model import AccessRule, ApplicationCredential, Credential, Trust
from andromede.identity.project_views import listing, self_link
from andromede.identity.role_routes import role_view
from andromede.identity.service import TABLE, Identity
from andromede.identity.user_routes import user_target
from andromede.web import paging
from andromede.web.call import Call
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def _view(call: IdentityCall, credential: Credential) -> dict[str, Any]:
    return {
        "id": credential.id,
        "type": credential.type,
        "blob": call.services.credentials.blob(credential),
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "links": self_link(call, f"credentials/{credential.id}"),
    }


def _credential_target(call: IdentityCall, body: Any) -> Target | None:
    credential = CREDENTIALS.find(call.services.core.db, id=call.params["credential_id"])
    known = credential is not None and within(call, credential)
    return Target(user_id=credential.user_id) if credential is not None and known else None


def _owner_in_body(call: IdentityCall, body: CredentialRequest) -> Target:
    owner = body.credential.user_id
    return Target(user_id=owner if isinstance(owner, str) else call.who.user_id)


def _updated_target(call: IdentityCall, body: CredentialRequest) -> Target | None:
    """A user may not hand a credential to another."""
    target, owner = _credential_target(call, body), body.credential.user_id
    moved = target is not None and isinstance(owner, str) and owner != target.user_id
    return None if moved else target


@routes.add(
    "POST", "/v3/credentials", "identity:create_credential", body=CredentialRequest, status=201, target=_owner_in_body
)
def create_credential(call: IdentityCall, body: CredentialRequest) -> dict[str, Any]:
    """Store a secret: type ec2 (JSON with access and secret), totp (base32), or any other."""
    return {"credential": _view(call, call.services.credentials.create(call, body.credential))}


@routes.add("GET", "/v3/credentials", "identity:list_credentials", target=own_scope)
def list_credentials(call: IdentityCall) -> dict[str, Any]:
    """Credentials by user_id and type; users see their own."""
    where = filters(call, "user_id", "type")
    reach = TABLE.reach(call.who, call.action)
    if not reach.everything and where.setdefault("user_id", reach.user_id) != reach.user_id:
        return listing(call, "credentials", [])
    rows = CREDENTIALS.select(call.services.core.db, where)
    return listing(call, "credentials", [_view(call, credential) for credential in rows if within(call, credential)])


@routes.add("GET", "/v3/credentials/{credential_id}", "identity:get_credential", target=_credential_target)
def show_credential(call: IdentityCall) -> dict[str, Any]:
    """A credential with its secret."""
    return {"credential": _view(call, call.services.credentials.get(call.params["credential_id"]))}


@routes.add(
    "PATCH", "/v3/credentials/{credential_id}", "identity:update_credential", body=CredentialRequest,
    target=_updated_target,
)  # fmt: skip
def update_credential(call: IdentityCall, body: CredentialRequest) -> dict[str, Any]:
    """Change a credential."""
    changed = call.services.credentials.update(call, call.params["credential_id"], body.credential)
    return {"credential": _view(call, changed)}


@routes.add(
    "DELETE", "/v3/credentials/{credential_id}", "identity:delete_credential", target=_credential_target, status=204
)
def delete_credential(call: IdentityCall) -> None:
    """Delete a credential."""
    credentials = call.services.credentials
    credentials.remove(call, credentials.get(call.params["credential_id"]))


def _ec2_view(call: IdentityCall, credential: Credential) -> dict[str, Any]:
    access, secret = call.services.credentials.pair(credential)
    return {
        "access": access,
        "secret": secret,
        "user_id": credential.user_id,
        "tenant_id": credential.project_id,
        "trust_id": credential.trust_id,
        "links": self_link(call, f"users/{credential.user_id}/credentials/OS-EC2/{access}"),
    }


@routes.add(
    "POST", "/v3/users/{user_id}/credentials/OS-EC2", "identity:ec2_create_credential", body=Ec2Request, status=201,
    target=user_target,
)  # fmt: skip
def create_ec2(call: IdentityCall, body: Ec2Request) -> dict[str, Any]:
    """A new key pair for S3 on the project `tenant_id`."""
    user = call.services.users.get(call.params["user_id"])
    with call.services.core.db.read() as tx:
        if body.tenant_id not in roles_store.project_ids(tx, user.id):
            raise Denied(f"The user holds no role on project {body.tenant_id}.", "project")
    return {"credential": _ec2_view(call, call.services.credentials.create_ec2(call, user.id, body.tenant_id))}


@routes.add("GET", "/v3/users/{user_id}/credentials/OS-EC2", "identity:ec2_list_credentials", target=user_target)
def list_ec2(call: IdentityCall) -> dict[str, Any]:
    """A user's key pairs."""
    user = call.services.users.get(call.params["user_id"])
    rows = CREDENTIALS.select(call.services.core.db, {"user_id": user.id, "type": "ec2"})
    return listing(call, "credentials", [_ec2_view(call, row) for row in rows if within(call, row)])


@routes.add("GET", "/v3/users/{user_id}/credentials/OS-EC2/{access}", "identity:ec2_get_credential", target=user_target)
def show_ec2(call: IdentityCall) -> dict[str, Any]:
    """One key pair by access key."""
    return {"credential": _ec2_view(call, call.services.credentials.ec2(call))}


@routes.add(
    "DELETE", "/v3/users/{user_id}/credentials/OS-EC2/{access}", "identity:ec2_delete_credential",
    target=user_target, status=204,
)  # fmt: skip
def delete_ec2(call: IdentityCall) -> None:
    """Delete a key pair; it stops working at once."""
    credentials = call.services.credentials
    credentials.remove(call, credentials.ec2(call))


def _rule_view(call: IdentityCall, rule: AccessRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "service": rule.service,
        "method": rule.method,
        "path": rule.path,
        "links": self_link(call, f"users/{rule.user_id}/access_rules/{rule.id}"),
    }


def _app_view(call: IdentityCall, app: ApplicationCredential) -> dict[str, Any]:
    db = call.services.core.db
    roles = roles_store.ROLES.select(db, {"id": app.roles})
    body: dict[str, Any] = {
        "id": app.id,
        "name": app.name,
        "description": app.description,
        "user_id": app.user_id,
        "project_id": app.project_id,
        "system": None,
        "expires_at": iso_micro(app.expires_us)[:-1] if app.expires_us is not None else None,
        "unrestricted": app.unrestricted,
        "roles": [{"id": role.id, "name": role.name, "domain_id": role.domain_id or None} for role in roles],
        "links": self_link(call, f"users/{app.user_id}/application_credentials/{app.id}"),
    }
    if app.rules is not None:
        body["access_rules"] = [
            {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}
            for rule in RULES.select(db, {"id": app.rules})
        ]
    return body


@routes.add(
    "POST", "/v3/users/{user_id}/application_credentials", "identity:create_application_credential",
    body=AppCredentialRequest, status=201, target=user_target, slow=True,
)  # fmt: skip
def create_app(call: IdentityCall, body: AppCredentialRequest) -> dict[str, Any]:
    """Delegate the caller's roles on its project to a program. The secret is shown in this answer only."""
    user_id = call.params["user_id"]
    app, secret = call.services.app_credentials.create(call, user_id, body.application_credential)
    return {"application_credential": {**_app_view(call, app), "secret": secret}}


@routes.add(
    "GET", "/v3/users/{user_id}/application_credentials", "identity:list_application_credentials", target=user_target
)
def list_apps(call: IdentityCall) -> dict[str, Any]:
    """A user's application credentials; filter name."""
    user = call.services.users.get(call.params["user_id"])
    rows = APPS.select(call.services.core.db, {**filters(call, "name"), "user_id": user.id})
    chosen, last = paging.cut(rows, paging.page(call))
    views = [_app_view(call, app) for app in chosen]
    return listing(call, "application_credentials", views, paging.next_url(call, last.id) if last else None)


@routes.add(
    "GET", "/v3/users/{user_id}/application_credentials/{credential_id}", "identity:get_application_credential",
    target=user_target,
)  # fmt: skip
def show_app(call: IdentityCall) -> dict[str, Any]:
    """An application credential, without its secret."""
    app = call.services.app_credentials.get(call.params["user_id"], call.params["credential_id"])
    return {"application_credential": _app_view(call, app)}


@routes.add(
    "DELETE", "/v3/users/{user_id}/application_credentials/{credential_id}",
    "identity:delete_application_credential", target=user_target, status=204,
)  # fmt: skip
def delete_app(call: IdentityCall) -> None:
    """Delete an application credential; its tokens end at once."""
    call.services.app_credentials.remove(call, call.params["user_id"], call.params["credential_id"])


@routes.add("GET", "/v3/users/{user_id}/access_rules", "identity:list_access_rules", target=user_target)
def list_rules(call: IdentityCall) -> dict[str, Any]:
    """A user's access rules; filters service, method, path."""
    user = call.services.users.get(call.params["user_id"])
    rows = RULES.select(call.services.core.db, {**filters(call, "service", "method", "path"), "user_id": user.id})
    return listing(call, "access_rules", [_rule_view(call, rule) for rule in rows])


@routes.add("GET", "/v3/users/{user_id}/access_rules/{rule_id}", "identity:get_access_rule", target=user_target)
def show_rule(call: IdentityCall) -> dict[str, Any]:
    """An access rule."""
    rule_id = call.params["rule_id"]
    rule = RULES.find(call.services.core.db, id=rule_id, user_id=call.params["user_id"])
    return {"access_rule": _rule_view(call, found(rule, "access rule", rule_id))}


@routes.add(
    "DELETE", "/v3/users/{user_id}/access_rules/{rule_id}", "identity:delete_access_rule", target=user_target,
    status=204,
)  # fmt: skip
def delete_rule(call: IdentityCall) -> None:
    """Delete an access rule that no application credential uses."""
    call.services.app_credentials.remove_rule(call, call.params["user_id"], call.params["rule_id"])


def _trust_view(call: IdentityCall, trust: Trust, roles: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": trust.id,
        "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id,
        "impersonation": trust.impersonation,
        "expires_at": iso_micro(trust.expires_us) if trust.expires_us is not None else None,
        "deleted_at": None,
        "remaining_uses": trust.remaining_uses,
        "redelegation_count": trust.redelegation_count,
        "allow_redelegation": trust.allow_redelegation,
        "redelegated_trust_id": trust.redelegated_trust_id,
        "links": self_link(call, f"OS-TRUST/trusts/{trust.id}"),
    }
    if roles:
        rows = roles_store.ROLES.select(call.services.core.db, {"id": trust.roles})
        body["roles"] = [role_view(call, role) for role in rows]
        body["roles_links"] = {"self": f"{body['links']['self']}/roles", "next": None, "previous": None}
    return body


def _known_to(call: IdentityCall, trust: Trust, party: str | None) -> Target:
    """To a stranger the trust does not exist."""
    if party is None and not TABLE.allows(call.who, call.action, Target()):
        found(None, "trust", trust.id)
    return Target(user_id=party)


def _trust_parties(call: IdentityCall, body: Any) -> Target | None:
    """The party of the trust that the caller is."""
    trust, me = call.services.trusts.get(call.params["trust_id"]), call.who.user_id
    return _known_to(call, trust, me if me in (trust.trustor_user_id, trust.trustee_user_id) else None)


def _trustor(call: IdentityCall, body: Any) -> Target | None:
    trust, me = call.services.trusts.get(call.params["trust_id"]), call.who.user_id
    target = _known_to(call, trust, me if me in (trust.trustor_user_id, trust.trustee_user_id) else None)
    return Target(user_id=trust.trustor_user_id) if target.user_id else target


def _trustor_in_body(call: IdentityCall, body: TrustRequest) -> Target:
    return Target(user_id=body.trust.trustor_user_id)


@routes.add(
    "POST", "/v3/OS-TRUST/trusts", "identity:create_trust", body=TrustRequest, status=201, target=_trustor_in_body
)
def create_trust(call: IdentityCall, body: TrustRequest) -> dict[str, Any]:
    """Delegate roles on a project to another user."""
    return {"trust": _trust_view(call, call.services.trusts.create(call, body.trust))}


def _listed_trusts(call: IdentityCall, body: Any) -> Target:
    """Without rights on all, a filter must name the caller."""
    named = {call.query.get("trustor_user_id"), call.query.get("trustee_user_id")}
    return Target(user_id=call.who.user_id if call.who.user_id in named else None)


@routes.add("GET", "/v3/OS-TRUST/trusts", "identity:list_trusts", target=_listed_trusts)
def list_trusts(call: IdentityCall) -> dict[str, Any]:
    """Trusts by trustor_user_id and trustee_user_id."""
    where = {**filters(call, "trustor_user_id", "trustee_user_id"), "deleted_us": None}
    rows = TRUSTS.select(call.services.core.db, where)
    return listing(call, "trusts", [_trust_view(call, trust, roles=False) for trust in rows])


@routes.add("GET", "/v3/OS-TRUST/trusts/{trust_id}", "identity:get_trust", target=_trust_parties)
def show_trust(call: IdentityCall) -> dict[str, Any]:
    """A trust."""
    return {"trust": _trust_view(call, call.services.trusts.get(call.params["trust_id"]))}


@routes.add("DELETE", "/v3/OS-TRUST/trusts/{trust_id}", "identity:delete_trust", target=_trustor, status=204)
def delete_trust(call: IdentityCall) -> None:
    """End a trust; its tokens end at once."""
    call.services.trusts.remove(call, call.params["trust_id"])


@routes.add("GET", "/v3/OS-TRUST/trusts/{trust_id}/roles", "identity:list_roles_for_trust", target=_trust_parties)
def list_trust_roles(call: IdentityCall) -> dict[str, Any]:
    """The roles that a trust delegates."""
    trust = call.services.trusts.get(call.params["trust_id"])
    rows = roles_store.ROLES.select(call.services.core.db, {"id": trust.roles})
    return listing(call, "roles", [role_view(call, role) for role in rows])


@routes.add(
    "GET", "/v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}", "identity:get_role_for_trust", target=_trust_parties
)
def show_trust_role(call: IdentityCall) -> dict[str, Any]:
    """One role of a trust; 404 when the trust does not delegate it."""
    trust, role_id = call.services.trusts.get(call.params["trust_id"]), call.params["role_id"]
    role = call.services.roles.get(role_id) if role_id in trust.roles else None
    return {"role": role_view(call, found(role, "role", role_id))}
