"""From the API's answer to a port that is wired: an installation with the kernel's own fabric, over HTTP.

    python -m bench.hosting_wired [--ports 10,100] [--times 25]

Each port is created bound to this host, as Nova's are; told are the time until the API has accepted it, and from there
until its status says that its tap is in the bridge and its rules are in force (asked every 3 ms). As root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from andromede.engines.linux import names
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from tests.support import fabric as f
from tests.support.hosted import settings
from tests.support.installation import Installation, wait_until
from tests.support.keystone import Keystone

POLL_SECONDS = 0.003


class Cloud:
    """The administrator of an installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation, self.admin = installation, Keystone.admin(installation)
        made = self.make("network", name="bench")
        self.network = str(made["id"])
        self.call("PUT", f"quotas/{made['project_id']}", {"quota": {"port": -1}})
        self.make("subnet", network_id=self.network, ip_version=4, cidr="10.0.0.0/16")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"http://{self.installation.api}/network/v2.0/{path}"
        found = self.admin.http.request(method, url, json=body, headers={"X-Auth-Token": self.admin.token})
        assert found.status_code < 300, found.text
        return found.json() if found.content else {}

    def make(self, word: str, **values: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.call("POST", f"{word}s", {word: values})[word]
        return found

    def port(self) -> str:
        return str(self.make("port", network_id=self.network, device_id="bench", device_owner="bench:port",
                             **{"binding:host_id": socket.gethostname()})["id"])  # fmt: skip

    def wired(self, port: str) -> bool:
        return bool(self.call("GET", f"ports/{port}?fields=status")["port"]["status"] == "ACTIVE")


def timed(cloud: Cloud, times: int) -> tuple[list[float], list[float]]:
    """Milliseconds until accepted, and from there until wired."""
    accepted, wired = [], []
    for _ in range(times):
        begun = time.perf_counter()
        port = cloud.port()
        at = time.perf_counter()
        while not cloud.wired(port):
            time.sleep(POLL_SECONDS)
        wired.append((time.perf_counter() - at) * 1000)
        accepted.append((at - begun) * 1000)
        cloud.call("DELETE", f"ports/{port}")
        time.sleep(0.2)  # its end is not what is measured
    return accepted, wired


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", default="10,100")
    parser.add_argument("--times", type=int, default=25)
    wished = parser.parse_args()
    if why := f.why_not():
        raise SystemExit(f"cannot be measured here: {why}")
    runtime = Path(tempfile.mkdtemp(prefix="an-", dir="/run"))
    os.chmod(runtime, 0o755)
    more = {key.replace(".", "__"): value for key, value in settings().items()}
    more |= {"hosting__runtime": str(runtime), "hosting__images": ""}
    with Installation.fresh(**more) as installation:
        cloud = Cloud(installation)
        there: list[str] = []
        print("| ports | accepted, ms: median (p90) | then wired, ms: median (p90) |\n|---|---|---|")
        for count in map(int, wished.ports.split(",")):
            there += [cloud.port() for _ in range(count - len(there))]
            wait_until("all are wired", lambda: all(map(cloud.wired, there[-2:])), 120)  # noqa: B023
            cells = [f"{statistics.median(one):.0f} ({statistics.quantiles(one, n=10)[-1]:.0f})"
                     for one in timed(cloud, wished.times)]  # fmt: skip
            print(f"| {count} | {' | '.join(cells)} |", flush=True)
        short = names.short(json.loads((installation.data / "installation.json").read_text())["id"], 6)
    fabric = LinuxFabric(Host(short, runtime / short))
    for part_id in sorted(fabric.listing(), key=lambda one: one == "outside"):
        fabric.remove(part_id)
    shutil.rmtree(installation.data, ignore_errors=True)
    shutil.rmtree(runtime, ignore_errors=True)


if __name__ == "__main__":
    main()
