"""Definitions of metadata: namespaces with objects, properties, tags and the types of resources that they are for. They
describe and bind nothing; administrators write them, everybody reads the public ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from andromede.clock import iso_second
from andromede.db.table import Reader, Table
from andromede.errors import Conflict, Denied, Invalid, NotFound
from andromede.web.access import is_cloud_admin
from andromede.web.actor import Actor

Json = dict[str, Any]
MOST_NAME, MOST_TEXT, MOST_ITEMS = 80, 500, 1000
RESOURCE_TYPES = (
    "OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server",
)  # fmt: skip
KINDS: Mapping[str, tuple[str, ...]] = {
    "objects": ("description", "required", "properties"),
    "properties": (
        "title", "description", "type", "operators", "enum", "default", "minimum", "maximum", "minLength", "maxLength",
        "pattern", "items", "uniqueItems", "minItems", "maxItems", "additionalItems", "readonly", "required",
    ),
    "tags": (),
    "resource_types": ("prefix", "properties_target"),
}  # fmt: skip
"""Kind of item -> what its document may hold beside its name."""
TYPES = ("array", "boolean", "integer", "number", "object", "string", None)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named set of definitions."""

    name: str
    project_id: str
    display_name: str
    description: str
    visibility: str
    protected: bool
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Item:
    """One definition of a namespace; `kind` as in KINDS."""

    namespace: str
    kind: str
    name: str
    document: dict[str, Any]
    created_us: int
    updated_us: int


NAMESPACES = Table("metadef_namespace", Namespace, "name")
ITEMS = Table("metadef_item", Item, "namespace, kind, name")


def bad(text: str) -> Invalid:
    """The error of a document that breaks a rule."""
    return Invalid(text, "schema")


def name_of(value: Any, what: str) -> str:
    """A name, checked."""
    if not isinstance(value, str) or not value or len(value) > MOST_NAME or "/" in value:
        raise bad(f"the name of a {what} is text of 1 to {MOST_NAME} characters without a slash, not {value!r:.80}")
    return value


def text_of(body: Json, name: str) -> str:
    """A text of a body, "" when it is absent."""
    value = body.get(name) or ""
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise bad(f"{name} must be text of at most {MOST_TEXT} characters")
    return value


def sees(actor: Actor, found: Namespace) -> bool:
    """Whether the caller may read a namespace."""
    return found.visibility == "public" or found.project_id == actor.project_id or is_cloud_admin(actor)


def get(reader: Reader, actor: Actor, name: str) -> Namespace:
    """NotFound reason `namespace`."""
    found = NAMESPACES.find(reader, name=name)
    if found is None or not sees(actor, found):
        raise NotFound(f"Metadata definition namespace not found: {name!r:.80}", "namespace")
    return found


def item(reader: Reader, namespace: str, kind: str, name: str) -> Item:
    """NotFound reason `item`."""
    found = ITEMS.find(reader, namespace=namespace, kind=kind, name=name)
    if found is None:
        raise NotFound(f"there is no {name!r:.80} among the {kind} of namespace {namespace}", "item")
    return found


def document(kind: str, body: Any) -> tuple[str, Json]:
    """(name, document) of an item that is to be written."""
    if not isinstance(body, dict):
        raise bad(f"an entry of {kind} must be an object")
    known = KINDS[kind]
    unknown = set(body) - {"name", "created_at", "updated_at", "self", "schema", *known}
    if unknown:
        raise bad(f"an entry of {kind} has no {', '.join(sorted(map(str, unknown)))}")
    if kind == "properties" and ("title" not in body or body.get("type") not in TYPES[:-1]):
        raise bad(f"a property has a title, and a type of {', '.join(str(word) for word in TYPES[:-1])}")
    return name_of(body.get("name"), kind), {word: body[word] for word in known if word in body}


def namespace(body: Json, old: Namespace | None, owner: str, now_us: int) -> Namespace:
    """A namespace as a body wishes it."""
    visibility = body.get("visibility", "private")
    if visibility not in ("public", "private"):
        raise bad(f"visibility must be public or private, not {visibility!r:.80}")
    protected = body.get("protected", False)
    if type(protected) is not bool:
        raise bad("protected must be true or false")
    return Namespace(
        name_of(body.get("namespace"), "namespace"), text_of(body, "owner") or (old.project_id if old else owner),
        text_of(body, "display_name"), text_of(body, "description"), visibility, protected,
        old.created_us if old else now_us, now_us,
    )  # fmt: skip


def taken(name: str) -> Conflict:
    """The error of a name that is used already."""
    return Conflict(f"there is already a definition {name!r:.80}", "taken")


def refuse_protected(found: Namespace) -> None:
    """Denied reason `protected`."""
    if found.protected:
        raise Denied(f"Metadata definition namespace {found.name} is protected and cannot be deleted.", "protected")


# --- as clients see them


def show(found: Namespace) -> Json:
    """A namespace without its items."""
    base = f"/v2/metadefs/namespaces/{found.name}"
    return {
        "namespace": found.name, "display_name": found.display_name, "description": found.description,
        "visibility": found.visibility, "protected": found.protected, "owner": found.project_id,
        "created_at": iso_second(found.created_us), "updated_at": iso_second(found.updated_us), "self": base,
        "schema": "/v2/schemas/metadefs/namespace",
    }  # fmt: skip


def show_item(found: Item) -> Json:
    """One item."""
    shown: Json = {"name": found.name, **found.document}
    if found.kind == "properties":
        return shown
    if found.kind == "objects":
        shown = {"description": "", "required": [], "properties": {}} | shown
    if found.kind in ("objects", "tags"):
        shown["self"] = f"/v2/metadefs/namespaces/{found.namespace}/{found.kind}/{found.name}"
        shown["schema"] = f"/v2/schemas/metadefs/{found.kind[:-1]}"
    times = {"created_at": iso_second(found.created_us), "updated_at": iso_second(found.updated_us)}
    return shown | times


def show_items(kind: str, rows: list[Item]) -> Any:
    """All items of a kind: properties by name, others as a list."""
    if kind == "properties":
        return {row.name: {word: value for word, value in show_item(row).items() if word != "name"} for row in rows}
    return [show_item(row) for row in rows]
