"""The JSON schemas that the service publishes of its documents (Image API v2, "Image schemas")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from andromede.errors import NotFound
from andromede.images.model import CONTAINER_FORMATS, DISK_FORMATS, MEMBER_STATUSES, VISIBILITIES

Json = dict[str, Any]
_ID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
STATUSES = (
    "queued",
    "saving",
    "active",
    "killed",
    "deleted",
    "uploading",
    "importing",
    "pending_delete",
    "deactivated",
)


def _of(kind: Any, text: str, **more: Any) -> Json:
    return {"type": kind, "description": text, **more}


def _shown(kind: Any, text: str, **more: Any) -> Json:
    return _of(kind, text, readOnly=True, **more)


IMAGE: Json = {
    "id": _of("string", "An identifier for the image", pattern=_ID),
    "name": _of(["null", "string"], "Descriptive name for the image", maxLength=255),
    "status": _shown("string", "Status of the image", enum=list(STATUSES)),
    "visibility": _of("string", "Scope of image accessibility", enum=list(VISIBILITIES)),
    "protected": _of("boolean", "If true, image will not be deletable."),
    "os_hidden": _of("boolean", "If true, image will not appear in default image list response."),
    "checksum": _shown(["null", "string"], "md5 hash of image contents.", maxLength=32),
    "os_hash_algo": _shown(["null", "string"], "Algorithm to calculate the os_hash_value", maxLength=64),
    "os_hash_value": _shown(["null", "string"], "Hexdigest of the image contents by os_hash_algo", maxLength=128),
    "owner": _of(["null", "string"], "Owner of the image", maxLength=255),
    "size": _shown(["null", "integer"], "Size of image file in bytes"),
    "virtual_size": _shown(["null", "integer"], "Virtual size of image in bytes"),
    "container_format": _of(["null", "string"], "Format of the container", enum=[None, *CONTAINER_FORMATS]),
    "disk_format": _of(["null", "string"], "Format of the disk", enum=[None, *DISK_FORMATS]),
    "created_at": _shown("string", "Date and time of image registration"),
    "updated_at": _shown("string", "Date and time of the last image modification"),
    "tags": _of("array", "List of strings related to the image", items={"type": "string", "maxLength": 255}),
    "direct_url": _shown("string", "URL to access the image file kept in external store"),
    "min_ram": _of("integer", "Amount of ram (in MB) required to boot image."),
    "min_disk": _of("integer", "Amount of disk space (in GB) required to boot image."),
    "self": _shown("string", "An image self url"),
    "file": _shown("string", "An image file url"),
    "schema": _shown("string", "An image schema url"),
    "stores": _shown("string", "Stores in which the image data resides."),
    "locations": _shown("array", "Never shown: this cloud stores every image itself.", items={"type": "object"}),
}
MEMBER: Json = {
    "member_id": _of("string", "An identifier for the image member (tenantId)"),
    "image_id": _of("string", "An identifier for the image", pattern=_ID),
    "created_at": _of("string", "Date and time of image member creation"),
    "updated_at": _of("string", "Date and time of last modification of image member"),
    "status": _of("string", "The status of this image member", enum=list(MEMBER_STATUSES)),
    "schema": _shown("string", "A member schema url"),
}
TASK: Json = {
    "id": _of("string", "An identifier for the task", pattern=_ID),
    "type": _of("string", "The type of task represented by this content", enum=["api_image_import"]),
    "status": _of("string", "The current status", enum=["pending", "processing", "success", "failure"]),
    "input": _of(["null", "object"], "The parameters required by task"),
    "result": _of(["null", "object"], "The result of current task"),
    "owner": _of("string", "An identifier for the owner of this task"),
    "message": _of("string", "Why it failed"),
    "image_id": _of("string", "Image associated with the task"),
    "request_id": _of("string", "Human-readable informative request-id"),
    "user_id": _of("string", "User associated with the task"),
    "expires_at": _of(["null", "string"], "Datetime when this resource would be subject to removal"),
    "created_at": _of("string", "Datetime when this resource was created"),
    "updated_at": _of("string", "Datetime when this resource was updated"),
    "self": _shown("string", "A task self url"),
    "schema": _shown("string", "A task schema url"),
}
_LINKS = [{"href": "{self}", "rel": "self"}, {"href": "{file}", "rel": "enclosure"}]
_PAGES = [{"href": "{first}", "rel": "first"}, {"href": "{next}", "rel": "next"}]


def _one(name: str) -> Json:
    made: Json = {"name": name, "properties": {"image": IMAGE, "member": MEMBER, "task": TASK}[name]}
    if name == "image":
        made |= {
            "additionalProperties": {"type": "string"},
            "links": [*_LINKS, {"href": "{schema}", "rel": "describedby"}],
        }
    return made


def _many(name: str) -> Json:
    one = name.removesuffix("s")
    properties: Json = {name: {"type": "array", "items": _one(one)}, "schema": {"type": "string"}}
    if name != "members":
        properties |= {"first": {"type": "string"}, "next": {"type": "string"}}
    links = [{"href": "{schema}", "rel": "describedby"}]
    return {"name": name, "properties": properties, "links": links if name == "members" else [*_PAGES, *links]}


_METADEFS: Mapping[str, Sequence[str]] = {
    "namespace": ("namespace", "display_name", "description", "visibility", "protected", "owner"),
    "object": ("name", "description", "required", "properties"),
    "property": ("name", "title", "description", "type", "enum", "default", "minimum", "maximum", "pattern", "items"),
    "tag": ("name",),
    "resource_type": ("name", "prefix", "properties_target"),
}


_SHOWN = {"resource_type": "resource_type_association", "resource_types": "resource_type_associations"}
"""What a namespace has of them are associations."""


def _metadef(name: str) -> Json:
    shown = ("created_at", "updated_at", "self", "schema")
    found: Json = {part: {"description": part.replace("_", " ")} for part in _METADEFS[name]}
    return {"name": _SHOWN.get(name, name), "properties": found | {part: _shown("string", part) for part in shown}}


def _metadefs(name: str) -> Json:
    plural = "properties" if name == "property" else f"{name}s"
    parts: Json = {plural: {"type": "array", "items": _metadef(name)}, "first": {"type": "string"},
                   "next": {"type": "string"}, "schema": {"type": "string"}}  # fmt: skip
    return {"name": _SHOWN.get(plural, plural), "properties": parts, "links": _PAGES}


METADEFS: Json = {name: _metadef(name) for name in _METADEFS} | {
    ("properties" if name == "property" else f"{name}s"): _metadefs(name) for name in _METADEFS
}
SCHEMAS: Json = {
    **{name: _one(name) for name in ("image", "member", "task")},
    **{name: _many(name) for name in ("images", "members", "tasks")},
}


def named(name: str, among: Json = SCHEMAS) -> Json:
    """The schema of that name. NotFound reason `schema`."""
    found = among.get(name)
    if found is None:
        raise NotFound(f"there is no schema {name!r:.80}; there are {', '.join(sorted(among))}", "schema")
    return dict(found)
