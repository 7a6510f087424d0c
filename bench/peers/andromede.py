"""This program as its own peer, in a fresh data directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.peers.base import PLAIN, WORKERS, Login, make_bucket
from tests.support.installation import ROOT, Installation
from tests.support.processes import processes, with_children
from tests.support.sigv4 import Signer


class Andromede:
    """This program, through its S3 door, with everything on."""

    name = "andromede"
    dialect = "s3"
    prefix = "/bench"
    durability = "flushed (data, row, audit event) before the answer; encrypted; one copy"
    unhashed = "/bench-opaque"

    def __init__(self, source: Path = ROOT / "src", settings: Mapping[str, Any] | None = None) -> None:
        self.cloud: Installation | None = None
        self.source = source
        self.settings = {"server.object_workers": WORKERS, **(settings or {})}
        self.version = f"Andromède of {source.parent.name}" if source != ROOT / "src" else "Andromède, this commit"

    def start(self, scratch: Path) -> None:
        self.cloud = Installation(scratch / "andromede", settings=self.settings, source=self.source)
        self.cloud.start()
        self.signer = Signer.of(self.cloud.s3)
        make_bucket(self)
        answer = httpx.put(
            f"http://{self.address}{self.unhashed}",
            headers={**self.headers("PUT", self.unhashed), "x-andromede-etag": "opaque"},
            **PLAIN,
        )
        assert answer.status_code == 200, answer.text[:300]

    def stop(self) -> None:
        if self.cloud is not None:
            self.cloud.stop()

    def pids(self) -> set[int]:
        assert self.cloud is not None
        return with_children(list(processes(self.cloud.data)))

    @property
    def address(self) -> str:
        assert self.cloud is not None
        return self.cloud.objects

    @property
    def login(self) -> Login:
        assert self.cloud is not None
        auth, url = self.cloud.clouds["andromede"]["auth"], urlsplit(self.cloud.identity_url)
        return Login(url.netloc, f"{url.path}/v3", auth["username"], auth["password"], auth["project_name"])

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return self.signer.headers(method, target, {"host": self.address, **more})
