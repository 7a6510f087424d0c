"""What clients wish of an image, checked: whole documents for creation, single attributes for changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from andromede.errors import Denied, Invalid, TooLarge
from andromede.images.model import CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES, NewImage
from andromede.images.service import MOST_PROPERTIES, MOST_TAGS

UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_READ_ONLY = (
    "status size virtual_size checksum os_hash_algo os_hash_value created_at updated_at self file schema direct_url "
    "stores"
)
READ_ONLY = frozenset(_READ_ONLY.split())
LOCATIONS = frozenset({"locations"})
FIXED = frozenset({"id"})
"""Attributes that are given at creation or never."""
MOST_NAME, MOST_VALUE = 255, 65_535
MOST_NUMBER = 2**31 - 1


def bad(text: str) -> Invalid:
    """The error of a document that breaks a rule."""
    return Invalid(text, "schema")


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MOST_NAME:
        raise bad(f"{name} must be text of at most {MOST_NAME} characters, not {value!r:.80}")
    return value


def _choice(name: str, value: Any, choices: tuple[str, ...], optional: bool = True) -> str | None:
    if value is None and optional:
        return None
    if value not in choices:
        raise bad(f"{name} must be one of {', '.join(choices)}, not {value!r:.80}")
    return str(value)


def _number(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MOST_NUMBER:
        raise bad(f"{name} must be a whole number from 0 to {MOST_NUMBER}, not {value!r:.80}")
    return value


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise bad(f"{name} must be true or false, not {value!r:.80}")
    return value


def tags(value: Any) -> list[str]:
    """A list of tags, each once. TooLarge reason `tags`."""
    if not isinstance(value, list) or not all(isinstance(tag, str) and len(tag) <= MOST_NAME for tag in value):
        raise bad(f"tags must be a list of texts of at most {MOST_NAME} characters")
    found = sorted(set(value))
    if len(found) > MOST_TAGS:
        raise TooLarge(f"an image has at most {MOST_TAGS} tags, not {len(found)}", "tags")
    return found


def properties(found: Mapping[str, str]) -> dict[str, str]:
    """All properties of an image together. TooLarge reason `properties`."""
    if len(found) > MOST_PROPERTIES:
        raise TooLarge(f"an image has at most {MOST_PROPERTIES} properties, not {len(found)}", "properties")
    return dict(found)


def property_of(name: str, value: Any) -> str:
    """The value of a property that a client may set."""
    writable(name)
    if not name or len(name) > MOST_NAME:
        raise bad(f"the name of a property has 1 to {MOST_NAME} characters")
    if not isinstance(value, str) or len(value) > MOST_VALUE:
        raise bad(f"property {name} must be text of at most {MOST_VALUE} characters, not {value!r:.80}")
    return value


def writable(name: str) -> None:
    """Refuse names that are not for clients. Denied reason `attribute`."""
    if name in READ_ONLY:
        raise Denied(f"Attribute '{name}' is read-only.", "attribute")
    if name in LOCATIONS:
        raise Denied("It's not allowed to add locations: this cloud stores every image itself.", "attribute")
    if name.startswith("os_glance"):
        raise Denied(f"Attribute '{name}' is reserved.", "attribute")


_PLAIN = {
    "name": lambda value: _text("name", value),
    "visibility": lambda value: _choice("visibility", value, VISIBILITIES, optional=False),
    "disk_format": lambda value: _choice("disk_format", value, DISK_FORMATS),
    "container_format": lambda value: _choice("container_format", value, CONTAINER_FORMATS),
    "min_disk": lambda value: _number("min_disk", value),
    "min_ram": lambda value: _number("min_ram", value),
    "protected": lambda value: _flag("protected", value),
    "os_hidden": lambda value: _flag("os_hidden", value),
    "tags": tags,
}
DEFAULTS: Mapping[str, Any] = {
    "name": None, "visibility": "shared", "disk_format": None, "container_format": None, "min_disk": 0, "min_ram": 0,
    "protected": False, "os_hidden": False, "tags": [],
}  # fmt: skip


def is_base(name: str) -> bool:
    """Whether an attribute is the image's own, and no property."""
    return name in _PLAIN or name in READ_ONLY or name in ("id", "owner", "locations")


def attribute(name: str, value: Any) -> Any:
    """The value of an attribute of the image's own, checked."""
    return _PLAIN[name](value)


def owner(value: Any) -> str:
    """The project that is to own an image."""
    found = _text("owner", value)
    if not found:
        raise bad("owner must be the id of a project")
    return found


def new_image(document: Any) -> tuple[NewImage, str | None]:
    """What `POST /v2/images` asks for, and the owner if it names one."""
    if not isinstance(document, dict):
        raise bad("the body must be an object with the attributes of the image")
    for name in document:
        writable(str(name))
    image_id = document.get("id")
    if image_id is not None and (not isinstance(image_id, str) or not UUID.fullmatch(image_id)):
        raise bad(f"id must be a UUID, not {image_id!r:.80}")
    given = {name: attribute(name, document[name]) for name in _PLAIN if name in document}
    given["tags"] = tuple(given.get("tags", ()))
    own = {str(name): value for name, value in document.items() if not is_base(str(name))}
    found = properties({name: property_of(name, value) for name, value in own.items()})
    who = owner(document["owner"]) if document.get("owner") is not None else None
    return NewImage(id=image_id.lower() if image_id else None, properties=found, **given), who
