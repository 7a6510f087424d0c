"""What one change of a port costs the control plane in networks of 10, 100 and 1,000 ports, on the twin of the fabric.

    python -m bench.hosting_ports [--ports 10,100,1000] [--times 15]

The Networking API and the host role in one process on SQLite, without sockets; the host role's worker runs on the same
thread. CPU of each step is the least of its times; beside it, as medians, statements and thousands of steps of SQLite's
machine, which tell how much is read.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from pathlib import Path

from andromede.db.opening import open_database
from andromede.identity import passwords
from tests.support.clock import FakeClock
from tests.support.meter import Meter
from tests.support.neutron import Neutron


def measure(count: int, times: int) -> dict[str, list[tuple[float, int, int]]]:
    """Figures of each step in a network of `count` ports."""
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1
    with tempfile.TemporaryDirectory(prefix="bench-ports-") as folder:
        database = open_database(f"sqlite:///{folder}/bench.db")
        neutron = Neutron(database, Path(folder) / "data", FakeClock())
        neutron.hosted.base.ids.uniform = random.Random(1).random  # type: ignore[method-assign]
        owner = neutron.hosted.project_id
        neutron.ok("PUT", f"quotas/{owner}", {"quota": {"port": -1}}, "admin")
        network = neutron.network()
        subnet = neutron.subnet(network, "10.0.0.0/16")["id"]
        other = neutron.make("security-groups", name="web")["id"]
        for number in range(count):
            more = {"security_groups": [other]} if number % 10 == 5 else {}
            neutron.guest(network, f"server-{number}", **more)
        neutron.settle()
        meter = Meter(database)
        for number in range(times):
            _one(neutron, meter, (network, subnet, other), number)
        neutron.close()
        database.close()
        return meter.figures


def _one(neutron: Neutron, meter: Meter, at: tuple[str, str, str], number: int) -> None:
    network, subnet, other = at
    networks, host = neutron.networks, neutron.core.host
    body = {"port": {"network_id": network, "name": f"late-{number}"}}
    port = meter("create: API", lambda: neutron.ok("POST", "ports", body))["id"]
    meter("bind: service", lambda: networks.bind(port, f"late-{number}", host, "req", 20001))
    meter("bind: host role", neutron.runner.settle)
    assert networks.is_wired(port)
    change = {"port": {"security_groups": [other], "fixed_ips": [{"subnet_id": subnet}, {"subnet_id": subnet}]}}
    meter("update: API", lambda: neutron.ok("PUT", f"ports/{port}", change))
    meter("update: host role", neutron.runner.settle)
    meter("delete: API", lambda: neutron.ok("DELETE", f"ports/{port}"))
    meter("delete: host role", neutron.runner.settle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", default="10,100,1000")
    parser.add_argument("--times", type=int, default=15)
    wished = parser.parse_args()
    counts = [int(word) for word in wished.ports.split(",")]
    found = {count: measure(count, wished.times) for count in counts}
    print("| CPU ms; statements; SQLite's steps, thousands |", " | ".join(f"{n:,} ports" for n in counts), "|")
    print("|---" * (len(counts) + 1) + "|")
    for what in found[counts[0]]:
        cells = []
        for count in counts:
            columns = list(zip(*found[count][what], strict=True))
            statements, steps = (statistics.median(column) for column in columns[1:])
            cells.append(f"{min(columns[0]):.2f}; {statements:.0f}; {steps / 1000:.1f}")
        print(f"| {what} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
