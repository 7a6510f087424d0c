"""Networking API v2.0: the plain operations of every resource, generated from their shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from andromede.errors import Precondition
from andromede.network import (
    addressgroups,
    floatingips,
    groups,
    listing_store,
    networks,
    ports,
    rbac,
    routers,
    secrules,
    subnetpools,
    subnets,
    views,
)
from andromede.network.core import Job
from andromede.network.faults import bad
from andromede.network.service import Networks
from andromede.network.shape import Shape, Who, changed, created
from andromede.network.shapes import NETWORK, PORT, SUBNET
from andromede.network.shapes_more import (
    ADDRESS_GROUP,
    DEFAULT_RULE,
    FLOATING_IP,
    GROUP,
    POOL,
    RBAC,
    ROUTER,
    RULE,
    SCOPE,
)
from andromede.web.call import Call
from andromede.web.routes import Route, Routes, Target

NetworkCall = Call[Networks]
Body = dict[str, Any]
MOST = 500
"""Objects that one request may create."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a resource does beyond what its shape says."""

    create: Callable[[Job, Body], Any]
    delete: Callable[[Job, Any], None]
    update: Callable[[Job, Any, Body], Any] | None = None
    owned: Callable[[Job, str], Any] | None = None


RULES: Mapping[str, tuple[Shape, Rules]] = {
    shape.url: (shape, rules)
    for shape, rules in (
        (NETWORK, Rules(networks.create, networks.delete, networks.update)),
        (SUBNET, Rules(subnets.create, subnets.delete, subnets.update)),
        (PORT, Rules(ports.create, ports.delete, ports.update, ports.removable)),
        (ROUTER, Rules(routers.create, routers.delete, routers.update)),
        (FLOATING_IP, Rules(floatingips.create, floatingips.delete, floatingips.update)),
        (GROUP, Rules(groups.create, groups.delete, groups.update)),
        (RULE, Rules(secrules.create, secrules.delete, owned=secrules.owned)),
        (DEFAULT_RULE, Rules(secrules.create_default, secrules.delete_default)),
        (ADDRESS_GROUP, Rules(addressgroups.create, addressgroups.delete, addressgroups.update)),
        (POOL, Rules(subnetpools.create, subnetpools.delete, subnetpools.update)),
        (SCOPE, Rules(subnetpools.create_scope, subnetpools.delete_scope, subnetpools.update_scope)),
        (RBAC, Rules(rbac.create, rbac.delete, rbac.update)),
    )
}
routes: Routes[Networks] = Routes()


def own_scope(call: NetworkCall, body: Any) -> Target:
    """The target of lists and creations: the caller's project. What of others it may touch is decided with rows."""
    return Target(project_id=call.who.project_id)


def target_of(shape: Shape) -> Callable[[NetworkCall, Any], Target]:
    """The target of an operation on one object. Its owner is told to the access rules where an administrator acts, so
    that the event stands in the owner's log; for others it is their own project."""

    def resolve(call: NetworkCall, body: Any) -> Target:
        if not Who.of(call.who).admin:
            return own_scope(call, body)
        row = shape.table.find(call.services.core.desk.db, id=call.params["id"])
        return Target(project_id=row.project_id if row is not None else call.who.project_id)

    return resolve


def item(body: Any, key: str) -> Any:
    """The object of a body."""
    if not isinstance(body, dict) or key not in body:
        bad(f"Unable to find '{key}' in request body")
    if extra := sorted(set(body) - {key}):
        bad(f"the body holds more than '{key}': {', '.join(extra)}")
    return body[key]


def _creator(shape: Shape, rules: Rules) -> Callable[[NetworkCall, Body], Any]:
    def create(call: NetworkCall, body: Body) -> Any:
        who = Who.of(call.who)
        bulk = shape.plural in body
        given = item(body, shape.plural if bulk else shape.singular)
        if bulk and (not isinstance(given, list) or not 1 <= len(given) <= MOST):
            bad(f"'{shape.plural}' must be a list of 1 to {MOST} objects")
        values = [created(shape, one, who) for one in (given if bulk else [given])]
        with call.services.core.job(call) as job:
            rows = [rules.create(job, one) for one in values]
            job.change.object = ",".join(f"{shape.singular}/{row.id}" for row in rows[:20])
            shown = views.many(job.tx, shape, rows, who)
        return {shape.plural: shown} if bulk else {shape.singular: shown[0]}

    create.__doc__ = f'Create one {shape.singular} or several. Networking API v2.0, "Create {shape.singular}".'
    return create


def _getter(shape: Shape) -> Callable[[NetworkCall], Any]:
    def get(call: NetworkCall) -> Any:
        who = Who.of(call.who)
        with call.services.core.desk.db.read() as tx:
            row = listing_store.seen(tx, shape, who, call.params["id"])
            if row is None:
                shape.lost(call.params["id"])
            shown = views.show(tx, shape, row, who)
        return {shape.singular: views.chosen(shown, call.query.all("fields"))}

    get.__doc__ = f'One {shape.singular}. Networking API v2.0, "Show {shape.singular} details".'
    return get


def _updater(shape: Shape, rules: Rules) -> Callable[[NetworkCall, Body], Any]:
    assert rules.update is not None
    change = rules.update

    def update(call: NetworkCall, body: Body) -> Any:
        who, object_id = Who.of(call.who), call.params["id"]
        given = item(body, shape.singular)
        with call.services.core.job(call, f"{shape.singular}/{object_id}") as job:
            row = job.owned(shape, object_id)
            _unchanged(call, row)
            new = change(job, row, changed(shape, given, who))
            shown = views.show(job.tx, shape, new, who)
        return {shape.singular: shown}

    update.__doc__ = f'Change a {shape.singular}. Networking API v2.0, "Update {shape.singular}".'
    return update


def _unchanged(call: NetworkCall, row: Any) -> None:
    """`If-Match: revision_number=7` (extension revision-if-match)."""
    asked = call.headers.get("if-match", "").partition("revision_number=")[2]
    if asked and asked != str(row.revision):
        raise Precondition(f"The revision is {row.revision}, not {asked}.", "RevisionNumberConstraintFailed")


def _deleter(shape: Shape, rules: Rules) -> Callable[[NetworkCall], None]:
    def delete(call: NetworkCall) -> None:
        object_id = call.params["id"]
        with call.services.core.job(call, f"{shape.singular}/{object_id}") as job:
            row = rules.owned(job, object_id) if rules.owned else job.owned(shape, object_id, "delete")
            _unchanged(call, row)
            rules.delete(job, row)

    delete.__doc__ = f'Remove a {shape.singular}. Networking API v2.0, "Delete {shape.singular}".'
    return delete


def _lister(shape: Shape) -> Callable[[NetworkCall], Any]:
    def lister(call: NetworkCall) -> Any:
        who, want = Who.of(call.who), listing_store.asked(call.query)
        if shape is GROUP and who.project_id:
            call.services.default_group(who.project_id, call.request_id)
        with call.services.core.desk.db.read() as tx:
            rows = listing_store.page(tx, shape, who, want)
            shown = views.many(tx, shape, rows, who)
        answer: dict[str, Any] = {shape.plural: [views.chosen(one, want.fields) for one in shown]}
        if links := page_links(call, want, [row.id for row in rows]):
            answer[f"{shape.plural}_links"] = links
        return answer

    lister.__doc__ = f'The {shape.plural} that the caller may see. Networking API v2.0, "List {shape.plural}".'
    return lister


def page_links(call: NetworkCall, want: listing_store.Asked, ids: list[str]) -> list[dict[str, str]]:
    """Links to the neighbouring pages, for clients that set a limit."""
    if not want.limit or not ids:
        return []
    links = []
    if want.reverse or len(ids) >= want.limit:
        links.append({"rel": "next", "href": _linked(call, ids[-1], False)})
    if (want.marker and not want.reverse) or (want.reverse and len(ids) >= want.limit):
        links.append({"rel": "previous", "href": _linked(call, ids[0], True)})
    return links


def _linked(call: NetworkCall, marker: str, reverse: bool) -> str:
    pairs = [(name, value) for name, value in call.query if name not in ("marker", "page_reverse")]
    pairs += [("marker", marker), *([("page_reverse", "True")] if reverse else [])]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{call.url.partition('?')[0]}?{query}"


def _declare(shape: Shape, rules: Rules) -> None:
    one, path = shape.singular, f"/v2.0/{shape.url}"
    target = target_of(shape)

    def add(method: str, where: str, action: str, handler: Callable[..., Any], **more: Any) -> None:
        routes.include(Route(method, where, f"network:{action}", handler, str(handler.__doc__), **more))

    add("POST", path, f"create_{one}", _creator(shape, rules), body=Body, status=201, target=own_scope)
    add("GET", path, f"list_{shape.plural}", _lister(shape), target=own_scope)
    add("GET", f"{path}/{{id}}", f"get_{one}", _getter(shape), target=target)
    if rules.update is not None:
        add("PUT", f"{path}/{{id}}", f"update_{one}", _updater(shape, rules), body=Body, target=target)
    add("DELETE", f"{path}/{{id}}", f"delete_{one}", _deleter(shape, rules), status=204, target=target)


for _shape, _rules in RULES.values():
    _declare(_shape, _rules)
