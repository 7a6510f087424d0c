"""Telling neighbours who has an address, so that none sends to who had it before (RFC 826; RFC 4861, 7.2.6)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable

_ARP, _IPV6 = 0x0806, 0x86DD


def _arp(mac: bytes, address: bytes) -> bytes:
    frame = b"\xff" * 6 + mac + struct.pack("!H", _ARP)
    return frame + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + b"\0" * 6 + address


def _sum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _neighbour(mac: bytes, address: bytes) -> bytes:
    everyone = ipaddress.IPv6Address("ff02::1").packed
    body = struct.pack("!I", 0xA0000000) + address + b"\x02\x01" + mac  # router, override; target link-layer address
    size = 4 + len(body)
    pseudo = address + everyone + struct.pack("!II", size, 58)
    check = _sum(pseudo + b"\x88\0\0\0" + body)
    head = struct.pack("!IHBB", 6 << 28, size, 58, 255) + address + everyone
    return b"\x33\x33\0\0\0\x01" + mac + struct.pack("!H", _IPV6) + head + struct.pack("!BBH", 0x88, 0, check) + body


def announce(link: str, mac: str, addresses: Iterable[str]) -> None:
    """Send one announcement for each address on a link of the calling thread's namespace. A link that is not up yet
    cannot: then nobody has learnt anything there either."""
    own = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw, contextlib.suppress(OSError):
        raw.bind((link, 0))
        for text in addresses:
            address = ipaddress.ip_address(text)
            raw.send((_arp if address.version == 4 else _neighbour)(own, address.packed))
