"""The lifecycle of images whose bytes a worker fetches, looks into, or removes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from andromede.audit.changes import Desk
from andromede.db import Tx
from andromede.errors import Invalid, NotFound, OverQuota, TooLarge
from andromede.images import heads, store
from andromede.images.bases import Bases
from andromede.images.content import HEAD, Content
from andromede.images.engine import Downloader, Inspector
from andromede.images.model import ENGINE_FORMATS, FAILED, FAULT, FLAT, IMAGES, STORE, TASKS, Image
from andromede.images.service import Images
from andromede.work.lifecycle import Deadline, Lifecycle, Next

LONG, SHORT = 6 * 3600.0, 900.0


@dataclass(frozen=True, slots=True)
class Host:
    """What the steps stand on."""

    desk: Desk
    images: Images
    content: Content
    inspector: Inspector
    downloader: Downloader
    bases: Bases


def importing(host: Host, image: Image) -> Next:
    """Fetch what was asked for; what was staged is here already."""
    _note(host, image, "processing")
    if image.staged:
        return Next("verifying", changes={"blob": image.staged, "staged": ""})
    if image.blob:
        return Next("verifying")
    try:
        with host.downloader.open(str(image.wish.get("uri", ""))) as body:
            most = host.images.room(image, body.length)
            host.content.store(
                image, body, (most, body.length), image.request_id, ("importing", host.desk.clock.now_us)
            )  # fmt: skip
    except (Invalid, TooLarge, OverQuota, NotFound) as error:
        return _failed(host, image, error.public)
    return Next("verifying")


def checking(host: Host, image: Image) -> Next:
    """Look into what was stored before anybody uses it."""
    disk_format = image.disk_format or ""
    try:
        head = b"".join(host.images.read(image, 0, HEAD))
        why = heads.refusal(disk_format, head) or heads.outside(head)
        if why is not None:
            return _refused(host, image, why)
        if disk_format in FLAT:
            return _active(host, image, image.size)
        kind = ENGINE_FORMATS.get(disk_format)
        if kind is None:
            return _refused(host, image, f"images of format {disk_format or 'none'} cannot be checked here")
        found = host.inspector.inspect(host.images.read(image), kind)
    except Invalid as error:
        return _refused(host, image, error.public)
    return _active(host, image, found.virtual_size)


def deleting(host: Host, image: Image) -> Next:
    """Remove the bytes and what was made of them on this host."""
    for key in {image.blob, image.staged} - {""}:
        host.content.remove(image.keeper, key, image.request_id)
    host.bases.drop(image.id)
    return Next("deleted", then=partial(_forget, image.id))


def _forget(image_id: str, tx: Tx) -> None:
    store.forget(tx, image_id)


def _active(host: Host, image: Image, virtual_size: int | None) -> Next:
    then = partial(_ended, host, image, {})
    return Next("active", changes={"virtual_size": virtual_size, "wish": {}}, then=then)


def _refused(host: Host, image: Image, why: str) -> Next:
    return Next("killed", fault=why, changes={"wish": {}}, then=partial(_ended, host, image, {FAULT: why}))


def _failed(host: Host, image: Image, why: str) -> Next:
    """An import that found nothing leaves the image as it was before, and says where it failed."""
    then = partial(_ended, host, image, {FAILED: STORE, FAULT: why})
    return Next("queued", fault=why, changes={"wish": {}, "staged": ""}, then=then)


def _ended(host: Host, image: Image, marks: dict[str, str], tx: Tx) -> None:
    why = marks.get(FAULT, "")
    store.mark(tx, image.id, marks, gone=() if why else (FAULT, FAILED))
    _told(host, image, "failure" if why else "success", why, tx)


def _note(host: Host, image: Image, status: str) -> None:
    if not image.wish.get("task"):
        return
    with host.desk.db.write() as tx:
        _told(host, image, status, "", tx)


def _told(host: Host, image: Image, status: str, message: str, tx: Tx) -> None:
    task = image.wish.get("task")
    if task:
        now = host.desk.clock.now_us()
        TASKS.update(tx, {"id": str(task)}, status=status, message=message, updated_us=now)
    IMAGES.update(tx, {"id": image.id}, updated_us=host.desk.clock.now_us())


def _gave_up(host: Host, tx: Tx, image: Image, why: str) -> None:
    store.mark(tx, image.id, {FAULT: why})
    _told(host, image, "failure", why, tx)


def images(host: Host) -> Lifecycle[Image]:
    """States without a step here are at rest, for clients to end."""
    resting = ("queued", "uploading", "staging", "saving", "active", "deactivated", "killed", "stuck")
    looked_into = frozenset({"checking", "verifying", "active", "killed", "deleting"})
    steps = {"importing": importing, "checking": checking, "verifying": checking, "deleting": deleting}
    return Lifecycle(
        "image",
        IMAGES,
        {state: partial(step, host) for state, step in steps.items()},
        {
            **{state: frozenset({"deleting"}) for state in resting},
            "importing": frozenset({"importing", "verifying", "queued", "killed", "deleting"}),
            "checking": looked_into,
            "verifying": looked_into,
            "deleting": frozenset({"deleting", "deleted", "stuck"}),
        },
        {
            "importing": Deadline(LONG, "killed"),
            "checking": Deadline(SHORT, "killed"),
            "verifying": Deadline(SHORT, "killed"),
            "deleting": Deadline(LONG, "stuck"),
        },
        interrupts={"delete": "deleting"},
        undo=partial(_gave_up, host),
    )
