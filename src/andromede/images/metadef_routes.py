"""Definitions of metadata by the Image API v2."""

from __future__ import annotations

from typing import Any

from andromede.audit.changes import Change
from andromede.db import Tx
from andromede.errors import Invalid, NotFound
from andromede.images import listing, metadefs
from andromede.images.metadefs import ITEMS, KINDS, NAMESPACES, RESOURCE_TYPES, Item, Namespace
from andromede.images.service import Images
from andromede.images.targets import ImageCall, own
from andromede.web.call import Reply
from andromede.web.paging import cut, page
from andromede.web.routes import Routes

routes: Routes[Images] = Routes()
Json = dict[str, Any]
BASE = "/v2/metadefs/namespaces"
READ, WRITE = "image:get_metadefs", "image:change_metadefs"


@routes.add("GET", "/v2/metadefs/resource_types", READ, target=own)
def list_resource_types(call: ImageCall) -> Json:
    """The types of resources that namespaces may be for."""
    used = [row.name for row in ITEMS.select(call.services.desk.db, {"kind": "resource_types"})]
    return {"resource_types": [{"name": name} for name in sorted({*RESOURCE_TYPES, *used})]}


@routes.add("GET", BASE, READ, target=own)
def list_namespaces(call: ImageCall) -> Json:
    """Namespaces that the caller may read. Filters: visibility, resource_types (a list with commas); limit, marker."""
    db, query = call.services.desk.db, call.query
    rows = [row for row in NAMESPACES.select(db) if metadefs.sees(call.who, row)]
    if (visibility := query.get("visibility")) is not None:
        rows = [row for row in rows if row.visibility == visibility]
    if (types := query.get("resource_types")) is not None:
        found = ITEMS.select(db, {"kind": "resource_types", "name": types.split(",")})
        rows = [row for row in rows if row.name in {entry.namespace for entry in found}]
    shown, last = cut(rows, page(call, listing.MOST_PAGE), "name")
    more = {"next": f"{BASE}?marker={last.name}&limit={len(shown)}"} if last is not None else {}
    return {"namespaces": [metadefs.show(row) for row in shown], "first": BASE,
            "schema": "/v2/schemas/metadefs/namespaces", **more}  # fmt: skip


@routes.add("POST", BASE, WRITE, body=dict[str, Any], status=201, target=own)
def create_namespace(call: ImageCall, body: Json) -> Json:
    """A namespace, with its items if the body holds them."""
    with call.services.desk.change(call) as change:
        made = metadefs.namespace(body, None, call.who.project_id or "", change.now_us)
        change.object = f"metadef/{made.name}"
        if NAMESPACES.find(change.tx, name=made.name) is not None:
            raise metadefs.taken(made.name)
        NAMESPACES.insert(change.tx, made)
        for kind, documents in _items(body).items():
            for document in documents:
                _add(change, made, kind, document)
        return _whole(change.tx, made)


def _items(body: Json) -> dict[str, list[Any]]:
    """The items that stand in a namespace's body."""
    properties = _given(body, "properties", {})
    if not isinstance(properties, dict):
        raise metadefs.bad("properties must be an object of properties by their names")
    found = {
        "resource_types": _given(body, "resource_type_associations", []), "objects": _given(body, "objects", []),
        "tags": _given(body, "tags", []),
        "properties": [{**_object(value), "name": name} for name, value in properties.items()],
    }  # fmt: skip
    for kind, documents in found.items():
        if not isinstance(documents, list) or len(documents) > metadefs.MOST_ITEMS:
            raise metadefs.bad(f"{kind} must be a list of at most {metadefs.MOST_ITEMS} entries")
    return found


def _given(body: Json, name: str, otherwise: Any) -> Any:
    value = body.get(name)
    return otherwise if value is None else value


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise metadefs.bad("a property must be an object")
    return value


def _add(change: Change, namespace: Namespace, kind: str, body: Any) -> Item:
    name, document = metadefs.document(kind, body)
    if ITEMS.find(change.tx, namespace=namespace.name, kind=kind, name=name) is not None:
        raise metadefs.taken(name)
    return ITEMS.insert(change.tx, Item(namespace.name, kind, name, document, change.now_us, change.now_us))


def _whole(tx: Tx, namespace: Namespace) -> Json:
    shown = metadefs.show(namespace)
    for kind in KINDS:
        rows = ITEMS.select(tx, {"namespace": namespace.name, "kind": kind})
        if rows:
            word = "resource_type_associations" if kind == "resource_types" else kind
            shown[word] = metadefs.show_items(kind, rows)
    return shown


@routes.add("GET", BASE + "/{namespace}", READ, target=own)
def show_namespace(call: ImageCall) -> Json:
    """A namespace with its items."""
    with call.services.desk.db.read() as tx:
        return _whole(tx, metadefs.get(tx, call.who, call.params["namespace"]))


@routes.add("PUT", BASE + "/{namespace}", WRITE, body=dict[str, Any], target=own)
def change_namespace(call: ImageCall, body: Json) -> Json:
    """Replace what a namespace says of itself; its items stay."""
    name = call.params["namespace"]
    with call.services.desk.change(call, f"metadef/{name}") as change:
        old = metadefs.get(change.tx, call.who, name)
        new = metadefs.namespace(body, old, old.project_id, change.now_us)
        if new.name != name and NAMESPACES.find(change.tx, name=new.name) is not None:
            raise metadefs.taken(new.name)
        NAMESPACES.remove(change.tx, name=name)
        NAMESPACES.insert(change.tx, new)
        ITEMS.update(change.tx, {"namespace": name}, namespace=new.name)
    return metadefs.show(new)


@routes.add("DELETE", BASE + "/{namespace}", WRITE, status=204, target=own)
def delete_namespace(call: ImageCall) -> None:
    """Delete a namespace with its items, unless it is protected."""
    name = call.params["namespace"]
    with call.services.desk.change(call, f"metadef/{name}") as change:
        metadefs.refuse_protected(metadefs.get(change.tx, call.who, name))
        ITEMS.remove(change.tx, namespace=name)
        NAMESPACES.remove(change.tx, name=name)


# --- items: objects, properties, tags, resource_types


def _kind(call: ImageCall) -> str:
    kind = call.params["kind"]
    if kind not in KINDS:
        raise NotFound(f"a namespace has no {kind!r:.80}; it has {', '.join(KINDS)}", "route")
    return kind


@routes.add("GET", BASE + "/{namespace}/{kind}", READ, target=own)
def list_items(call: ImageCall) -> Json:
    """The objects, properties, tags or resource types of a namespace. limit and marker."""
    kind, db = _kind(call), call.services.desk.db
    found = metadefs.get(db, call.who, call.params["namespace"])
    rows, _ = cut(ITEMS.select(db, {"namespace": found.name, "kind": kind}), page(call, listing.MOST_PAGE), "name")
    if kind == "resource_types":
        return {"resource_type_associations": metadefs.show_items(kind, rows)}
    first = f"{BASE}/{found.name}/{kind}"
    return {kind: metadefs.show_items(kind, rows), "first": first, "schema": f"/v2/schemas/metadefs/{kind}"}


@routes.add("POST", BASE + "/{namespace}/{kind}", WRITE, body=dict[str, Any], status=201, target=own)
def create_item(call: ImageCall, body: Json) -> Json:
    """An item; of tags all at once, in the place of those that were there."""
    kind, name = _kind(call), call.params["namespace"]
    with call.services.desk.change(call, f"metadef/{name}") as change:
        found = metadefs.get(change.tx, call.who, name)
        if kind != "tags":
            return metadefs.show_item(_add(change, found, kind, body))
        wanted = _items({"tags": body.get("tags")})["tags"]
        ITEMS.remove(change.tx, namespace=name, kind=kind)
        return {"tags": [metadefs.show_item(_add(change, found, kind, tag)) for tag in wanted]}


@routes.add("DELETE", BASE + "/{namespace}/{kind}", WRITE, status=204, target=own)
def delete_items(call: ImageCall) -> None:
    """Every item of a kind."""
    kind, name = _kind(call), call.params["namespace"]
    with call.services.desk.change(call, f"metadef/{name}") as change:
        metadefs.get(change.tx, call.who, name)
        ITEMS.remove(change.tx, namespace=name, kind=kind)


@routes.add("GET", BASE + "/{namespace}/{kind}/{name}", READ, target=own)
def show_item(call: ImageCall) -> Json:
    """One item."""
    with call.services.desk.db.read() as tx:
        found = metadefs.get(tx, call.who, call.params["namespace"])
        return metadefs.show_item(metadefs.item(tx, found.name, _kind(call), call.params["name"]))


@routes.add("POST", BASE + "/{namespace}/{kind}/{name}", WRITE, status=201, target=own)
def create_tag(call: ImageCall) -> Reply:
    """One tag; only tags are made by their name alone."""
    name = call.params["namespace"]
    if _kind(call) != "tags":
        raise Invalid("only tags are made so", "method", headers=[("Allow", "GET, HEAD, PUT, DELETE")])
    with call.services.desk.change(call, f"metadef/{name}") as change:
        found = metadefs.get(change.tx, call.who, name)
        return Reply(metadefs.show_item(_add(change, found, "tags", {"name": call.params["name"]})))


@routes.add("PUT", BASE + "/{namespace}/{kind}/{name}", WRITE, body=dict[str, Any], target=own)
def change_item(call: ImageCall, body: Json) -> Json:
    """Replace an item; its name may change."""
    kind, namespace, old = _kind(call), call.params["namespace"], call.params["name"]
    with call.services.desk.change(call, f"metadef/{namespace}") as change:
        metadefs.get(change.tx, call.who, namespace)
        found = metadefs.item(change.tx, namespace, kind, old)
        name, document = metadefs.document(kind, {"name": old, **body})
        if name != old and ITEMS.find(change.tx, namespace=namespace, kind=kind, name=name) is not None:
            raise metadefs.taken(name)
        ITEMS.remove(change.tx, namespace=namespace, kind=kind, name=old)
        new = Item(namespace, kind, name, document, found.created_us, change.now_us)
        return metadefs.show_item(ITEMS.insert(change.tx, new))


@routes.add("DELETE", BASE + "/{namespace}/{kind}/{name}", WRITE, status=204, target=own)
def delete_item(call: ImageCall) -> None:
    """Delete one item."""
    kind, namespace = _kind(call), call.params["namespace"]
    with call.services.desk.change(call, f"metadef/{namespace}") as change:
        metadefs.get(change.tx, call.who, namespace)
        metadefs.item(change.tx, namespace, kind, call.params["name"])
        ITEMS.remove(change.tx, namespace=namespace, kind=kind, name=call.params["name"])
