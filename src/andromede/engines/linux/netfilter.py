"""What the kernel's packet filter has in the calling thread's namespace (linux/netfilter/nf_tables.h)."""

from __future__ import annotations

from andromede.engines.linux.netlink import DUMP, NETFILTER, Netlink, attributes

_GET_CHAIN, _GET_OBJECT = 0xA04, 0xA13
_COUNTER = 1
HEAD = 4
"""Bytes of `struct nfgenmsg`."""


def chains(table: str) -> set[str]:
    """Names of the chains of a table."""
    with Netlink(NETFILTER) as netlink:
        found = [attributes(payload[HEAD:]) for payload in netlink.ask(_GET_CHAIN, DUMP, bytes(HEAD))]
    return {_text(one[3]) for one in found if _text(one[1]) == table}


def counters() -> dict[str, int]:
    """Packets of each named counter."""
    with Netlink(NETFILTER) as netlink:
        found = [attributes(payload[HEAD:]) for payload in netlink.ask(_GET_OBJECT, DUMP, bytes(HEAD))]
    counted = [one for one in found if int.from_bytes(one[3], "big") == _COUNTER]
    return {_text(one[2]): int.from_bytes(attributes(one[4])[2], "big") for one in counted}


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()
