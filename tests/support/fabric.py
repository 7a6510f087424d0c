"""Parts for tests of the fabric, and stand-ins for guests: a port of kind HOUSE is a namespace behind all rules."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from andromede.engines.linux import kernel, names
from andromede.engines.linux.fabric import LinuxFabric
from andromede.engines.linux.host import Host
from andromede.engines.linux.leaks import leaks
from andromede.network.engine import (
    HOUSE,
    FixedPart,
    FloatingPart,
    GatewayPart,
    GroupPart,
    LegPart,
    NetworkChange,
    NetworkPart,
    OutsidePart,
    PortPart,
    RouterPart,
    RulePart,
    SubnetPart,
)


def why_not() -> str:
    """Why the real fabric cannot be tried here; empty when it can."""
    if os.geteuid():
        return "needs root (network namespaces)"
    missing = [name for name in ("nft", "dnsmasq", "ip") if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        return "needs a kernel with br_netfilter"
    return ""


def ident(word: str) -> str:
    """A settled id for a word."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, word))


def mac(word: str) -> str:
    digits = uuid.uuid5(uuid.NAMESPACE_URL, word).hex[:6]
    return f"fa:16:3e:{digits[:2]}:{digits[2:4]}:{digits[4:]}"


OPEN = GroupPart(ident("open"), tuple(RulePart(inward, version) for inward in (True, False) for version in (4, 6)))
SHUT = GroupPart(ident("shut"), (RulePart(False, 4), RulePart(False, 6)))


def subnet(word: str, cidr: str = "10.0.0.0/24", **more: Any) -> SubnetPart:
    base = cidr.rpartition("/")[0].removesuffix("0")
    values = {"gateway": f"{base}1", "dhcp_address": f"{base}2", **more}
    return SubnetPart(ident(f"subnet {word}"), cidr, **values)


def port(word: str, address: str, within: SubnetPart, **more: Any) -> PortPart:
    """`address`: one, or several with blanks, of which those with a colon count for the same subnet id too."""
    fixed = tuple(FixedPart(within.id, one) for one in address.split())
    return PortPart(ident(word), mac(word), fixed, **{"kind": HOUSE, "groups": (OPEN.id,), **more})


def network(word: str, subnets: tuple[SubnetPart, ...], ports: tuple[PortPart, ...] = (), **more: Any) -> NetworkPart:
    values = {"groups": (OPEN, SHUT), "generation": 1, **more}
    return NetworkPart(ident(word), mac(f"dhcp {word}"), subnets=subnets, ports=ports, **values)


def leg(word: str, part: NetworkPart, address: str, **more: Any) -> LegPart:
    return LegPart(ident(word), part.id, mac(word), (address,), part.subnets, **more)


def changed(part: Any, **values: Any) -> Any:
    """The next generation of a part."""
    return dataclasses.replace(part, generation=part.generation + 1, **values)


def changed_port(one: PortPart, **values: Any) -> PortPart:
    return dataclasses.replace(one, **values)


@contextlib.contextmanager
def real() -> Iterator[tuple[LinuxFabric, Host]]:
    """A fabric of the kernel for an installation that nobody else has, taken away with all that is left of it."""
    installation = uuid.uuid4().hex[:6]
    with tempfile.TemporaryDirectory(prefix=f"fabric-{installation}-") as folder:
        os.chmod(folder, 0o755)
        host = Host(installation, Path(folder))
        fabric = LinuxFabric(host)
        try:
            yield fabric, host
        finally:
            for part_id in reversed(fabric.listing()):
                fabric.remove(part_id)
            known = [*host.loaded, *host.swept]
            left = leaks(host, [])
            for name in kernel.names(names.prefix(installation)):
                kernel.destroy(name)
        assert left == [], left
        assert known == [], f"remembered of what is gone: {known}"


def difference(old: NetworkPart, new: NetworkPart) -> NetworkChange | None:
    """What leads from one whole to another, if ports and members alone differ."""
    before, after = ({group.id: group for group in part.groups} for part in (old, new))
    bare = [dataclasses.replace(part, ports=(), groups=(), generation=0) for part in (old, new)]
    rules = [{key: dataclasses.replace(group, members=()) for key, group in part.items()} for part in (before, after)]
    if bare[0] != bare[1] or rules[0] != rules[1] or new.generation <= old.generation:
        return None
    there = {(key, text) for key, group in after.items() for text in group.members}
    asked = there ^ {(key, text) for key, group in before.items() for text in group.members}
    former = {port.id: port for port in old.ports}
    ports = tuple(port for port in new.ports if former.get(port.id) != port)
    used = {group for port in ports for group in port.groups}
    return NetworkChange(
        new.id, old.generation, new.generation, ports, tuple(sorted(former.keys() - {port.id for port in new.ports})),
        tuple(dataclasses.replace(group, members=()) for key, group in after.items() if key in used),
        tuple((*member, member in there) for member in sorted(asked)),
    )  # fmt: skip


class Stepwise:
    """A fabric that is led to each whole by a difference, where there is one; networks begin without ports."""

    def __init__(self, fabric: Any) -> None:
        self.fabric, self.short = fabric, 0
        self._known: dict[str, NetworkPart] = {}

    def ensure(self, part: Any) -> None:
        if not isinstance(part, NetworkPart):
            self.fabric.ensure(part)
            return
        if part.id not in self._known and part.ports:
            self.ensure(dataclasses.replace(part, ports=(), generation=part.generation - 1))
        former = self._known.get(part.id)
        change = difference(former, part) if former is not None else None
        if change is not None and self.fabric.change(change):
            self.short += 1
        else:
            self.fabric.ensure(part)
        self._known[part.id] = part

    def remove(self, part_id: str) -> None:
        self.fabric.remove(part_id)
        self._known.pop(part_id, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fabric, name)


def run_in(
    namespace: str, *words: str, seconds: float = 10, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program within a namespace."""
    return subprocess.run(
        ["ip", "netns", "exec", namespace, *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        input=text,
    )


__all__ = ["FloatingPart", "GatewayPart", "OutsidePart", "RouterPart"]
