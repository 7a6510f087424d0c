"""Domains and their configuration."""

from __future__ import annotations

from typing import Any

from andromede.errors import Denied, Invalid
from andromede.identity import catalog_store, principals_store
from andromede.identity.bodies import ConfigRequest, CreateDomain, UpdateDomain
from andromede.identity.common import filters, found, own_scope
from andromede.identity.project_views import domain_view, listing
from andromede.identity.projects import PROJECTS
from andromede.identity.service import TABLE, Identity
from andromede.web import paging
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def domain_target(call: IdentityCall, body: Any) -> Target | None:
    """The domain of the path."""
    domain = PROJECTS.find(call.services.core.db, id=call.params["domain_id"], is_domain=True)
    return None if domain is None else Target(domain_id=domain.id)


@routes.add("POST", "/v3/domains", "identity:create_domain", body=CreateDomain, status=201)
def create_domain(call: IdentityCall, body: CreateDomain) -> dict[str, Any]:
    """Create a domain."""
    domain, tags = call.services.projects.create(call, body.domain, domain=True)
    return {"domain": domain_view(call, domain, tags)}


@routes.add("GET", "/v3/domains", "identity:list_domains", target=own_scope)
def list_domains(call: IdentityCall) -> dict[str, Any]:
    """Domains by name and enabled; a domain's reader sees its own."""
    where = {**filters(call, "name", booleans=("enabled",)), "is_domain": True}
    reach = TABLE.reach(call.who, call.action)
    if not reach.everything:
        where["id"] = reach.domain_id
    with call.services.core.db.read() as tx:
        rows, tags = PROJECTS.select(tx, where), principals_store.all_tags(tx)
    chosen, last = paging.cut(rows, paging.page(call))
    views = [domain_view(call, domain, tags.get(domain.id, [])) for domain in chosen]
    return listing(call, "domains", views, paging.next_url(call, last.id) if last else None)


def _shown_domain(call: IdentityCall, body: Any) -> Target | None:
    """The domain of the path; it is the caller's own when its account or project lies in it."""
    target = domain_target(call, body)
    if target is None or target.domain_id not in (call.who.user_domain_id, call.who.project_domain_id):
        return target
    return Target(domain_id=target.domain_id, user_id=call.who.user_id)


@routes.add("GET", "/v3/domains/{domain_id}", "identity:get_domain", target=_shown_domain)
def show_domain(call: IdentityCall) -> dict[str, Any]:
    """A domain."""
    domain = call.services.projects.domain(call.params["domain_id"])
    return {"domain": domain_view(call, domain, principals_store.tags(call.services.core.db, domain.id))}


@routes.add("PATCH", "/v3/domains/{domain_id}", "identity:update_domain", body=UpdateDomain, target=domain_target)
def update_domain(call: IdentityCall, body: UpdateDomain) -> dict[str, Any]:
    """Change a domain; disabling it ends every token of its users and projects."""
    domain, tags = call.services.projects.update(call, call.params["domain_id"], body.domain, "domain")
    return {"domain": domain_view(call, domain, tags)}


@routes.add("DELETE", "/v3/domains/{domain_id}", "identity:delete_domain", target=domain_target, status=204)
def delete_domain(call: IdentityCall) -> None:
    """Delete a disabled domain with its users, groups, projects and roles."""
    call.services.projects.remove_domain(call, call.params["domain_id"])


DEFAULTS: dict[str, dict[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost",
        "user": None,
        "suffix": "cn=example,cn=com",
        "user_tree_dn": None,
        "user_filter": None,
        "user_objectclass": "inetOrgPerson",
        "user_id_attribute": "cn",
        "user_name_attribute": "sn",
        "group_tree_dn": None,
        "group_objectclass": "groupOfNames",
    },
}
"""The options that a domain may record. Users are always kept here: there is no LDAP driver, and a
recorded option changes nothing by itself."""


def _known(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for section, values in options.items():
        if section not in DEFAULTS:
            raise Denied(f"Invalid domain specific configuration: group {section} is not supported.", "config")
        if not isinstance(values, dict) or not values:
            raise Invalid(f"group {section} must hold options", "config")
        for name, value in values.items():
            if name not in DEFAULTS[section]:
                raise Denied(f"Invalid domain specific configuration: {section}.{name} is not supported.", "config")
            if isinstance(value, (dict, list)):
                raise Invalid(f"option {section}.{name} must be a plain value", "config")
    if not options:
        raise Invalid("the configuration holds no group", "config")
    return options


def _part(options: dict[str, dict[str, Any]], section: str, name: str | None, what: str) -> dict[str, Any]:
    """The whole configuration, one group, or one option of it."""
    if section and section not in DEFAULTS:
        raise Denied(f"group {section} is not supported", "config")
    if not section:
        found(options or None, "domain config", what)
        return options
    values = found(options.get(section), "domain config group", section)
    if name is None:
        return {section: values}
    if name not in values:
        found(None, "domain config option", name)
    return {name: values[name]}


@routes.add("GET", "/v3/domains/config/default", "identity:get_domain_config_default")
@routes.add("GET", "/v3/domains/config/{section}/default", "identity:get_domain_config_default")
@routes.add("GET", "/v3/domains/config/{section}/{option}/default", "identity:get_domain_config_default")
def default_config(call: IdentityCall) -> dict[str, Any]:
    """The values of options that a domain does not set."""
    return {"config": _part(DEFAULTS, call.params.get("section", ""), call.params.get("option"), "default")}


@routes.add("GET", "/v3/domains/{domain_id}/config", "identity:get_domain_config", target=domain_target)
@routes.add("GET", "/v3/domains/{domain_id}/config/{section}", "identity:get_domain_config", target=domain_target)
@routes.add(
    "GET", "/v3/domains/{domain_id}/config/{section}/{option}", "identity:get_domain_config", target=domain_target
)
def show_config(call: IdentityCall) -> dict[str, Any]:
    """The options that a domain sets: all, one group, or one."""
    domain = call.services.projects.domain(call.params["domain_id"])
    options = catalog_store.config(call.services.core.db, domain.id)
    return {"config": _part(options, call.params.get("section", ""), call.params.get("option"), domain.id)}


@routes.add(
    "PUT", "/v3/domains/{domain_id}/config", "identity:create_domain_config", body=ConfigRequest,
    target=domain_target, status=201,
)  # fmt: skip
def create_config(call: IdentityCall, body: ConfigRequest) -> Reply:
    """Set the whole configuration: 201 when there was none, else 200."""
    domain = call.services.projects.domain(call.params["domain_id"])
    options = _known(body.config)
    with call.services.core.change(call, f"domain:{domain.id}/config") as change:
        before = catalog_store.clear_config(change.tx, domain.id)
        catalog_store.set_config(change.tx, domain.id, options)
    return Reply({"config": options}, 200 if before else 201)


@routes.add(
    "PATCH", "/v3/domains/{domain_id}/config", "identity:update_domain_config", body=ConfigRequest,
    target=domain_target,
)  # fmt: skip
@routes.add(
    "PATCH", "/v3/domains/{domain_id}/config/{section}", "identity:update_domain_config", body=ConfigRequest,
    target=domain_target,
)  # fmt: skip
@routes.add(
    "PATCH", "/v3/domains/{domain_id}/config/{section}/{option}", "identity:update_domain_config",
    body=ConfigRequest, target=domain_target,
)  # fmt: skip
def update_config(call: IdentityCall, body: ConfigRequest) -> dict[str, Any]:
    """Change some options; the whole configuration afterwards."""
    domain = call.services.projects.domain(call.params["domain_id"])
    section, option = call.params.get("section"), call.params.get("option")
    wanted = body.config
    if section and option:
        if set(wanted) != {option}:
            raise Invalid(f"the body must hold just the option {option}", "config")
        wanted = {section: wanted}
    elif section and set(wanted) != {section}:
        raise Invalid(f"the body must hold just the group {section}", "config")
    options = _known(wanted)
    with call.services.core.change(call, f"domain:{domain.id}/config") as change:
        found(catalog_store.config(change.tx, domain.id) or None, "domain config", domain.id)
        catalog_store.set_config(change.tx, domain.id, options)
        return {"config": catalog_store.config(change.tx, domain.id)}


@routes.add(
    "DELETE", "/v3/domains/{domain_id}/config", "identity:delete_domain_config", target=domain_target, status=204
)
@routes.add(
    "DELETE", "/v3/domains/{domain_id}/config/{section}", "identity:delete_domain_config", target=domain_target,
    status=204,
)  # fmt: skip
@routes.add(
    "DELETE", "/v3/domains/{domain_id}/config/{section}/{option}", "identity:delete_domain_config",
    target=domain_target, status=204,
)  # fmt: skip
def delete_config(call: IdentityCall) -> None:
    """Forget options: all, one group, or one."""
    domain = call.services.projects.domain(call.params["domain_id"])
    section, option = call.params.get("section", ""), call.params.get("option", "")
    with call.services.core.change(call, f"domain:{domain.id}/config") as change:
        count = catalog_store.clear_config(change.tx, domain.id, section, option)
        found(count or None, "domain config", option or section or domain.id)
