"""Version documents, tokens, and what a caller may scope to."""

from __future__ import annotations

from typing import Any

from andromede.errors import NotFound, Unauthenticated
from andromede.identity import auth_views, principals_store, roles_store
from andromede.identity.authenticator import Session
from andromede.identity.bodies import AuthRequest
from andromede.identity.project_views import domain_view, listing, project_view
from andromede.identity.service import Identity
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def version_document(base: str) -> dict[str, Any]:
    """Version 3 as discovery shows it, below the URL of the service."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base}/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"},
        ],
    }


@routes.add("GET", "/", "identity:discover", public=True, status=300)
def versions(call: IdentityCall) -> dict[str, Any]:
    """The versions spoken here, as 300 Multiple Choices. Identity API, "List versions"."""
    return {"versions": {"values": [version_document(call.base)]}}


@routes.add("GET", "/v3", "identity:discover", public=True)
def version(call: IdentityCall) -> dict[str, Any]:
    """Version 3. Identity API, "Show v3 API details"."""
    return {"version": version_document(call.base)}


def _answer(body: Any, text: str, status: int) -> Reply:
    return Reply(body, status, (("X-Subject-Token", text), ("Vary", "X-Auth-Token")))


def _with_catalog(call: IdentityCall) -> bool:
    return "nocatalog" not in call.query


@routes.add("POST", "/v3/auth/tokens", "identity:authenticate", public=True, body=AuthRequest, status=201, slow=True)
def issue(call: IdentityCall, body: AuthRequest) -> Reply:
    """Log in by password, token, application credential or TOTP; 401 with a receipt asks for more factors."""
    try:
        text, session = call.services.tokens.issue(call, body.auth)
    except Unauthenticated as error:
        if error.reason == "receipt":
            raise _receipt(call, error) from error
        raise
    return _answer(auth_views.token(call.services.core, session, _with_catalog(call)), text, 201)


def _receipt(call: IdentityCall, error: Unauthenticated) -> Unauthenticated:
    detail = error.detail
    user = detail["user"]
    domain = principals_store.PROJECTS.find(call.services.core.db, id=user.domain_id)
    body = auth_views.receipt(detail["receipt"], user, domain, detail["rules"])
    return Unauthenticated(error.public, "receipt", body=body, headers=[("Openstack-Auth-Receipt", detail["text"])])


def _subject(call: IdentityCall) -> tuple[str, Session]:
    text = call.headers.get("x-subject-token")
    if not text:
        raise NotFound("The header X-Subject-Token names no token.", "token")
    return text, call.services.tokens.look(text, call.query.flag("allow_expired"))


def _subject_target(call: IdentityCall, body: None) -> Target | None:
    _, session = _subject(call)
    return Target(user_id=session.user.id, domain_id=session.user.domain_id)


@routes.add("GET", "/v3/auth/tokens", "identity:validate_token", target=_subject_target)
def validate(call: IdentityCall) -> Reply:
    """Validate a token and show it; HEAD only checks. `nocatalog` leaves the catalog out."""
    text, session = _subject(call)
    core, wanted = call.services.core, _with_catalog(call)
    made = core.authenticator.shown(("token", text, wanted), lambda: auth_views.token(core, session, wanted))
    return _answer(made, text, 200)


@routes.add("DELETE", "/v3/auth/tokens", "identity:revoke_token", target=_subject_target, status=204)
def revoke(call: IdentityCall) -> None:
    """End a token at once."""
    _, session = _subject(call)
    call.services.tokens.revoke(call, session)


@routes.add("GET", "/v3/auth/catalog", "identity:get_auth_catalog")
def show_catalog(call: IdentityCall) -> dict[str, Any]:
    """The catalog of the caller's own scope."""
    core, who = call.services.core, call.who
    return {
        "catalog": auth_views.catalog_of(core, who.project_id, who.user_id),
        "links": {"self": f"{call.base}/v3/auth/catalog", "next": None, "previous": None},
    }


@routes.add("GET", "/v3/auth/projects", "identity:get_auth_projects")
def my_projects(call: IdentityCall) -> dict[str, Any]:
    """The enabled projects that the caller may scope to."""
    db = call.services.core.db
    with db.read() as tx:
        found = principals_store.PROJECTS.select(
            tx, {"id": roles_store.project_ids(tx, call.who.user_id), "enabled": True}
        )
        off = {d.id for d in principals_store.PROJECTS.select(tx, {"is_domain": True, "enabled": False})}
        tags = principals_store.all_tags(tx)
    rows = [project_view(call, p, tags.get(p.id, [])) for p in found if p.domain_id not in off]
    return listing(call, "projects", rows)


@routes.add("GET", "/v3/auth/domains", "identity:get_auth_domains")
def my_domains(call: IdentityCall) -> dict[str, Any]:
    """The enabled domains that the caller may scope to."""
    db = call.services.core.db
    with db.read() as tx:
        wanted = {"id": roles_store.domain_ids(tx, call.who.user_id), "is_domain": True, "enabled": True}
        found = principals_store.PROJECTS.select(tx, wanted)
    return listing(call, "domains", [domain_view(call, domain) for domain in found])


@routes.add("GET", "/v3/auth/system", "identity:get_auth_system")
def my_system(call: IdentityCall) -> dict[str, Any]:
    """Whether the caller may scope to the system."""
    with call.services.core.db.read() as tx:
        held = roles_store.on_system(tx, call.who.user_id)
    return {"system": [{"all": True}] if held else [], "links": {"self": f"{call.base}/v3/auth/system"}}
