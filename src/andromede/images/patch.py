"""Changes to an image as clients write them: JSON patch in the media types of v2.1 and v2.0 (Image API v2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from andromede.errors import Conflict, Denied, Invalid
from andromede.images import wishes
from andromede.images.model import Image

V21 = "application/openstack-images-v2.1-json-patch"
V20 = "application/openstack-images-v2.0-json-patch"
MOST = 1000
Verb = Literal["add", "replace", "remove"]
VERBS = ("add", "replace", "remove")


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: `path` as decoded parts."""

    verb: Verb
    path: tuple[str, ...]
    value: Any = None


def parse(document: Any, media_type: str) -> list[Operation]:
    """The operations of a body. Invalid reason `media` for another media type."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in (V20, V21):
        headers = [("Accept-Patch", f"{V21}, {V20}")]
        raise Invalid(f"a change needs the media type {V21} or {V20}, not {kind or 'none'}", "media", headers=headers)
    if not isinstance(document, list) or len(document) > MOST:
        raise wishes.bad(f"the body must be a list of at most {MOST} operations")
    return [_operation(entry, kind == V20) for entry in document]


def _operation(entry: Any, short: bool) -> Operation:
    if not isinstance(entry, dict):
        raise wishes.bad("an operation must be an object")
    verb: Any
    if short:
        verbs = [verb for verb in VERBS if verb in entry]
        if len(verbs) != 1:
            raise wishes.bad(f"an operation must have exactly one of {', '.join(VERBS)}")
        verb, path = verbs[0], entry[verbs[0]]
    else:
        verb, path = entry.get("op"), entry.get("path")
        if verb not in VERBS:
            raise wishes.bad(f"op must be one of {', '.join(VERBS)}, not {verb!r:.80}")
    if verb != "remove" and "value" not in entry:
        raise wishes.bad(f"operation {verb} needs a value")
    return Operation(cast(Verb, verb), _path(path), entry.get("value"))


def _path(path: Any) -> tuple[str, ...]:
    if not isinstance(path, str) or not path.startswith("/") or path.endswith("/") or "//" in path:
        raise wishes.bad(f"a path is a JSON pointer such as /name, not {path!r:.80}")
    if re.search(r"~(?![01])", path):
        raise wishes.bad(f"in the path {path!r:.80} a ~ must be written ~0, and a / within a name ~1")
    parts = tuple(part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/"))
    most = {"locations": 2, "tags": 2}.get(parts[0], 1)
    if len(parts) > most:
        raise wishes.bad(f"the path {path!r:.80} leads deeper than attributes go")
    return parts


@dataclass(slots=True)
class Draft:
    """The image as it will be: attributes of its own, properties, owner."""

    columns: dict[str, Any]
    properties: dict[str, str]
    tags: list[str]
    owner: str


def apply(image: Image, operations: list[Operation]) -> Draft:
    """The image after all operations. Denied reason `attribute`, Conflict reason `attribute` for what is not there,
    Invalid."""
    draft = Draft({}, dict(image.properties), list(image.tags), image.project_id)
    for operation in operations:
        name = operation.path[0]
        wishes.writable(name)
        if name in wishes.FIXED:
            raise Denied(f"Attribute '{name}' is read-only.", "attribute")
        if name == "tags":
            _tags(draft, operation)
        elif name == "owner":
            _owner(draft, operation)
        elif wishes.is_base(name):
            _own(image, draft, operation)
        else:
            _property(draft, operation)
    wishes.properties(draft.properties)
    wishes.tags(draft.tags)
    return draft


def _tags(draft: Draft, operation: Operation) -> None:
    if len(operation.path) == 1:
        draft.tags = [] if operation.verb == "remove" else wishes.tags(operation.value)
        return
    raise wishes.bad("tags are changed whole, or one by one at /v2/images/{image_id}/tags/{tag}")


def _owner(draft: Draft, operation: Operation) -> None:
    if operation.verb == "remove":
        raise Denied("Property owner may not be removed.", "attribute")
    draft.owner = wishes.owner(operation.value)


def _own(image: Image, draft: Draft, operation: Operation) -> None:
    name = operation.path[0]
    if operation.verb == "remove":
        raise Denied(f"Property {name} may not be removed.", "attribute")
    value = wishes.attribute(name, operation.value)
    if name in ("disk_format", "container_format") and image.state != "queued" and value != getattr(image, name):
        raise Denied(f"Attribute {name} can be only replaced for a queued image.", "attribute")
    draft.columns[name] = value


def _property(draft: Draft, operation: Operation) -> None:
    name = operation.path[0]
    if operation.verb != "add" and name not in draft.properties:
        raise Conflict(f"Property {name} does not exist.", "attribute")
    if operation.verb == "remove":
        del draft.properties[name]
    else:
        draft.properties[name] = wishes.property_of(name, operation.value)
