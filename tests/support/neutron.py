"""The Networking API in process, with short words for what tests do often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from andromede.db import Database
from andromede.engines.memory_network import MemoryFabric
from andromede.network.lifecycle import Watch, Wiring
from andromede.network.parts import Place
from andromede.work.runner import Runner, Tools
from tests.support.clock import FakeClock
from tests.support.cloud import Answer
from tests.support.hosted_api import Hosted


class Neutron:
    """`member`, `other`, `reader` and `admin` are callers; without a word, it is the member."""

    def __init__(self, db: Database, data: Path, clock: FakeClock) -> None:
        self.hosted = Hosted(db, data, clock)
        self.db, self.clock = db, clock
        self.site = self.hosted.site
        self.networks = self.site.networks
        self.core = self.networks.core
        self.fabric = MemoryFabric()
        place = Place(self.core.host, self.core.settings)
        self.wiring = Wiring(db, self.fabric, place, clock)
        base = self.site.base
        tools = Tools(db, clock, base.ids, base.log, base.recorder, "host:1")
        self.runner = Runner(tools, [self.wiring.lifecycle()])
        self.watch = Watch(self.wiring, clock, base.log)

    def close(self) -> None:
        self.fabric.close()
        self.site.close()

    def settle(self) -> None:
        """Until every part rests; time goes on where steps wait."""
        for _ in range(50):
            self.runner.settle()
            rows = self.db.all("SELECT due_us FROM network_part WHERE due_us IS NOT NULL")
            if not rows:
                return
            self.clock.us = max(self.clock.us, min(int(row[0]) for row in rows))
        raise AssertionError(f"parts do not come to rest: {self.db.all('SELECT * FROM network_part')}")

    def part(self, part_id: str) -> Any:
        """What the fabric carries of a network or router, None when nothing."""
        return self.fabric.parts.get(part_id)

    def token(self, who: str) -> str:
        return str(getattr(self.hosted, who))

    def call(self, method: str, path: str, body: Any = None, who: str = "member", **headers: str) -> Answer:
        return self.hosted.call(method, f"/network/v2.0/{path}", self.token(who), body, headers)

    def ok(self, method: str, path: str, body: Any = None, who: str = "member") -> Any:
        """The one member of an answer that must be a success."""
        answer = self.call(method, path, body, who)
        wanted = {"GET": (200, 204), "POST": (201,), "PUT": (200, 201), "DELETE": (204,)}[method]
        assert answer.status in wanted, f"{method} {path}: {answer.status} {answer.raw!r}"
        if not answer.raw:
            return None
        found = {name: value for name, value in answer.json.items() if not name.endswith("_links")}
        return next(iter(found.values())) if len(found) == 1 else found

    def no(self, status: int, kind: str, method: str, path: str, body: Any = None, who: str = "member") -> str:
        """A refusal with this status and type; its message."""
        answer = self.call(method, path, body, who)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.raw!r}"
        error = answer.json["NeutronError"]
        assert set(error) == {"type", "message", "detail"}
        assert error["type"] == kind, error
        return str(error["message"])

    def make(self, plural: str, who: str = "member", **values: Any) -> dict[str, Any]:
        """POST one object; attributes with a colon are given with two underscores."""
        singular = {"rbac-policies": "rbac_policy"}.get(plural, plural[:-1].replace("-", "_"))
        body = {name.replace("__", ":"): value for name, value in values.items()}
        found: dict[str, Any] = self.ok("POST", plural, {singular: body}, who)
        return found

    def network(self, who: str = "member", **values: Any) -> str:
        return str(self.make("networks", who, **values)["id"])

    def subnet(self, network_id: str, cidr: str = "10.0.0.0/24", who: str = "member", **values: Any) -> dict[str, Any]:
        version = 6 if ":" in cidr else 4
        return self.make("subnets", who, network_id=network_id, cidr=cidr, ip_version=version, **values)

    def port(self, network_id: str, who: str = "member", **values: Any) -> dict[str, Any]:
        return self.make("ports", who, network_id=network_id, **values)

    def get(self, path: str, who: str = "member") -> Any:
        return self.ok("GET", path, who=who)

    def put(self, plural: str, object_id: str, who: str = "member", **values: Any) -> Any:
        singular = {"rbac-policies": "rbac_policy"}.get(plural, plural[:-1].replace("-", "_"))
        body = {name.replace("__", ":"): value for name, value in values.items()}
        return self.ok("PUT", f"{plural}/{object_id}", {singular: body}, who)

    def guest(self, network_id: str, device: str = "server-1", **values: Any) -> dict[str, Any]:
        """A port that is plugged into a guest on this host."""
        port = self.port(network_id, **values)
        self.networks.bind(port["id"], device, self.core.host, "req-bind", 20001)
        found: dict[str, Any] = self.get(f"ports/{port['id']}")
        return found

    def join(self, router_id: str, subnet_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("PUT", f"routers/{router_id}/add_router_interface", {"subnet_id": subnet_id})
        return found

    def names(self, path: str, who: str = "member") -> list[str]:
        return [one["name"] for one in self.get(path, who)]

    def public(self, cidr: str = "203.0.113.0/24") -> str:
        """A network outside with a range; its id."""
        network_id = self.network("admin", name="public", router__external=True)
        self.subnet(network_id, cidr, "admin", enable_dhcp=False)
        return network_id

    def ips(self, port: dict[str, Any]) -> list[str]:
        return [one["ip_address"] for one in port["fixed_ips"]]
