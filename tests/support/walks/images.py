"""Walks of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.audit.changes import Desk
from andromede.images import lifecycle
from andromede.images.bases import Bases
from andromede.images.content import key_of
from andromede.images.model import IMAGES, MEMBERS, TASKS, Image, Member, Task
from andromede.images.service import Images
from tests.support.lifecycles import Scene, Stage, Walk
from tests.support.pictures import MemoryContent, ToldDownloader, ToldInspector

ID = "000000aa-0000-4000-8000-000000000000"
URL = "http://images.test/one"
QCOW2 = b"QFI\xfb\0\0\0\3" + bytes(16) + (1 << 20).to_bytes(8, "big") + bytes(200)


def image(scene: Scene, state: str, **changes: Any) -> Image:
    now = scene.clock.now_us()
    base: dict[str, Any] = {
        "id": ID, "project_id": "p1", "user_id": "u", "name": "one", "visibility": "shared", "disk_format": "qcow2",
        "container_format": "bare", "created_us": now, "updated_us": now, "keeper": "p1", "state": state,
        "since_us": now, "due_us": now, "request_id": "req-1",
    }  # fmt: skip
    return Image(**base | changes)


def task(scene: Scene) -> Task:
    now = scene.clock.now_us()
    return Task("7a", ID, "p1", "u", "req-1", "pending", "", {}, now, now)


class Site:
    """What a stage stands on."""

    def __init__(self, scene: Scene) -> None:
        self.content = MemoryContent(scene.db)
        self.inspector = ToldInspector()
        self.downloader = ToldDownloader()
        self.downloader.pages[URL] = QCOW2
        desk = Desk(scene.db, scene.clock, scene.ids, scene.recorder)
        content: Any = scene.wrap(self.content, "content.")
        images = Images(desk, content)
        inspector = scene.wrap(self.inspector, "inspector.")
        bases = Bases(scene.folder / "bases", inspector, lambda: images)
        self.host = lifecycle.Host(desk, images, content, inspector, self.downloader, bases)

    def hold(self, image: Image, column: str, data: bytes) -> None:
        self.content.held[image.keeper, key_of(image, column)] = data


def _stage(make: Callable[[Scene, Site], Image], tasks: bool = False) -> Callable[[Scene], Stage]:
    def stage(scene: Scene) -> Stage:
        site = Site(scene)
        row = make(scene, site)
        with scene.db.write() as tx:
            IMAGES.insert(tx, row)
            MEMBERS.insert(tx, Member(ID, "p2", "pending", 1, 1))
            if tasks:
                TASKS.insert(tx, task(scene))

        def looks() -> Any:
            return dict(site.content.held), [(found.status, found.message) for found in TASKS.select(scene.db)]

        def leaks() -> Any:
            left = [*site.content.held, *TASKS.select(scene.db), *MEMBERS.select(scene.db)]
            return left if IMAGES.find(scene.db, id=ID) is None else []

        return Stage(lifecycle.images(site.host), ID, looks, leaks)

    return stage


def _staged(scene: Scene, site: Site) -> Image:
    row = image(scene, "importing", staged=f"{ID}/staged", size=len(QCOW2),
                wish={"method": "glance-direct", "uri": "", "task": "7a"})  # fmt: skip
    site.hold(row, "staged", QCOW2)
    return row


def _fetching(url: str) -> Callable[[Scene, Site], Image]:
    return lambda scene, site: image(
        scene, "importing", wish={"method": "web-download", "uri": url, "task": "7a"}
    )  # fmt: skip


def _uploaded(data: bytes, **changes: Any) -> Callable[[Scene, Site], Image]:
    def make(scene: Scene, site: Site) -> Image:
        row = image(scene, "checking", blob=f"{ID}/blob", size=len(data), **changes)
        site.hold(row, "blob", data)
        return row

    return make


def _leaving(scene: Scene, site: Site) -> Image:
    row = image(scene, "deleting", blob=f"{ID}/blob", staged=f"{ID}/staged", gone=True)
    site.hold(row, "blob", QCOW2)
    site.hold(row, "staged", QCOW2)
    return row


_TIMES = frozenset({"updated_us"})
WALKS = [
    Walk("image", "what was staged", "active", _stage(_staged, True), _TIMES),
    Walk("image", "fetched by URL", "active", _stage(_fetching(URL), True), _TIMES),
    Walk("image", "nothing at the URL", "queued", _stage(_fetching("http://nobody.test/"), True), _TIMES),
    Walk("image", "uploaded", "active", _stage(_uploaded(QCOW2)), _TIMES),
    Walk("image", "uploaded flat", "active", _stage(_uploaded(b"flat" * 50, disk_format="raw")), _TIMES),
    Walk("image", "uploaded in disguise", "killed", _stage(_uploaded(b"flat" * 50)), _TIMES),
    Walk("image", "deleted", "", _stage(_leaving), _TIMES),
]
