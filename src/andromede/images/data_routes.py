"""Bytes of images: upload, download, staging, import."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from andromede.errors import Denied, Error, Invalid, NotFound
from andromede.images import heads, views
from andromede.images.content import facts_of, key_of, landed, trace_of
from andromede.images.model import ENGINE_FORMATS, FLAT, STORE, Image
from andromede.images.service import Images
from andromede.images.targets import ImageCall, owned, seen
from andromede.web.access import is_cloud_admin
from andromede.web.call import Reply
from andromede.web.routes import Routes

routes: Routes[Images] = Routes()
METHODS = ("glance-direct", "web-download")
OCTETS = "application/octet-stream"
_URI = re.compile(r"https?://[^/\s]")
MOST_URI = 2048
CHECK_SECONDS, LOOK_SECONDS = 20.0, 0.05


class RangeError(Invalid):
    """A range that lies outside the image."""


@routes.add("PUT", "/v2/images/{image_id}/file", "image:upload_image", status=204, target=owned, stream=True)
def upload(call: ImageCall) -> None:
    """The bytes of a queued image, as they come. A format with a structure is looked into before it is used: the answer
    waits a short while for that; `status` tells how it ended."""
    images = call.services
    image = _ready(call)
    length = _length(call)
    most = images.room(image, length)
    image = images.move(call, image, ("queued",), "saving")
    _take(call, image, (most, length), ("saving", "active" if image.disk_format in FLAT else "checking"), "blob")
    _settled(images, image.id)


@routes.add("PUT", "/v2/images/{image_id}/stage", "image:stage_image", status=204, target=owned, stream=True)
def stage(call: ImageCall) -> None:
    """The bytes of a queued image, put aside for the import `glance-direct`."""
    images, image, length = call.services, call.services.seen(call), _length(call)
    most = images.room(image, length)
    image = images.move(call, image, ("queued",), "staging")
    _take(call, image, (most, length), ("staging", "uploading"), "staged")


def _ready(call: ImageCall) -> Image:
    image = call.services.seen(call)
    kind = call.headers.get("content-type", OCTETS).partition(";")[0].strip()
    if kind != OCTETS:
        raise Invalid(f"the data of an image is sent as {OCTETS}, not as {kind}", "media")
    if not image.disk_format or not image.container_format:
        raise Invalid("disk_format and container_format must be set before data is uploaded", "format")
    return image


def _length(call: ImageCall) -> int | None:
    text = call.headers.get("content-length") or call.headers.get("x-openstack-image-size")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise Invalid(f"the length of the data is no number: {text!r:.80}", "short_body")
    return int(text) if "content-length" in call.headers else None


def _take(call: ImageCall, image: Image, bounds: tuple[int, int | None], moves: tuple[str, str], column: str) -> None:
    """Receive the body and keep it; the image is queued again when that fails."""
    images = call.services
    trace = trace_of(call.who, call.action, call.request_id)
    stream = call.stream
    assert stream is not None
    try:
        arrived = images.content.receive(image, stream, bounds, trace)
        facts = facts_of(arrived)
        if image.disk_format in FLAT:
            facts["virtual_size"] = arrived.stored.size
        if moves[1] == "active" and heads.refusal(image.disk_format or "", arrived.head):
            moves = (moves[0], "checking")
        write = landed(image, moves, facts, images.desk.clock.now_us(), column)
        images.content.keep(arrived, key_of(image, column), trace, write)
    except Error:
        images.back(image.id, moves[0], call.request_id)
        raise
    images.desk.wake()


def _settled(images: Images, image_id: str) -> None:
    """Wait until the image was looked into, for a short while."""
    clock = images.desk.clock
    end = clock.monotonic() + CHECK_SECONDS
    while clock.monotonic() < end and images.get(image_id).state == "checking":
        clock.sleep(LOOK_SECONDS)


@routes.add("GET", "/v2/images/{image_id}/file", "image:download_image", target=seen, stream=True)
def download(call: ImageCall) -> Reply:
    """The bytes of an image, or one range of them; 204 while there are none."""
    image = call.services.seen(call)
    if image.state == "deactivated" and not is_cloud_admin(call.who):
        raise Denied(f"The requested image {image.id} has been deactivated. Image data download is forbidden.", "state")
    if image.state not in ("active", "deactivated") or not image.blob:
        return Reply(status=204)
    size = image.size or 0
    start, stop, partial = _range(call.headers.get("range"), size)
    headers = [("Content-MD5", image.checksum or ""), ("Accept-Ranges", "bytes")]
    if partial:
        headers = [("Content-Range", f"bytes {start}-{stop - 1}/{size}"), ("Accept-Ranges", "bytes")]
    pieces: Iterator[bytes] = call.services.read(image, start, stop)
    return Reply(
        status=206 if partial else 200, headers=tuple(headers), media_type=OCTETS, pieces=pieces, length=stop - start
    )


def _range(header: str | None, size: int) -> tuple[int, int, bool]:
    """(start, stop, whether it is a part). Invalid reason `range` for one outside (RFC 9110 14.2)."""
    if header is None:
        return 0, size, False
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.ASCII)
    if found is None or not any(found.groups()):
        return 0, size, False
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        headers = [("Content-Range", f"bytes */{size}")]
        raise RangeError(f"the range {header} lies outside the {size} bytes of the image", "range", headers=headers)
    return start, stop, True


@routes.add("POST", "/v2/images/{image_id}/import", "image:import_image", body=dict[str, Any], status=202, target=owned)
def import_image(call: ImageCall, body: dict[str, Any]) -> Reply:
    """Make what was staged (`glance-direct`), or what lies at a URL (`web-download`), the data of the image."""
    image = call.services.seen(call)
    method = body.get("method")
    name = method.get("name") if isinstance(method, dict) else None
    if not isinstance(method, dict) or name not in METHODS:
        raise Invalid(f"the import method must be one of {', '.join(METHODS)}, not {name!r:.80}", "schema")
    _stores(body)
    if not image.disk_format or not image.container_format:
        raise Invalid("disk_format and container_format must be set before an import", "format")
    if image.disk_format not in FLAT and image.disk_format not in ENGINE_FORMATS:
        raise Invalid(f"images of format {image.disk_format} cannot be imported", "format")
    uri = method.get("uri")
    if name == "web-download" and (
        not isinstance(uri, str) or not re.match(r"https?://[^/\s]", uri) or len(uri) > 2048
    ):
        raise Invalid(f"URI for web-download does not pass filtering: {uri!r:.200}", "schema")
    call.services.begin_import(call, image, str(name), str(uri or ""), body)
    return Reply(status=202)


def _stores(body: dict[str, Any]) -> None:
    stores = body.get("stores")
    if stores is not None and body.get("all_stores"):
        raise Invalid("give stores or all_stores, not both", "schema")
    if stores is not None and (not isinstance(stores, list) or any(store != STORE for store in stores)):
        raise Invalid(f"this cloud has one store, {STORE}; it has not all of {stores!r:.200}", "schema")


@routes.add("GET", "/v2/images/{image_id}/tasks", "image:get_tasks", target=seen)
def tasks(call: ImageCall) -> dict[str, Any]:
    """The imports of an image."""
    image = call.services.seen(call)
    return {"tasks": [views.task(task) for task in call.services.tasks(image.id)]}


@routes.add("DELETE", "/v2/stores/{store}/{image_id}", "image:delete_image", status=204, target=owned)
def delete_from_store(call: ImageCall) -> None:
    """An image has its data in one store and cannot leave it but by being deleted."""
    if call.params["store"] != STORE:
        raise NotFound(f"there is no store {call.params['store']!r}", "store")
    raise Denied("the data cannot leave the only store that has it; delete the image instead", "store")
