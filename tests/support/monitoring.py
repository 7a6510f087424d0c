"""A monitor at a tenant's, asking an installation in the same process through a wire that can be tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from andromede.sovereignty.monitor.monitor import Monitor, Options, Round
from andromede.sovereignty.monitor.site import LogSite
from andromede.sovereignty.monitor.views import Limits
from andromede.sovereignty.monitor.wire import Absent, Silent, Site, Wire
from tests.support.clock import FakeClock
from tests.support.tenantlog import TenantLog

Tamper = Callable[[str, int, bytes], tuple[int, bytes]]


class InProcess(Wire):
    """Requests to an API port without a socket. `tamper(path, status, body)` stands between; `asked` is what came."""

    def __init__(self, log: TenantLog, who: str = "demo") -> None:
        super().__init__(Site("http://cloud.example/sovereignty", lambda fresh: "token"))
        self.log, self.who = log, who
        self.tamper: Tamper = lambda path, status, body: (status, body)
        self.asked: list[str] = []

    def ask(self, method: str, path: str, limit: int, *, fresh: bool = False) -> tuple[int, bytes]:
        self.asked.append(path)
        answer = self.log.call(method, path.removeprefix("/v1"), self.who)
        return self.tamper(path, answer.status, answer.raw)


def nobody(url: str, path: str) -> str:
    raise Absent(url + path)


class Tenant:
    """A monitor that is started anew for every round, as by cron."""

    def __init__(self, log: TenantLog, folder: Path, name: str | None = None, who: str = "demo") -> None:
        self.wire = InProcess(log, who)
        self.log, self.folder, self.name = log, folder, name
        self.clock: FakeClock = log.clock
        self.options = Options(ask=nobody)

    def opt(self, **fields: Any) -> None:
        self.options = replace(self.options, **fields)

    def limits(self, **fields: float) -> None:
        self.opt(limits=Limits(**fields))

    def round(self) -> Round:
        with Monitor(LogSite(self.wire, self.name), self.folder, self.clock, self.options) as monitor:
            return monitor.round()

    def kinds(self) -> tuple[int, set[str]]:
        """Exit code and kinds of the findings of one more round, those that are fine to have left out."""
        found = self.round()
        return found.code, {one.kind for one in found.findings} - {"pinned", "unwitnessed"}

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def evidence(self, kind: str) -> dict[str, Any]:
        (path,) = (self.folder / "evidence").glob(f"{kind}-*.json")
        assert path.stat().st_mode & 0o777 == 0o600
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def silence(self) -> None:
        def tamper(path: str, status: int, body: bytes) -> tuple[int, bytes]:
            raise Silent(f"{path}: nobody listens")

        self.wire.tamper = tamper
