"""Image API v2: images, tags, state, and what the service tells of itself."""

from __future__ import annotations

from typing import Any

from andromede.errors import Denied, Error, Invalid, NotFound, TooLarge
from andromede.images import data_routes, listing, member_routes, metadef_routes, patch, schemas, store, views, wishes
from andromede.images.data_routes import METHODS
from andromede.images.model import STORE, TASKS, Image
from andromede.images.service import MOST_TAGS, Images
from andromede.images.targets import ImageCall, own, owned, seen
from andromede.web.access import is_cloud_admin
from andromede.web.api import Mount
from andromede.web.call import Call, Reply
from andromede.web.dialect import Dialect
from andromede.web.routes import Routes

routes: Routes[Images] = Routes()
VERSIONS = ("2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1", "2.0")
UNTOUCHED = frozenset({"image:discover", "image:show_schemas", "image:info"})


# --- what the service tells of itself


def _versions(call: ImageCall) -> dict[str, Any]:
    link = [{"rel": "self", "href": f"{call.base}/v2/"}]
    return {
        "versions": [
            {"id": f"v{version}", "status": "SUPPORTED" if at else "CURRENT", "links": link}
            for at, version in enumerate(VERSIONS)
        ]
    }


@routes.add("GET", "/", "image:discover", public=True, status=300)
def versions(call: ImageCall) -> dict[str, Any]:
    """The versions of the interface; the first is the current one."""
    return _versions(call)


@routes.add("GET", "/versions", "image:discover", public=True)
def versions_again(call: ImageCall) -> dict[str, Any]:
    """The same, as 200."""
    return _versions(call)


@routes.add("GET", "/v2/info/import", "image:info", target=own)
def info_import(call: ImageCall) -> dict[str, Any]:
    """The ways in which data may be imported."""
    text = "Import methods available."
    return {"import-methods": {"description": text, "type": "array", "value": list(METHODS)}}


@routes.add("GET", "/v2/info/stores", "image:info", target=own)
def info_stores(call: ImageCall) -> dict[str, Any]:
    """The one store: the object store of this cloud."""
    text = "The object store of this cloud; each image lies under its owner's key."
    return {"stores": [{"id": STORE, "description": text, "default": "true"}]}


@routes.add("GET", "/v2/schemas/{name}", "image:show_schemas", target=own)
def schema(call: ImageCall) -> dict[str, Any]:
    """The JSON schema of a document: image, images, member, members, task, tasks."""
    return schemas.named(call.params["name"])


@routes.add("GET", "/v2/schemas/metadefs/{name}", "image:show_schemas", target=own)
def metadef_schema(call: ImageCall) -> dict[str, Any]:
    """The same of definitions of metadata: namespace, object, property, tag, resource_type, and lists of them."""
    return schemas.named(call.params["name"], schemas.METADEFS)


# --- images


@routes.add("GET", "/v2/images", "image:list_images", target=own)
def list_images(call: ImageCall) -> dict[str, Any]:
    """Images that the caller sees. Filters: id, name, status, disk_format, container_format (`in:a,b` too),
    visibility, owner, tag (repeated: all of them), member_status, os_hidden, protected, size, size_min, size_max,
    min_disk, min_ram, checksum, os_hash_value, created_at and updated_at (`gt:`, `gte:`, `lt:`, `lte:`, `eq:`, `neq:`),
    any property; sort, sort_key, sort_dir; limit and marker."""
    _named(call)
    wanted, limit, marker = listing.wanted(call)
    with call.services.desk.db.read() as tx:
        found = store.ids(tx, wanted)
        start = 0
        if marker is not None:
            if marker not in found:
                raise listing.bad(f"marker {marker!r:.80} names no image of this list")
            start = found.index(marker) + 1
        page = found[start : start + limit]
        rows = store.load(tx, page)
    more = page[-1] if page and start + limit < len(found) else None
    shown = [views.image(row) for row in rows]
    return {"images": shown, **listing.links(call, more), "schema": "/v2/schemas/images"}


def _named(call: ImageCall) -> None:
    """`/v2/images/` is an image without a name, not the list."""
    if call.url.partition("?")[0].endswith("/"):
        raise NotFound("Failed to find image ''", "image")


@routes.add("DELETE", "/v2/images", "image:delete_image", status=204, target=own)
def delete_nothing(call: ImageCall) -> None:
    """There is no image without a name, and the list cannot be deleted."""
    _named(call)
    raise Invalid("DELETE is not possible on the list of images", "method", headers=[("Allow", "GET, HEAD, POST")])


@routes.add("POST", "/v2/images", "image:add_image", body=dict[str, Any], status=201, target=own)
def create_image(call: ImageCall, body: dict[str, Any]) -> Reply:
    """A queued image, to be filled by upload or import."""
    new, owner = wishes.new_image(body)
    mine = call.who.project_id or ""
    if owner is not None and owner != mine and not is_cloud_admin(call.who):
        raise Denied("You are not permitted to create images owned by another project.", "owner")
    _may_show(call, new.visibility)
    image = call.services.create(call, new, owner or mine)
    url = f"{call.base}/v2/images/{image.id}"
    headers = (("Location", url), ("OpenStack-image-import-methods", ",".join(METHODS)),
               ("OpenStack-image-store-ids", STORE))  # fmt: skip
    return Reply(views.image(image), headers=headers)


def _may_show(call: Call[Any], visibility: str) -> None:
    if visibility == "public" and not is_cloud_admin(call.who):
        raise Denied("You are not authorized to make images public; ask an administrator, or share it.", "visibility")


@routes.add("GET", "/v2/images/{image_id}", "image:get_image", target=seen)
def show_image(call: ImageCall) -> dict[str, Any]:
    """One image."""
    return views.image(call.services.seen(call))


@routes.add("PATCH", "/v2/images/{image_id}", "image:modify_image", body=Any, target=owned)
def change_image(call: ImageCall, body: Any) -> dict[str, Any]:
    """Change attributes and properties: a JSON patch in the media type of v2.1 or v2.0."""
    operations = patch.parse(body, call.headers.get("content-type", ""))

    def wish(now: Image) -> dict[str, Any]:
        draft = patch.apply(now, operations)
        if draft.owner != now.project_id and not is_cloud_admin(call.who):
            raise Denied("You are not permitted to give an image to another project.", "owner")
        if draft.columns.get("visibility", now.visibility) != now.visibility:
            _may_show(call, draft.columns["visibility"])
        return draft.columns | {"project_id": draft.owner, "tags": draft.tags, "properties": draft.properties}

    return views.image(call.services.change(call, call.services.seen(call), wish))


@routes.add("DELETE", "/v2/images/{image_id}", "image:delete_image", status=204, target=owned)
def delete_image(call: ImageCall) -> None:
    """Delete an image with its data, unless it is protected."""
    call.services.delete(call, call.services.seen(call))


@routes.add("POST", "/v2/images/{image_id}/actions/deactivate", "image:deactivate", status=204, target=owned)
def deactivate(call: ImageCall) -> None:
    """Nobody but administrators may read the data, nor start a server from it."""
    _switch(call, ("active", "deactivated"))


@routes.add("POST", "/v2/images/{image_id}/actions/reactivate", "image:reactivate", status=204, target=owned)
def reactivate(call: ImageCall) -> None:
    """It may be used again."""
    _switch(call, ("deactivated", "active"))


def _switch(call: ImageCall, move: tuple[str, str]) -> None:
    image: Image = call.services.seen(call)
    if image.state not in move:
        raise Denied(f"Not allowed: image {image.id} is {image.status}, not {' or '.join(move)}.", "state")
    if image.state == move[0]:
        call.services.move(call, image, (move[0],), move[1])
    else:
        call.services.change(call, image, lambda now: {})


# --- tasks, as administrators see them


@routes.add("GET", "/v2/tasks", "image:tasks_api")
def list_tasks(call: ImageCall) -> dict[str, Any]:
    """The newest imports of all images. Filters: status, type; limit and marker."""
    query, limit = call.query, call.integer("limit", 0, 10**9)
    found = [task for task in call.services.all_tasks() if query.get("status") in (None, task.status)]
    if query.get("type") not in (None, "api_image_import"):
        found = []
    marker = query.get("marker")
    if marker is not None:
        at = next((number for number, task in enumerate(found) if task.id == marker), None)
        if at is None:
            raise listing.bad(f"marker {marker!r:.80} names no task of this list")
        found = found[at + 1 :]
    page = found[: listing.PAGE if limit is None else min(limit, listing.MOST_PAGE)]
    more = {"next": f"/v2/tasks?marker={page[-1].id}"} if page and len(page) < len(found) else {}
    return {"tasks": [views.task(task) for task in page], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"} | more


@routes.add("GET", "/v2/tasks/{task_id}", "image:tasks_api")
def show_task(call: ImageCall) -> dict[str, Any]:
    """One import."""
    found = TASKS.find(call.services.desk.db, id=call.params["task_id"])
    if found is None:
        raise NotFound(f"there is no task {call.params['task_id']!r:.80}", "task")
    return views.task(found)


@routes.add("POST", "/v2/tasks", "image:tasks_api", body=dict[str, Any], status=201)
def create_task(call: ImageCall, body: dict[str, Any]) -> None:
    """Tasks are made by imports alone."""
    raise Invalid("tasks are made by POST /v2/images/{image_id}/import, and by nothing else", "schema")


# --- tags


@routes.add("PUT", "/v2/images/{image_id}/tags/{tag}", "image:add_tag", status=204, target=owned)
def add_tag(call: ImageCall) -> None:
    """Add a tag; one that is there stays."""
    image, tag = call.services.seen(call), call.params["tag"]
    if len(tag) > wishes.MOST_NAME:
        raise Invalid(f"a tag has at most {wishes.MOST_NAME} characters", "schema")

    def wish(now: Image) -> dict[str, Any]:
        if tag not in now.tags and len(now.tags) >= MOST_TAGS:
            raise TooLarge(f"an image has at most {MOST_TAGS} tags", "tags")
        return {"tags": sorted({*now.tags, tag})}

    call.services.change(call, image, wish)


@routes.add("DELETE", "/v2/images/{image_id}/tags/{tag}", "image:delete_tag", status=204, target=owned)
def delete_tag(call: ImageCall) -> None:
    """Take a tag away."""
    image, tag = call.services.seen(call), call.params["tag"]

    def wish(now: Image) -> dict[str, Any]:
        if tag not in now.tags:
            raise NotFound(f"image {image.id} has no tag {tag!r:.80}", "tag")
        return {"tags": [other for other in now.tags if other != tag]}

    call.services.change(call, image, wish)


def _envelope(status: int, message: str, error: Error, request_id: str) -> dict[str, Any]:
    return {"message": message, "code": status, "title": error.reason or error.kind}


def mount(images: Images) -> Mount:
    """The service under its prefix."""
    every: Routes[Images] = Routes()
    for part in (routes, data_routes.routes, member_routes.routes, metadef_routes.routes):
        every.merge(part)
    statuses = {
        ("over_quota", ""): 413, ("over_quota", "size"): 413, ("invalid", "media"): 415, ("invalid", "range"): 416,
        ("too_large", ""): 413,
    }  # fmt: skip
    dialect = Dialect("glance", _envelope, statuses)
    return Mount("/image", "image", every, images, dialect, untouched=lambda call: call.action in UNTOUCHED)
