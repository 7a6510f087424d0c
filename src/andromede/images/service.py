"""The image service: what Nova and Cinder call, and what its own routes share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from andromede.audit.answers import begun
from andromede.audit.changes import Change, Desk
from andromede.clock import US
from andromede.db import Tx
from andromede.errors import Conflict, Denied, NotFound, OverQuota
from andromede.images import store
from andromede.images.content import Content, Reading
from andromede.images.model import FAULT, IMAGES, MEMBERS, STORE, TASKS, Image, Member, NewImage, Task
from andromede.objects.model import Readable
from andromede.web.access import is_cloud_admin
from andromede.web.actor import Actor
from andromede.web.call import Call
from andromede.work import lifecycle

MOST_TAGS, MOST_PROPERTIES, MOST_MEMBERS = 128, 128, 128
MOST_TASKS = 10_000
WORKING = ("importing", "checking", "verifying")
STALE_SECONDS = 6 * 3600
"""Age at which a body that is still coming in comes from a connection that has gone."""
RESTING = ("queued", "uploading", "staging", "saving", "active", "deactivated", "killed")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one image and of all of a project's, in bytes."""

    image: int = 100 << 30
    project: int = 200 << 30


class Images:
    """One per process. Calls of clients leave their event in the transaction; methods for other services take the
    request that wanted the work."""

    def __init__(self, desk: Desk, content: Content, limits: Limits | None = None) -> None:
        self.desk = desk
        self.content = content
        self.limits = limits or Limits()

    # --- finding

    def get(self, image_id: str) -> Image:
        """NotFound reason `image`."""
        found = IMAGES.find(self.desk.db, id=image_id, gone=0)
        if found is None:
            raise no_image(image_id)
        return found

    def is_there(self, image_id: str) -> bool:
        """Whether an image has not been deleted."""
        return IMAGES.find(self.desk.db, id=image_id, gone=0) is not None

    def find(self, image_id: str, project_id: str, everything: bool = False) -> Image:
        """An image that the project may use: its own, open ones, and those shared with it. NotFound reason `image`."""
        image = self.get(image_id)
        mine = everything or image.project_id == project_id or image.is_open
        if mine or (image.visibility == "shared" and store.is_member(self.desk.db, image_id, project_id)):
            return image
        raise no_image(image_id)

    def seen(self, call: Call[Any]) -> Image:
        """The image of a request's path."""
        actor = call.who
        return self.find(call.params["image_id"], actor.project_id or "", is_cloud_admin(actor))

    def with_properties(self, project_id: str, properties: Mapping[str, str]) -> list[Image]:
        """The project's own images with all these properties, the newest first."""
        where = [("t.project_id = ?", (project_id,)), *(store.with_property(*pair) for pair in properties.items())]
        return store.load(self.desk.db, store.ids(self.desk.db, store.Wanted(project_id, where=where)))

    def members(self, image_id: str) -> list[Member]:
        """With whom it is shared."""
        return MEMBERS.select(self.desk.db, {"image_id": image_id})

    def tasks(self, image_id: str) -> list[Task]:
        """Its imports."""
        return TASKS.select(self.desk.db, {"image_id": image_id})

    def all_tasks(self) -> list[Task]:
        """The newest imports of all images."""
        return TASKS.query(self.desk.db, "ORDER BY t.created_us DESC, t.id LIMIT ?", (MOST_TASKS,))

    # --- changing

    @contextmanager
    def changing(self, call: Call[Any], image: Image) -> Iterator[tuple[Change, Image]]:
        """The row as it is now, to be changed in the event's transaction; `updated_us` is set."""
        with self.desk.change(call, f"image/{image.id}") as change:
            now = IMAGES.find(change.tx, id=image.id, gone=0)
            if now is None:
                raise no_image(image.id)
            change.tenant = log_of(change.tx, image.project_id, call.who)
            yield change, now
            IMAGES.update(change.tx, {"id": image.id}, updated_us=change.now_us)

    def create(self, call: Call[Any], new: NewImage, owner: str) -> Image:
        """A queued image. Conflict reason `image` when the id is taken."""
        with self.desk.change(call) as change:
            change.tenant = log_of(change.tx, owner, call.who)
            image = self._new(change, new, owner, call.who.user_id, call.request_id)
            change.object = f"image/{image.id}"
        return image

    def create_from(
        self, project_id: str, user_id: str, new: NewImage, request_id: str, keep: Callable[[Tx], None] | None = None
    ) -> Image:
        """A queued image that another service will fill with `upload`; `keep` writes more rows in its transaction."""
        with self.desk.system("image:create", "", project_id, request_id) as change:
            image = self._new(change, new, project_id, user_id, request_id)
            change.object = f"image/{image.id}"
            if keep is not None:
                keep(change.tx)
        return image

    def create_within(self, tx: Tx, owner: tuple[str, str], new: NewImage, request_id: str) -> Image:
        """The same as part of the caller's transaction; `owner`: project and user."""
        with self.desk.within(tx, "image:create", "", owner[0], request_id) as change:
            image = self._new(change, new, owner[0], owner[1], request_id)
            change.object = f"image/{image.id}"
        return image

    def _new(self, change: Change, new: NewImage, owner: str, user_id: str, request_id: str) -> Image:
        image_id = new.id or self.desk.ids.dashed()
        if IMAGES.find(change.tx, id=image_id) is not None:
            raise Conflict(f"Image ID {image_id} already exists!", "image")
        image = Image(
            id=image_id, project_id=owner, user_id=user_id, name=new.name, visibility=new.visibility,
            disk_format=new.disk_format, container_format=new.container_format, min_disk=new.min_disk,
            min_ram=new.min_ram, protected=new.protected, os_hidden=new.os_hidden, created_us=change.now_us,
            updated_us=change.now_us, tags=list(new.tags), properties=dict(new.properties), keeper=owner,
            state="active" if new.bare else "queued", size=0 if new.bare else None, since_us=change.now_us,
            request_id=request_id,
        )  # fmt: skip
        IMAGES.insert(change.tx, image)
        store.put_words(change.tx, image.id, image.tags, image.properties)
        return image

    def change(self, call: Call[Any], image: Image, wish: Callable[[Image], Mapping[str, Any]]) -> Image:
        """Set the columns that `wish` makes of the row as it is by then, `tags` and `properties` whole; what it raises
        leaves all as it was."""
        with self.changing(call, image) as (change, now):
            columns = wish(now)
            IMAGES.update(change.tx, {"id": image.id}, **columns)
            if "tags" in columns or "properties" in columns:
                tags, properties = columns.get("tags", now.tags), columns.get("properties", now.properties)
                store.put_words(change.tx, image.id, tags, properties)
        return self.get(image.id)

    def delete(self, call: Call[Any], image: Image) -> None:
        """Gone for clients at once; a worker removes the bytes. Denied reason `protected`."""
        with self.changing(call, image) as (change, now):
            if now.protected:
                raise Denied(f"Image {image.id} is protected and cannot be deleted.", "protected")
            self._leave(change, now, call.request_id)

    def remove(self, image_id: str, request_id: str) -> None:
        """The same for another service; an image that is gone is left alone."""
        image = IMAGES.find(self.desk.db, id=image_id, gone=0)
        if image is None:
            return
        with self.desk.system("image:delete", f"image/{image_id}", image.project_id, request_id) as change:
            self._leave(change, image, request_id)

    @staticmethod
    def _leave(change: Change, image: Image, request_id: str) -> None:
        IMAGES.update(change.tx, {"id": image.id}, gone=1, request_id=request_id)
        if not lifecycle.begin(change.tx, "image", image.id, (RESTING, "deleting"), change.now_us):
            lifecycle.signal(change.tx, "image", image.id, "delete", change.now_us)

    def move(self, call: Call[Any], image: Image, sources: Sequence[str], state: str, **columns: Any) -> Image:
        """Into another state. Conflict reason `state`."""
        with self.changing(call, image) as (change, now):
            moved = lifecycle.begin(
                change.tx, "image", image.id, (tuple(sources), state), change.now_us, request_id=call.request_id
            )  # fmt: skip
            if not moved:
                raise wrong_state(now, sources)
            if columns:
                IMAGES.update(change.tx, {"id": image.id}, **columns)
            if state not in WORKING:
                IMAGES.update(change.tx, {"id": image.id}, due_us=None)
        return self.get(image.id)

    def begin_import(self, call: Call[Any], image: Image, method: str, uri: str, body: dict[str, Any]) -> Image:
        """Let a worker import the data; a task of the image tells how it goes. Conflict reason `state`."""
        sources = ("uploading",) if method == "glance-direct" else ("queued",)
        with self.changing(call, image) as (change, now):
            wish = {"method": method, "uri": uri, "task": self.desk.ids.dashed()}
            columns = {"request_id": call.request_id, "wish": IMAGES.encode("wish", wish)}
            if not lifecycle.begin(change.tx, "image", image.id, (sources, "importing"), change.now_us, **columns):
                raise wrong_state(now, sources)
            task = Task(
                wish["task"], image.id, image.project_id, call.who.user_id, call.request_id, "pending", "",
                {"image_id": image.id, "import_req": body, "backend": [STORE]}, change.now_us, change.now_us,
            )  # fmt: skip
            TASKS.insert(change.tx, task)
        return self.get(image.id)

    def sweep(self) -> bool:
        """Queue the images again whose upload was never ended; False: no more is waiting."""
        old = self.desk.clock.now_us() - STALE_SECONDS * US
        for state in ("saving", "staging"):
            for image in IMAGES.select(self.desk.db, {"state": state, "gone": 0}):
                if image.since_us < old:
                    self.back(image.id, state, image.request_id)
        return False

    def back(self, image_id: str, state: str, request_id: str) -> None:
        """A body did not come to its end: the image is queued again, if it is still in that state."""
        image = IMAGES.find(self.desk.db, id=image_id, gone=0)
        if image is None or image.state != state:
            return
        with self.desk.system("image:upload_failed", f"image/{image_id}", image.project_id, request_id) as change:
            lifecycle.begin(change.tx, "image", image_id, (state, "queued"), change.now_us)
            IMAGES.update(change.tx, {"id": image_id}, due_us=None)

    # --- bytes

    def room(self, image: Image, length: int | None) -> int:
        """How many bytes may come for an image. OverQuota reason `size`."""
        left = self.limits.project - store.used(self.desk.db, image.project_id)
        most = min(self.limits.image, left)
        if most <= 0 or (length is not None and length > most):
            raise OverQuota(
                f"Image {image.id} would pass a limit: one image may have {self.limits.image} bytes and all of the "
                f"project's {self.limits.project}, of which {max(left, 0)} are left", "size"
            )  # fmt: skip
        return most

    def read(self, image: Image, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes of an image that is stored."""
        return self.content.read(image.keeper, image.blob, start, stop)

    def open(self, image_id: str) -> Reading:
        """A file-like reader of an image's bytes. NotFound reason `data` while there are none."""
        image = self.get(image_id)
        if not image.blob:
            raise NotFound(f"image {image_id} has no data", "data")
        return Reading(self.read(image), image.size or 0)

    def upload(self, image_id: str, body: Readable, length: int | None, request_id: str) -> Image:
        """Fill a queued image of `create_from`, in its disk format; one that is filled already is left alone. Made by
        this host itself, so that it is active at once."""
        image = self.get(image_id)
        if image.blob:
            return image
        now = self.desk.clock.now_us
        self.content.store(image, body, (self.room(image, length), length), request_id, ("active", now))
        return self.get(image_id)

    def hide(self, image_id: str, request_id: str) -> None:
        """Out of lists, still there for who knows its id: another has taken its place."""
        image = self.get(image_id)
        with self.desk.system("image:hide", f"image/{image_id}", image.project_id, request_id) as change:
            IMAGES.update(change.tx, {"id": image_id}, os_hidden=1, updated_us=change.now_us)

    def fail(self, image_id: str, why: str, request_id: str) -> None:
        """An image that another service could not fill."""
        image = IMAGES.find(self.desk.db, id=image_id, gone=0)
        if image is None or image.blob:
            return
        with self.desk.system("image:fail", f"image/{image_id}", image.project_id, request_id) as change:
            IMAGES.update(change.tx, {"id": image_id}, state="killed", fault=why)
            store.mark(change.tx, image_id, {FAULT: why})


def no_image(image_id: str) -> NotFound:
    """The error of an image that is not there, or that the caller may not know of."""
    return NotFound(f"Failed to find image {image_id}", "image")


def wrong_state(image: Image, wanted: Sequence[str]) -> Conflict:
    """The error of an image that is not ready for what is asked."""
    words = " or ".join(wanted)
    return Conflict(f"Image {image.id} is {image.status}; for this it must be {words}", "state")


def log_of(tx: Tx, owner: str, actor: Actor) -> str:
    """Whose log the event of a change goes to: the owner's, or the caller's where the owner is no project that ever
    did anything."""
    return owner if owner == actor.project_id or begun(tx, owner) else ""


def with_member(image: Image, member_id: str, now_us: int) -> Member:
    """A project that has not yet answered."""
    return Member(image.id, member_id, "pending", now_us, now_us)


def answered(member: Member, status: str, now_us: int) -> Member:
    """The same with its answer."""
    return dataclasses.replace(member, status=status, updated_us=now_us)
