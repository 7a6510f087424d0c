"""The API port with block storage on twins, and the host role's runner on the calling thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.app.hosting import volumes as hosting_volumes
from andromede.db import Database
from andromede.identity import passwords
from andromede.log import Log
from andromede.volumes import backup_lifecycle, lifecycle
from andromede.volumes.disks import Disks
from andromede.work.runner import Runner, Tools
from tests.support.clock import FakeClock
from tests.support.cloud import Answer
from tests.support.disks import Twins
from tests.support.hosted_api import Hosted

NEWEST = "3.71"


class Cinder:
    """Calls of three tenants; `settle` lets the host role do what is due."""

    def __init__(self, db: Database, folder: Path, clock: FakeClock, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "twins"
        self.folder.mkdir()
        self.made: list[Twins] = []
        patch.setattr(hosting_volumes, "disks", self._disks)
        patch.setattr(hosting_volumes, "pictures", lambda site: self.twins(site).pictures)
        self.hosted = Hosted(db, folder / "data", clock)
        self.db, self.clock = db, clock
        site = self.hosted.site
        self.project = self.hosted.project_id
        self.volumes = site.volumes
        twins = self.twins(site)
        host = twins.host(twins.engine)
        self.host = type(host)(site.desk, site.disks, twins.pictures, twins.guests, twins.vault)
        lifecycles: list[Any] = [
            lifecycle.volumes(self.host),
            lifecycle.snapshots(self.host),
            backup_lifecycle.backups(self.host),
        ]
        base = site.base
        tools = Tools(db, clock, base.ids, Log(self.hosted.log, clock=clock), base.recorder, "host:1")
        self.runner = Runner(tools, lifecycles)

    @property
    def twin(self) -> Twins:
        return self.made[0]

    def twins(self, site: Any) -> Twins:
        if not self.made:
            self.made.append(Twins(site.base.db, site.base.clock, site.base.ids, self.folder))
        return self.made[0]

    def _disks(self, site: Any) -> Disks:
        return Disks(site.desk, site.keys, lambda: self.twins(site).engine)

    def settle(self, seconds: float = 30.0) -> None:
        """Until nothing is due within these seconds."""
        for _ in range(int(seconds)):
            self.runner.settle()
            self.clock.advance(1.0)
        self.runner.settle()

    def call(
        self, method: str, path: str, body: Any = None, who: str = "member", version: str = "3.0", **wants: int
    ) -> Answer:
        """A call below the project; `status` says what must come back."""
        token = getattr(self.hosted, who)
        headers = {"openstack-api-version": f"volume {version}"}
        answer = self.hosted.call(method, f"/volume/v3{path}", token, body, headers)
        if "status" in wants:
            assert answer.status == wants["status"], f"{method} {path} {body}: {answer.status} {answer.raw[:400]!r}"
        return answer

    def get(self, path: str, **words: Any) -> Any:
        return self.call("GET", path, status=200, **words).json

    def volume(self, who: str = "member", version: str = "3.0", **fields: Any) -> dict[str, Any]:
        """A new volume, once it rests."""
        made = self.call(
            "POST", "/volumes", {"volume": {"size": 1, **fields}}, who=who, version=version, status=202
        ).json["volume"]  # fmt: skip
        self.settle(2)
        return dict(self.get(f"/volumes/{made['id']}", who=who, version=version)["volume"])

    def act(self, volume_id: str, action: str, value: Any = None, **words: Any) -> Answer:
        return self.call("POST", f"/volumes/{volume_id}/action", {action: value if value is not None else {}}, **words)

    def state(self, path: str) -> str:
        found = self.get(path, who="admin")
        return str(next(iter(found.values()))["status"])


@pytest.fixture
def cinder(db: Database, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cinder]:
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    made = Cinder(db, tmp_path, clock, monkeypatch)
    yield made
    made.hosted.site.close()
