"""The image service with its API and its worker in one process; what the worker looks at is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from andromede.db import Database
from andromede.images import lifecycle
from andromede.images.bases import Bases
from andromede.log import Log
from andromede.web.call import HttpRequest
from andromede.work.runner import Runner, Tools
from tests.support.clock import FakeClock, FakeIds
from tests.support.cloud import Answer, ask
from tests.support.hosted_api import Hosted
from tests.support.pictures import ToldDownloader, ToldInspector

OCTETS = "application/octet-stream"
V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"


class Gallery:
    """Short-hands for requests below /image; `who` is a token, the member's without one."""

    def __init__(self, db: Database, data: Path, clock: FakeClock) -> None:
        self.cloud = Hosted(db, data, clock)
        self.clock = clock
        site = self.cloud.site
        self.images = site.images
        self.inspector, self.downloader = ToldInspector(), ToldDownloader()
        self.bases = Bases(data / "bases", self.inspector, lambda: site.images)
        self.host = lifecycle.Host(
            site.desk, site.images, site.images.content, self.inspector, self.downloader, self.bases
        )
        tools = Tools(db, clock, FakeIds(), Log(self.cloud.log, clock=clock), site.base.recorder, "host:1")
        self.runner = Runner(tools, [lifecycle.images(self.host)])

    def close(self) -> None:
        self.cloud.site.close()

    def send(
        self, method: str, path: str, body: bytes = b"", who: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Any request, its answer whole."""
        path, _, query = path.partition("?")
        sent = {"x-auth-token": self.cloud.member if who is None else who, **(headers or {})}
        request = HttpRequest(method, f"/image{path}".encode(), query.encode(), sent, body)
        return ask(self.cloud.api, request, self.cloud.log)

    def do(self, method: str, path: str, body: Any = None, who: str | None = None, **headers: str) -> Answer:
        """A request with a JSON body."""
        raw = b"" if body is None else json.dumps(body).encode()
        kind = {"content-type": headers.pop("kind", "application/json")}
        return self.send(method, path, raw, who, kind | headers)

    def get(self, path: str, who: str | None = None) -> Any:
        answer = self.do("GET", path, who=who)
        assert answer.status == 200, answer.raw
        return answer.json

    def make(self, who: str | None = None, **fields: Any) -> dict[str, Any]:
        """A queued image."""
        body = {"name": "one", "disk_format": "raw", "container_format": "bare", **fields}
        answer = self.do("POST", "/v2/images", body, who)
        assert answer.status == 201, answer.raw
        made: dict[str, Any] = answer.json
        return made

    def fill(self, image: dict[str, Any], data: bytes, who: str | None = None, where: str = "file") -> Answer:
        """Upload its bytes."""
        return self.send("PUT", f"/v2/images/{image['id']}/{where}", data, who, {"content-type": OCTETS})

    def filled(self, data: bytes = b"bytes of an image", who: str | None = None, **fields: Any) -> dict[str, Any]:
        """An active image."""
        image = self.make(who, **fields)
        answer = self.fill(image, data, who)
        assert answer.status == 204, answer.raw
        self.runner.settle()
        return self.show(image, who)

    def show(self, image: dict[str, Any], who: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v2/images/{image['id']}", who)
        return found

    def status(self, method: str, path: str, body: Any = None, who: str | None = None, **headers: str) -> int:
        return self.do(method, path, body, who, **headers).status

    def patch(
        self, image: dict[str, Any], *operations: dict[str, Any], who: str | None = None, kind: str = V21
    ) -> Answer:
        return self.do("PATCH", f"/v2/images/{image['id']}", list(operations), who, kind=kind)

    def names(self, query: str = "", who: str | None = None) -> list[str]:
        """The names of a list, in its order."""
        return [image["name"] for image in self.get(f"/v2/images{query}", who)["images"]]
