"""How clients see images (Image API v2)."""

from __future__ import annotations

from typing import Any

from andromede.clock import iso_second
from andromede.images.model import Image, Member, Task

Json = dict[str, Any]
BASE = ("name", "disk_format", "container_format", "visibility", "size", "virtual_size", "status", "checksum",
        "protected", "min_ram", "min_disk", "owner", "os_hidden", "os_hash_algo", "os_hash_value", "id")  # fmt: skip


def image(found: Image) -> Json:
    """One image, its properties beside its own attributes."""
    shown: Json = dict(sorted(found.properties.items()))
    shown |= {name: getattr(found, name) for name in BASE}
    shown |= {
        "created_at": iso_second(found.created_us), "updated_at": iso_second(found.updated_us),
        "tags": sorted(found.tags), "self": f"/v2/images/{found.id}", "file": f"/v2/images/{found.id}/file",
        "schema": "/v2/schemas/image",
    }  # fmt: skip
    if found.blob:
        shown["stores"] = "andromede"
    return shown


def member(found: Member) -> Json:
    """One member."""
    return {
        "member_id": found.member_id, "image_id": found.image_id, "status": found.status,
        "created_at": iso_second(found.created_us), "updated_at": iso_second(found.updated_us),
        "schema": "/v2/schemas/member",
    }  # fmt: skip


def task(found: Task) -> Json:
    """One import as a task of its image."""
    result = {"image_id": found.image_id} if found.status == "success" else None
    expires = found.updated_us + 48 * 3600 * 1_000_000
    return {
        "id": found.id, "image_id": found.image_id, "type": "api_image_import", "status": found.status,
        "owner": found.project_id, "user_id": found.user_id, "request_id": found.request_id, "input": found.input,
        "result": result, "message": found.message, "created_at": iso_second(found.created_us),
        "updated_at": iso_second(found.updated_us), "expires_at": iso_second(expires), "self": f"/v2/tasks/{found.id}",
        "schema": "/v2/schemas/task",
    }  # fmt: skip
