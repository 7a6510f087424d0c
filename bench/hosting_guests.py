"""What the way to a running guest costs beside starting the same QEMU by hand with the same disk preparation.

    python -m bench.hosting_guests [--rounds 7] [--servers 5] [--side-by-side 10]

Each round prepares an encrypted disk and starts a guest of it once through the hypervisor engine and once by hand (the
same command line, no user of its own, `cont` over the monitor), in turns; both end when the guest runs. Then, on an
installation with the image `tiny`: how long a create is accepted, from there to the guest running, and to the guest's
own word `ready` on its serial line, beside a QEMU of the same disk and size by hand. Last: guests side by
side. As root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from andromede.compute.engine import Guest
from andromede.engines.qemu import command
from andromede.engines.qemu.place import Place
from andromede.engines.qemu.qmp import Monitor
from tests.support.hosted import Preparer, settings
from tests.support.installation import Installation, wait_until
from tests.support.qemu import Rig, rig

MIB = 1 << 20


def ms(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def by_engine(made: Rig) -> float:
    """Milliseconds from nothing to a guest that runs, by the engine."""
    guest: list[Guest] = []

    def act() -> None:
        guest.append(made.guest(made.disk(64 * MIB), memory_mb=192))
        made.qemu.ensure(guest[0])
        seen = made.qemu.observe(guest[0].id)
        assert seen is not None and seen.power == "running"

    took = ms(act)
    made.qemu.remove(guest[0].id)
    return took


class ByHand:
    """One QEMU without an engine."""

    def __init__(self, made: Rig, folder: Path) -> None:
        self.made, self.place = made, Place(folder)
        self.place.sockets.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, disk: str) -> None:
        guest = self.made.guest(disk, memory_mb=192)
        line = command.begin(guest, self.made.qemu.seat.accelerator(), self.place)
        command.add_disk(line, guest.disks[0], self.made._open(disk))
        self.process = subprocess.Popen(line.argv, pass_fds=line.fds, stdin=subprocess.DEVNULL)
        line.close()
        while True:
            with contextlib.suppress(Exception), Monitor(self.place.qmp, os.getuid()) as monitor:
                monitor.run("cont")
                assert monitor.status() == "running"
                return
            time.sleep(0.005)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.place.folder)


def by_hand(made: Rig, folder: Path) -> float:
    hand = ByHand(made, folder)
    took = ms(lambda: hand.start(made.disk(64 * MIB)))
    hand.end()
    return took


def told(name: str, ours: list[float], bare: list[float]) -> None:
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    print(
        f"{name}: {statistics.median(ours):.0f} ms beside {statistics.median(bare):.0f} ms by hand, "
        f"median of the rounds' ratios {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def engine(rounds: int) -> None:
    ours, bare = [], []
    with rig() as made:
        by_engine(made)  # what is learnt once: the accelerator, the folders
        for turn in range(rounds):
            steps = [lambda: ours.append(by_engine(made)), lambda: bare.append(by_hand(made, made.folder / "hand"))]
            for step in steps if turn % 2 else reversed(steps):
                step()
    told("disk and process to running, engine", ours, bare)


class Cloud:
    """An installation with the image `tiny`."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.hand = Preparer(installation, folder)
        self.image = self.hand.image("tiny")
        flavors = self.hand.ask("GET", "compute", "/flavors")["flavors"]
        self.flavor = next(flavor["id"] for flavor in flavors if flavor["name"] == "tiny")
        network = {"network": {"name": "bench"}}
        self.network = self.hand.ask("POST", "network", "/v2.0/networks", network)["network"]["id"]
        subnet = {"subnet": {"network_id": self.network, "ip_version": 4, "cidr": "10.0.0.0/24"}}
        self.hand.ask("POST", "network", "/v2.0/subnets", subnet)

    def create(self) -> str:
        wish = {
            "name": "b",
            "imageRef": self.image["id"],
            "flavorRef": self.flavor,
            "networks": [{"uuid": self.network}],
        }
        return str(self.hand.ask("POST", "compute", "/servers", {"server": wish})["server"]["id"])

    def active(self, server: str) -> bool:
        found = self.hand.ask("GET", "compute", f"/servers/{server}")["server"]
        assert found["status"] != "ERROR", found["fault"]
        return bool(found["status"] == "ACTIVE")

    def ready(self, server: str) -> bool:
        asked = {"os-getConsoleOutput": {}}
        return "ready" in self.hand.ask("POST", "compute", f"/servers/{server}/action", asked)["output"]

    def delete(self, server: str) -> None:
        self.hand.ask("DELETE", "compute", f"/servers/{server}")
        wait_until("it is gone", lambda: all(
            one["id"] != server for one in self.hand.ask("GET", "compute", "/servers")["servers"]))  # fmt: skip


def whole(cloud: Cloud, servers: int, folder: Path) -> None:
    file = folder / "tiny.qcow2"
    file.write_bytes(cloud.hand.ask("GET", "image", f"/v2/images/{cloud.image['id']}/file"))
    accepted, running, ready, bare = [], [], [], []
    with rig() as made:
        for _ in range(servers):
            begun = time.perf_counter()
            server = cloud.create()
            accepted.append((time.perf_counter() - begun) * 1000)
            wait_until("it runs", lambda: cloud.active(server), 120, 0.01)  # noqa: B023
            running.append((time.perf_counter() - begun) * 1000)
            wait_until("it is ready", lambda: cloud.ready(server), 300, 0.05)  # noqa: B023
            ready.append((time.perf_counter() - begun) * 1000)
            cloud.delete(server)
            bare.append(_raw(made, file))
    print(f"create accepted: p50 {statistics.median(accepted):.0f} ms; to ACTIVE {statistics.median(running):.0f} ms")
    told("create to the guest's word ready", ready, bare)


def _raw(made: Rig, file: Path) -> float:
    """Milliseconds until a guest of the same image says ready, by hand: the image copied into an encrypted disk."""
    from andromede.volumes.engine import Disk, Source
    from tests.support.qemu import IDS

    hand = ByHand(made, made.folder / "raw")

    def act() -> None:
        disk = made.disks[made.disk(MIB)]
        full = replace(disk, id=IDS.dashed(), size=1 << 30, base=Source(file))
        made.disks[full.id] = Disk(full.id, full.size, full.passphrase, full.base)
        made.engine.ensure(made.disks[full.id])
        hand.start(full.id)
        wait_until("it is ready", lambda: b"ready" in hand.place.console.read_bytes(), 300, 0.05)

    took = ms(act)
    hand.end()
    return took


def side_by_side(cloud: Cloud, count: int) -> None:
    begun = time.perf_counter()
    servers = [cloud.create() for _ in range(count)]
    for server in servers:
        wait_until("it runs", lambda: cloud.active(server), 300, 0.05)  # noqa: B023
    running = time.perf_counter() - begun
    for server in servers:
        wait_until("it is ready", lambda: cloud.ready(server), 900, 0.2)  # noqa: B023
    print(
        f"{count} guests side by side: running after {running:.1f} s, ready after {time.perf_counter() - begun:.1f} s"
    )
    for server in servers:
        cloud.delete(server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--servers", type=int, default=5)
    parser.add_argument("--side-by-side", type=int, default=10)
    args = parser.parse_args()
    engine(args.rounds)
    if not args.servers:
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-guests-"))
    chosen = {name.replace(".", "__"): value for name, value in settings().items()}
    with Installation.fresh(**chosen) as installation:
        cloud = Cloud(installation, folder)
        whole(cloud, args.servers, folder)
        if args.side_by_side:
            side_by_side(cloud, args.side_by_side)
    shutil.rmtree(folder)
    shutil.rmtree(installation.data)


if __name__ == "__main__":
    main()
