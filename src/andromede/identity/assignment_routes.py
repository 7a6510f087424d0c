"""GET /v3/role_assignments."""

from __future__ import annotations

from typing import Any

from andromede.db import Tx
from andromede.errors import Invalid
from andromede.identity import assignments, principals_store, roles_store
from andromede.identity.assignments import Filter, Found
from andromede.identity.common import own_scope
from andromede.identity.model import Assignment
from andromede.identity.project_views import listing
from andromede.identity.projects import PROJECTS
from andromede.identity.service import TABLE, Identity
from andromede.web.call import Call
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def _target(call: IdentityCall, body: Any) -> Target:
    """The domain or project asked for; otherwise the caller's own scope."""
    project_id, domain_id = call.query.get("scope.project.id"), call.query.get("scope.domain.id")
    if project_id is not None:
        project = PROJECTS.find(call.services.core.db, id=project_id)
        domain_id = (project.domain_id or project.id) if project else None
        return Target(domain_id=domain_id, project_id=project_id)
    if domain_id is not None:
        return Target(domain_id=domain_id)
    return own_scope(call, body)


def _filter(call: IdentityCall) -> Filter:
    query = call.query
    scopes = [name for name in ("scope.project.id", "scope.domain.id", "scope.system") if name in query]
    if len(scopes) > 1:
        raise Invalid(f"Specify a domain, project or system, not several: {', '.join(scopes)}", "query")
    if "user.id" in query and "group.id" in query:
        raise Invalid("Specify a user or group, not both", "query")
    inherited = query.get("scope.OS-INHERIT:inherited_to")
    if inherited not in (None, "projects"):
        raise Invalid("scope.OS-INHERIT:inherited_to can only be 'projects'", "query")
    subtree = query.flag("include_subtree")
    if subtree and "scope.project.id" not in query:
        raise Invalid("include_subtree needs scope.project.id", "query")
    reach = TABLE.reach(call.who, call.action)
    return Filter(
        user_id=query.get("user.id"),
        group_id=query.get("group.id"),
        role_id=query.get("role.id"),
        project_id=query.get("scope.project.id"),
        domain_id=query.get("scope.domain.id"),
        system=query.flag("scope.system"),
        inherited=True if inherited else None,
        subtree=subtree,
        within=None if reach.everything else reach.domain_id,
    )


@routes.add("GET", "/v3/role_assignments", "identity:list_role_assignments", target=_target)
def list_assignments(call: IdentityCall) -> dict[str, Any]:
    """Assignments by user.id, group.id, role.id and scope; `effective`, `include_names`, `include_subtree`."""
    asked = _filter(call)
    if call.query.flag("effective") and asked.group_id is not None:
        raise Invalid("group.id cannot be combined with effective", "query")
    with call.services.core.db.read() as tx:
        rows = (assignments.effective if call.query.flag("effective") else assignments.stored)(tx, asked)
        names = _Names(tx) if call.query.flag("include_names") else None
        views = [_view(call, row, names) for row in rows]
    return listing(call, "role_assignments", views)


class _Names:
    """Names of everything that an assignment mentions."""

    def __init__(self, tx: Tx) -> None:
        self.projects = {project.id: project for project in PROJECTS.select(tx)}
        self.users = {user.id: user for user in principals_store.USERS.select(tx)}
        self.groups = {group.id: group for group in principals_store.GROUPS.select(tx)}
        self.roles = {role.id: role for role in roles_store.ROLES.select(tx)}

    def named(self, kind: str, thing_id: str) -> dict[str, Any]:
        """`{"id", "name"}`, with the domain where there is one."""
        tables: dict[str, dict[str, Any]] = {
            "user": self.users, "group": self.groups, "role": self.roles, "project": self.projects,
            "domain": self.projects,
        }  # fmt: skip
        thing: Any = tables[kind].get(thing_id)
        body: dict[str, Any] = {"id": thing_id, "name": thing.name if thing else ""}
        if thing is not None and kind != "domain" and thing.domain_id:
            domain = self.projects.get(thing.domain_id)
            body["domain"] = {"id": thing.domain_id, "name": domain.name if domain else ""}
        return body


def _view(call: IdentityCall, found: Found, names: _Names | None) -> dict[str, Any]:
    def ref(kind: str, thing_id: str) -> dict[str, Any]:
        return names.named(kind, thing_id) if names else {"id": thing_id}

    row = found.row
    scope: dict[str, Any]
    if row.target_kind == "system":
        scope = {"system": {"all": True}}
    else:
        scope = {row.target_kind: ref(row.target_kind, row.target_id)}
    origin = found.origin or row
    if row.inherited or origin.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    links = {"assignment": f"{call.base}/v3/{_path(origin)}"}
    if found.group_id:
        links["membership"] = f"{call.base}/v3/groups/{found.group_id}/users/{row.actor_id}"
    if found.prior_id:
        links["prior_role"] = f"{call.base}/v3/roles/{found.prior_id}"
    return {
        "role": ref("role", row.role_id),
        row.actor_kind: ref(row.actor_kind, row.actor_id),
        "scope": scope,
        "links": links,
    }


def _path(row: Assignment) -> str:
    target = "system" if row.target_kind == "system" else f"{row.target_kind}s/{row.target_id}"
    path = f"{target}/{row.actor_kind}s/{row.actor_id}/roles/{row.role_id}"
    return f"OS-INHERIT/{path}/inherited_to_projects" if row.inherited else path
