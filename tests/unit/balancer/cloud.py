"""An installation whose load balancers stand on memory: API, lifecycle and health in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from andromede.app.hosting import balancer as wiring
from andromede.audit import Recorder
from andromede.balancer import parts
from andromede.balancer.health import Health
from andromede.balancer.lifecycle import lifecycle
from andromede.balancer.service import Balancers
from andromede.db import Database
from andromede.engines.memory_balancer import MemoryCarrier
from andromede.work.runner import Runner, Tools
from tests.support.balancers import SUBNET, MemoryCertificates, MemoryVips
from tests.support.clock import FakeClock
from tests.support.cloud import Answer
from tests.support.hosted_api import Hosted

ROOT = "/load-balancer/v2.0/lbaas"


class Balanced:
    """`settle` lets the worker work; `look` is a turn of the health reconciler."""

    def __init__(self, db: Database, data: Path, clock: FakeClock) -> None:
        self.carrier, self.vips = MemoryCarrier(), MemoryVips()
        with pytest.MonkeyPatch.context() as patch:
            certificates = MemoryCertificates()
            patch.setattr(wiring, "service", lambda site: Balancers(site.desk, self.vips, certificates, site.host))
            self.hosted = Hosted(db, data, clock)
        hosted, site = self.hosted, self.hosted.site
        wish = parts.wish(db, certificates)
        tools = Tools(db, clock, site.base.ids, site.base.log, Recorder("host-0", clock, site.base.ids), "host:1")
        self.runner = Runner(tools, [lifecycle(wish, self.carrier, self.vips)])
        self.health = Health(site.desk, self.carrier, site.host, site.base.log)
        self.db, self.clock, self.member, self.admin = db, clock, hosted.member, hosted.admin

    def close(self) -> None:
        self.hosted.site.close()

    def settle(self) -> None:
        """Until every load balancer rests."""
        for _ in range(5):
            self.runner.settle()
            self.clock.advance(1)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Answer:
        return self.hosted.call(method, ROOT + path, token or self.member, body)

    def make(self, path: str, key: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """POST, and the worker's work; what was made."""
        answer = self.call("POST", path, {key: body}, token)
        assert answer.status == 201, answer.raw
        self.settle()
        return dict(answer.json[key])

    def get(self, path: str, token: str = "") -> Any:
        answer = self.call("GET", path, None, token)
        assert answer.status == 200, answer.raw
        return answer.json

    def balancer(self, **more: Any) -> str:
        return str(self.make("/loadbalancers", "loadbalancer", {"name": "lb", "vip_subnet_id": SUBNET, **more})["id"])

    def listener(self, balancer: str, port: int = 80, protocol: str = "HTTP", **more: Any) -> str:
        body = {"loadbalancer_id": balancer, "protocol": protocol, "protocol_port": port, **more}
        return str(self.make("/listeners", "listener", body)["id"])

    def pool(self, balancer: str, protocol: str = "HTTP", **more: Any) -> str:
        body = {"loadbalancer_id": balancer, "protocol": protocol, "lb_algorithm": "ROUND_ROBIN", **more}
        return str(self.make("/pools", "pool", body)["id"])

    def server(self, pool: str, address: str, port: int = 80, **more: Any) -> str:
        body = {"address": address, "protocol_port": port, **more}
        return str(self.make(f"/pools/{pool}/members", "member", body)["id"])
