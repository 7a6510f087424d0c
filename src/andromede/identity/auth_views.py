"""Tokens and receipts as JSON (Identity API v3)."""

from __future__ import annotations

from functools import partial
from typing import Any

from andromede.clock import iso_micro
from andromede.identity import principals_store
from andromede.identity.authenticator import Session
from andromede.identity.catalog_views import catalog
from andromede.identity.core import Core
from andromede.identity.model import Project, User
from andromede.identity.tokens import Claims
from andromede.web.call import rendered


def domain_ref(domain: Project) -> dict[str, str]:
    """`{"id", "name"}`"""
    return {"id": domain.id, "name": domain.name}


def project_ref(project: Project, domain: Project | None) -> dict[str, Any]:
    """A project with its domain; a project that acts as a domain has none above it."""
    above = domain_ref(domain) if domain and domain.id != project.id else {"id": None, "name": None}
    return {"domain": above, "id": project.id, "name": project.name}


def _user(core: Core, user: User, domain: Project) -> dict[str, Any]:
    (ends,) = core.authenticator.shown(("password ends", user.id), lambda: (_password_ends(core, user.id),))
    return {
        "domain": domain_ref(domain),
        "id": user.id,
        "name": user.name,
        "password_expires_at": iso_micro(ends)[:-1] if ends is not None else None,
    }


def _password_ends(core: Core, user_id: str) -> int | None:
    password = principals_store.current_password(core.db, user_id)
    return password.expires_us if password else None


def catalog_of(core: Core, project_id: str | None, user_id: str) -> list[dict[str, Any]]:
    """The catalog in a scope; not to be changed, since it is shared."""
    make = partial(catalog, core.db, core.urls, project_id, user_id)
    return core.authenticator.shown(("catalog", project_id, user_id), make)


def _token(core: Core, session: Session) -> dict[str, Any]:
    """The body of POST and GET /v3/auth/tokens, but for the catalog."""
    claims = session.claims
    body: dict[str, Any] = {
        "methods": list(claims.methods),
        "user": _user(core, session.user, session.user_domain),
        "audit_ids": list(claims.audit_ids),
        "expires_at": iso_micro(claims.expires_us),
        "issued_at": iso_micro(claims.issued_us),
    }
    if session.project:
        body["project"] = project_ref(session.project, session.project_domain)
        body["is_domain"] = session.project.is_domain
    if session.domain:
        body["domain"] = domain_ref(session.domain)
    if claims.scope == "system":
        body["system"] = {"all": True}
    if claims.scope:
        body["roles"] = [{"id": role.id, "name": role.name} for role in session.roles]
    if session.trust:
        trust = session.trust
        body["OS-TRUST:trust"] = {
            "id": trust.id,
            "impersonation": trust.impersonation,
            "trustee_user": {"id": trust.trustee_user_id},
            "trustor_user": {"id": trust.trustor_user_id},
        }
    if session.app_credential:
        app = session.app_credential
        body["application_credential"] = {"id": app.id, "name": app.name, "restricted": not app.unrestricted}
        if app.rules is not None:
            body["application_credential"]["access_rules"] = [
                {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}
                for rule in session.rules
            ]
    return {"token": body}


def token(core: Core, session: Session, with_catalog: bool = True) -> bytes:
    """The body of POST and GET /v3/auth/tokens as it is sent. The catalog, most of it, is written once for all tokens
    of a user in a scope."""
    text = rendered(_token(core, session))
    if not (with_catalog and session.claims.scope):
        return text
    project_id, user_id = session.project.id if session.project else None, session.user.id
    kept = core.authenticator.shown(
        ("catalog text", project_id, user_id), lambda: rendered(catalog_of(core, project_id, user_id))
    )
    return text[:-2] + b', "catalog": ' + kept + b"}}"


def receipt(claims: Claims, user: User, domain: Project | None, rules: list[list[str]]) -> dict[str, Any]:
    """The body of a 401 that asks for more factors."""
    return {
        "receipt": {
            "methods": list(claims.methods),
            "user": {
                "id": user.id,
                "name": user.name,
                "domain": domain_ref(domain) if domain else {"id": user.domain_id, "name": ""},
            },
            "expires_at": iso_micro(claims.expires_us),
            "issued_at": iso_micro(claims.issued_us),
        },
        "required_auth_methods": rules,
    }
