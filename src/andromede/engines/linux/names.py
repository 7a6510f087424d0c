"""Names in the kernel. Each begins with the installation's six hex digits, so that several share a machine and what
one left behind can be told from what others need."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

NAMESPACES = Path("/run/netns")
"""Where iproute2 keeps names of network namespaces (ip-netns(8))."""
BRIDGE = "br0"
GATEWAY = "qg0"
KINDS = {"n": "network", "r": "router", "p": "port"}


def short(part_id: str, digits: int = 16) -> str:
    """The first hex digits of an id."""
    return part_id.replace("-", "")[:digits]


def namespace(installation: str, kind: str, part_id: str) -> str:
    """`an-<installation>-<n, r or p>-<32 digits of the id>`: the namespace of a network, a router or a port."""
    return f"an-{installation}-{kind}-{short(part_id, 32)}"


def part_id(namespace: str) -> str:
    """The id, with dashes, that a namespace's name ends with; empty when there is none."""
    digits = namespace.rpartition("-")[2]
    try:
        return str(uuid.UUID(hex=digits)) if len(digits) == 32 else ""
    except ValueError:
        return ""


def prefix(installation: str) -> str:
    """What the namespaces of an installation begin with."""
    return f"an-{installation}-"


def bridge(installation: str) -> str:
    """The external bridge."""
    return f"ax-{installation}"


def bridge_mac(installation: str) -> str:
    """Its MAC address, which else would change with the ports that come and go. Locally administered (IEEE 802)."""
    return f"02:61:78:{installation[:2]}:{installation[2:4]}:{installation[4:]}"


def table(installation: str) -> str:
    """The external bridge's rules, in the machine's own namespace."""
    return f"ax_{installation}"


def tap(port_id: str) -> str:
    """A port's link in its network: 15 characters at most (IFNAMSIZ)."""
    return f"tap{port_id[:11]}"


def leg(port_id: str) -> tuple[str, str]:
    """The two ends of a router's leg: in the network and in the router."""
    return f"r-{port_id[:11]}", f"qr-{port_id[:11]}"


def uplink(installation: str, port_id: str) -> str:
    """The end of a gateway's pair in the machine's own namespace. Ids differ in all their digits, names have room for
    few: seven characters of a hash."""
    digest = int.from_bytes(hashlib.sha256(port_id.encode()).digest()[:8], "big")
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    word = ""
    for _ in range(7):
        digest, rest = divmod(digest, 36)
        word += digits[rest]
    return f"ag{installation}{word}"
