"""Projects and their tags."""

from __future__ import annotations

from typing import Any

from andromede.identity import principals_store, roles_store
from andromede.identity.bodies import CreateProject, Tags, UpdateProject
from andromede.identity.common import filters, found, own_scope
from andromede.identity.model import Project
from andromede.identity.project_views import listing, project_view, self_link
from andromede.identity.projects import PROJECTS, check_tag
from andromede.identity.service import TABLE, Identity
from andromede.web import paging
from andromede.web.access import is_cloud_admin
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def project_target(call: IdentityCall, body: Any) -> Target | None:
    """The project of the path."""
    project = PROJECTS.find(call.services.core.db, id=call.params["project_id"])
    return None if project is None else Target(domain_id=project.domain_id or project.id, project_id=project.id)


def _new_target(call: IdentityCall, body: CreateProject) -> Target:
    """Only a body that names its domain is within a domain manager's reach (SCS-0302)."""
    fields = body.project
    domain_id = fields.domain_id if isinstance(fields.domain_id, str) else None
    return Target(domain_id=None if fields.is_domain is True else domain_id)


@routes.add("POST", "/v3/projects", "identity:create_project", body=CreateProject, status=201, target=_new_target)
def create_project(call: IdentityCall, body: CreateProject) -> dict[str, Any]:
    """Create a project below its domain or another project."""
    project, tags = call.services.projects.create(call, body.project)
    return {"project": project_view(call, project, tags)}


def _tagged(call: IdentityCall, tags: list[str]) -> bool:
    have = set(tags)
    for name, fits in (
        ("tags", lambda wanted: wanted <= have),
        ("tags-any", lambda wanted: bool(wanted & have)),
        ("not-tags", lambda wanted: not wanted <= have),
        ("not-tags-any", lambda wanted: not wanted & have),
    ):
        value = call.query.get(name)
        if value is not None and not fits({tag for tag in value.split(",") if tag}):
            return False
    return True


def projects_page(call: IdentityCall, where: dict[str, Any]) -> dict[str, Any]:
    """A page of the projects that fit, tag filters included."""
    with call.services.core.db.read() as tx:
        tags = principals_store.all_tags(tx)
        rows = [project for project in PROJECTS.select(tx, where) if _tagged(call, tags.get(project.id, []))]
    chosen, last = paging.cut(rows, paging.page(call))
    views = [project_view(call, project, tags.get(project.id, [])) for project in chosen]
    return listing(call, "projects", views, paging.next_url(call, last.id) if last else None)


@routes.add("GET", "/v3/projects", "identity:list_projects", target=own_scope)
def list_projects(call: IdentityCall) -> dict[str, Any]:
    """Projects by domain_id, name, parent_id, enabled, is_domain and tags. A domain's reader sees that domain only."""
    where = filters(call, "domain_id", "name", "parent_id", booleans=("enabled", "is_domain"))
    where.setdefault("is_domain", False)
    reach = TABLE.reach(call.who, call.action)
    if not reach.everything and where.setdefault("domain_id", reach.domain_id) != reach.domain_id:
        return listing(call, "projects", [])
    return projects_page(call, where)


def _tree(below: list[Project], root: str) -> dict[str, Any] | None:
    return {child.id: _tree(below, child.id) for child in below if child.parent_id == root} or None


def _relatives(call: IdentityCall, project: Project) -> dict[str, Any]:
    """The members that `parents_as_*` and `subtree_as_*` ask for; as lists, only what the caller may scope to."""
    extra: dict[str, Any] = {}
    with call.services.core.db.read() as tx:
        parents = principals_store.ancestors(tx, project)
        below = principals_store.subtree(tx, project.id)
        tags = principals_store.all_tags(tx)
        mine = roles_store.project_ids(tx, call.who.user_id)
    every = is_cloud_admin(call.who) or call.who.system
    for name, rows in (("parents", parents), ("subtree", below)):
        if call.query.flag(f"{name}_as_list") or f"{name}_as_list" in call.query:
            extra[name] = [
                {"project": project_view(call, row, tags.get(row.id, []))} for row in rows if every or row.id in mine
            ]
    if "parents_as_ids" in call.query:
        chain: dict[str, Any] | None = {project.domain_id: None} if project.domain_id else None
        for parent in reversed(parents):
            chain = {parent.id: chain}
        extra["parents"] = chain
    if "subtree_as_ids" in call.query:
        extra["subtree"] = _tree(below, project.id)
    return extra


@routes.add("GET", "/v3/projects/{project_id}", "identity:get_project", target=project_target)
def show_project(call: IdentityCall) -> dict[str, Any]:
    """A project, with its parents or subtree as ids or as lists on demand."""
    project = call.services.projects.get(call.params["project_id"])
    tags = principals_store.tags(call.services.core.db, project.id)
    return {"project": {**project_view(call, project, tags), **_relatives(call, project)}}


@routes.add("PATCH", "/v3/projects/{project_id}", "identity:update_project", body=UpdateProject, target=project_target)
def update_project(call: IdentityCall, body: UpdateProject) -> dict[str, Any]:
    """Change a project; its place in the hierarchy is fixed."""
    project, tags = call.services.projects.update(call, call.params["project_id"], body.project)
    return {"project": project_view(call, project, tags)}


@routes.add("DELETE", "/v3/projects/{project_id}", "identity:delete_project", target=project_target, status=204)
def delete_project(call: IdentityCall) -> None:
    """Delete a project that has no projects below it, with its assignments and credentials."""
    call.services.projects.remove(call, call.params["project_id"])


def _tags(call: IdentityCall, project_id: str) -> list[str]:
    call.services.projects.get(project_id)
    return principals_store.tags(call.services.core.db, project_id)


@routes.add("GET", "/v3/projects/{project_id}/tags", "identity:list_project_tags", target=project_target)
def list_tags(call: IdentityCall) -> dict[str, Any]:
    """The tags of a project."""
    project_id = call.params["project_id"]
    return {"tags": _tags(call, project_id), "links": self_link(call, f"projects/{project_id}/tags")}


@routes.add("PUT", "/v3/projects/{project_id}/tags", "identity:update_project_tags", body=Tags, target=project_target)
def replace_tags(call: IdentityCall, body: Tags) -> dict[str, Any]:
    """Replace all tags."""
    project_id = call.params["project_id"]
    tags = call.services.projects.retag(call, project_id, body.tags, None)
    return {"tags": tags, "links": self_link(call, f"projects/{project_id}/tags")}


@routes.add(
    "DELETE", "/v3/projects/{project_id}/tags", "identity:delete_project_tags", target=project_target, status=204
)
def clear_tags(call: IdentityCall) -> None:
    """Remove all tags."""
    call.services.projects.retag(call, call.params["project_id"], [], None)


@routes.add(
    "GET", "/v3/projects/{project_id}/tags/{tag}", "identity:get_project_tag", target=project_target, status=204
)
def check_project_tag(call: IdentityCall) -> None:
    """204 when the project has the tag, else 404."""
    tag = call.params["tag"]
    found(tag if tag in _tags(call, call.params["project_id"]) else None, "project tag", tag)


@routes.add(
    "PUT", "/v3/projects/{project_id}/tags/{tag}", "identity:create_project_tag", target=project_target, status=201
)
def add_tag(call: IdentityCall) -> Reply:
    """Add one tag."""
    project_id, tag = call.params["project_id"], call.params["tag"]
    check_tag(tag)
    call.services.projects.retag(call, project_id, [tag], [])
    url = self_link(call, f"projects/{project_id}/tags/{tag}")["self"]
    return Reply(None, 201, (("Location", url.encode("ascii", "backslashreplace").decode()),))


@routes.add(
    "DELETE", "/v3/projects/{project_id}/tags/{tag}", "identity:delete_project_tag", target=project_target, status=204
)
def delete_tag(call: IdentityCall) -> None:
    """Remove one tag; 404 when the project does not have it."""
    call.services.projects.retag(call, call.params["project_id"], [], [call.params["tag"]])
