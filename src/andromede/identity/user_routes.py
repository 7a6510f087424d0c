"""Users, groups and membership."""

from __future__ import annotations

from typing import Any

from andromede.clock import iso_micro
from andromede.errors import Invalid
from andromede.identity import principals_store, roles_store
from andromede.identity.bodies import ChangePasswordRequest, GroupRequest, UserRequest
from andromede.identity.common import filters, instant, own_scope
from andromede.identity.model import Group, User
from andromede.identity.project_routes import projects_page
from andromede.identity.project_views import listing, self_link
from andromede.identity.roles import holds_high
from andromede.identity.service import TABLE, Identity
from andromede.identity.users import GROUPS, USERS
from andromede.web import paging
from andromede.web.call import Call
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def user_view(call: IdentityCall, user: User, expires_us: int | None) -> dict[str, Any]:
    """A user without its secrets."""
    body = {
        **user.extra,
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        "options": user.options,
        "password_expires_at": iso_micro(expires_us)[:-1] if expires_us is not None else None,
        "links": self_link(call, f"users/{user.id}"),
    }
    return {**body, "default_project_id": user.default_project_id} if user.default_project_id else body


def _shown(call: IdentityCall, user: User) -> dict[str, Any]:
    password = principals_store.current_password(call.services.core.db, user.id)
    return {"user": user_view(call, user, password.expires_us if password else None)}


def group_view(call: IdentityCall, group: Group) -> dict[str, Any]:
    """A group."""
    return {
        **group.extra,
        "id": group.id,
        "name": group.name,
        "domain_id": group.domain_id,
        "description": group.description,
        "links": self_link(call, f"groups/{group.id}"),
    }


def _reach(call: IdentityCall, actor_id: str, domain_id: str) -> str | None:
    """The domain whose manager may act here: to change a holder of a high role (its password, its group)
    would be a way to that role, so that is left to the administrator."""
    if call.method in ("GET", "HEAD"):
        return domain_id
    with call.services.core.db.read() as tx:
        return None if holds_high(tx, actor_id) else domain_id


def user_target(call: IdentityCall, body: Any) -> Target | None:
    """The user of the path."""
    user = USERS.find(call.services.core.db, id=call.params["user_id"])
    return None if user is None else Target(domain_id=_reach(call, user.id, user.domain_id), user_id=user.id)


def group_target(call: IdentityCall, body: Any) -> Target | None:
    """The group of the path."""
    group = GROUPS.find(call.services.core.db, id=call.params["group_id"])
    return None if group is None else Target(domain_id=_reach(call, group.id, group.domain_id))


def member_target(call: IdentityCall, body: Any) -> Target | None:
    """User and group of the path; within a domain's reach only when both are of it."""
    user, group = user_target(call, body), group_target(call, body)
    same = user is not None and group is not None and user.domain_id is not None and user.domain_id == group.domain_id
    return Target(domain_id=group.domain_id if same and group else None)


def _domain_in_body(call: IdentityCall, body: UserRequest | GroupRequest) -> Target:
    """Only a body that names its domain is within a domain manager's reach (SCS-0302)."""
    fields = body.user if isinstance(body, UserRequest) else body.group
    return Target(domain_id=fields.domain_id if isinstance(fields.domain_id, str) else None)


@routes.add(
    "POST", "/v3/users", "identity:create_user", body=UserRequest, status=201, target=_domain_in_body, slow=True
)
def create_user(call: IdentityCall, body: UserRequest) -> dict[str, Any]:
    """Create a user."""
    return _shown(call, call.services.users.create(call, body.user))


COMPARE = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def _users(call: IdentityCall, rows: list[User]) -> dict[str, Any]:
    """A page of users, after the filter `password_expires_at=lt:<instant>`."""
    expiries = principals_store.expiries(call.services.core.db)
    if (wanted := call.query.get("password_expires_at")) is not None:
        word, _, text = wanted.partition(":")
        if word not in COMPARE:
            raise Invalid(f"password_expires_at {wanted!r} must begin with one of {sorted(COMPARE)}", "query")
        at = instant(text, "password_expires_at") or 0
        rows = [user for user in rows if (ends := expiries.get(user.id)) is not None and COMPARE[word](ends, at)]
    chosen, last = paging.cut(rows, paging.page(call))
    views = [user_view(call, user, expiries.get(user.id)) for user in chosen]
    return listing(call, "users", views, paging.next_url(call, last.id) if last else None)


@routes.add("GET", "/v3/users", "identity:list_users", target=own_scope)
def list_users(call: IdentityCall) -> dict[str, Any]:
    """Users by domain_id, name, enabled and password_expires_at; a domain's reader sees that domain only."""
    where = filters(call, "domain_id", "name", booleans=("enabled",))
    if any(name in call.query for name in ("idp_id", "protocol_id", "unique_id")):
        return listing(call, "users", [])  # there are no federated users
    reach = TABLE.reach(call.who, call.action)
    if not reach.everything and where.setdefault("domain_id", reach.domain_id) != reach.domain_id:
        return listing(call, "users", [])
    return _users(call, USERS.select(call.services.core.db, where))


@routes.add("GET", "/v3/users/{user_id}", "identity:get_user", target=user_target)
def show_user(call: IdentityCall) -> dict[str, Any]:
    """A user."""
    return _shown(call, call.services.users.get(call.params["user_id"]))


@routes.add("PATCH", "/v3/users/{user_id}", "identity:update_user", body=UserRequest, target=user_target, slow=True)
def update_user(call: IdentityCall, body: UserRequest) -> dict[str, Any]:
    """Change a user, its password included."""
    return _shown(call, call.services.users.update(call, call.params["user_id"], body.user))


@routes.add("DELETE", "/v3/users/{user_id}", "identity:delete_user", target=user_target, status=204)
def delete_user(call: IdentityCall) -> None:
    """Delete a user with its assignments and credentials."""
    call.services.users.remove(call, call.params["user_id"])


@routes.add(
    "POST", "/v3/users/{user_id}/password", "identity:change_password", body=ChangePasswordRequest, public=True,
    slow=True, status=204,
)  # fmt: skip
def change_password(call: IdentityCall, body: ChangePasswordRequest) -> None:
    """A user's own change of password, proven by the old one, with an expired one too. Ends all its tokens."""
    call.services.login.brake(call, call.params["user_id"])
    call.services.users.change_password(call, call.params["user_id"], body.user)


@routes.add("GET", "/v3/users/{user_id}/groups", "identity:list_groups_for_user", target=user_target)
def list_user_groups(call: IdentityCall) -> dict[str, Any]:
    """The groups of a user; filter name."""
    user = call.services.users.get(call.params["user_id"])
    rows = principals_store.groups_of(call.services.core.db, user.id)
    if (name := call.query.get("name")) is not None:
        rows = [group for group in rows if group.name == name]
    return listing(call, "groups", [group_view(call, group) for group in rows])


@routes.add("GET", "/v3/users/{user_id}/projects", "identity:list_user_projects", target=user_target)
def list_user_projects(call: IdentityCall) -> dict[str, Any]:
    """The projects on which a user holds a role; filters as in GET /v3/projects."""
    user = call.services.users.get(call.params["user_id"])
    with call.services.core.db.read() as tx:
        mine = roles_store.project_ids(tx, user.id)
    where = filters(call, "domain_id", "name", "parent_id", booleans=("enabled", "is_domain"))
    return projects_page(call, {**where, "id": mine})


@routes.add("POST", "/v3/groups", "identity:create_group", body=GroupRequest, status=201, target=_domain_in_body)
def create_group(call: IdentityCall, body: GroupRequest) -> dict[str, Any]:
    """Create a group."""
    return {"group": group_view(call, call.services.groups.create(call, body.group))}


@routes.add("GET", "/v3/groups", "identity:list_groups", target=own_scope)
def list_groups(call: IdentityCall) -> dict[str, Any]:
    """Groups by domain_id and name; a domain's reader sees that domain only."""
    where = filters(call, "domain_id", "name")
    reach = TABLE.reach(call.who, call.action)
    if not reach.everything and where.setdefault("domain_id", reach.domain_id) != reach.domain_id:
        return listing(call, "groups", [])
    chosen, last = paging.cut(GROUPS.select(call.services.core.db, where), paging.page(call))
    views = [group_view(call, group) for group in chosen]
    return listing(call, "groups", views, paging.next_url(call, last.id) if last else None)


@routes.add("GET", "/v3/groups/{group_id}", "identity:get_group", target=group_target)
def show_group(call: IdentityCall) -> dict[str, Any]:
    """A group."""
    return {"group": group_view(call, call.services.groups.get(call.params["group_id"]))}


@routes.add("PATCH", "/v3/groups/{group_id}", "identity:update_group", body=GroupRequest, target=group_target)
def update_group(call: IdentityCall, body: GroupRequest) -> dict[str, Any]:
    """Change a group."""
    return {"group": group_view(call, call.services.groups.update(call, call.params["group_id"], body.group))}


@routes.add("DELETE", "/v3/groups/{group_id}", "identity:delete_group", target=group_target, status=204)
def delete_group(call: IdentityCall) -> None:
    """Delete a group with its assignments."""
    call.services.groups.remove(call, call.params["group_id"])


@routes.add("GET", "/v3/groups/{group_id}/users", "identity:list_users_in_group", target=group_target)
def list_group_users(call: IdentityCall) -> dict[str, Any]:
    """The users in a group; filters name, enabled, password_expires_at."""
    group = call.services.groups.get(call.params["group_id"])
    rows = principals_store.members(call.services.core.db, group.id)
    name, enabled = call.query.get("name"), call.boolean("enabled")
    rows = [user for user in rows if name in (None, user.name) and enabled in (None, user.enabled)]
    return _users(call, rows)


@routes.add(
    "PUT", "/v3/groups/{group_id}/users/{user_id}", "identity:add_user_to_group", target=member_target, status=204
)
def add_user_to_group(call: IdentityCall) -> None:
    """Put a user into a group; again is no error."""
    call.services.groups.join(call, call.params["group_id"], call.params["user_id"])


@routes.add(
    "GET", "/v3/groups/{group_id}/users/{user_id}", "identity:check_user_in_group", target=member_target, status=204
)
def check_user_in_group(call: IdentityCall) -> None:
    """204 when the user is in the group, else 404."""
    call.services.groups.check(call.params["group_id"], call.params["user_id"])


@routes.add(
    "DELETE", "/v3/groups/{group_id}/users/{user_id}", "identity:remove_user_from_group", target=member_target,
    status=204,
)  # fmt: skip
def remove_user_from_group(call: IdentityCall) -> None:
    """Take a user out of a group."""
    call.services.groups.leave(call, call.params["group_id"], call.params["user_id"])
