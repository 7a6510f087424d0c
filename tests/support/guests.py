"""Stand-ins for guests: sockets within the namespaces of ports, and frames that no kernel would send by itself."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from andromede.engines.linux import kernel, names

SOON = 1.0
"""Seconds after which a rule must hold."""
ALL = b"\xff" * 6


def inside(namespace: str, call: Callable[[], socket.socket]) -> socket.socket:
    return kernel.inside(namespace, call)


def raw_mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp4(macs: tuple[str, str], source: tuple[str, int], target: tuple[str, int], text: bytes) -> bytes:
    """A frame from MAC to MAC."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    body = struct.pack("!HHHH", source[1], target[1], 8 + len(text), 0) + text
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0)
    head = head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses
    return raw_mac(macs[1]) + raw_mac(macs[0]) + b"\x08\x00" + head + body


def udp6(macs: tuple[str, str], source: tuple[str, int], target: tuple[str, int], text: bytes) -> bytes:
    addresses = ipaddress.IPv6Address(source[0]).packed + ipaddress.IPv6Address(target[0]).packed
    body = struct.pack("!HHHH", source[1], target[1], 8 + len(text), 0) + text
    check = checksum(addresses + struct.pack("!II", len(body), 17) + body)
    body = body[:6] + struct.pack("!H", check) + body[8:]
    return (
        raw_mac(macs[1])
        + raw_mac(macs[0])
        + b"\x86\xdd"
        + struct.pack("!IHBB", 6 << 28, len(body), 17, 64)
        + addresses
        + body
    )


def icmp6(macs: tuple[str, str], source: str, target: str, kind: int, body: bytes) -> bytes:
    """Neighbour discovery: `body` follows type, code and checksum."""
    addresses = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(target).packed
    message = struct.pack("!BBH", kind, 0, 0) + body
    check = checksum(addresses + struct.pack("!II", len(message), 58) + message)
    message = message[:2] + struct.pack("!H", check) + message[4:]
    head = struct.pack("!IHBB", 6 << 28, len(message), 58, 255)
    return raw_mac(macs[1]) + raw_mac(macs[0]) + b"\x86\xdd" + head + addresses + message


def arp(mac: str, sender: tuple[str, str], target: str, operation: int = 1) -> bytes:
    """`sender`: the MAC address and the address that it claims."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + raw_mac(sender[0]) + socket.inet_aton(sender[1])
    return ALL + raw_mac(mac) + b"\x08\x06" + body + b"\0" * 6 + socket.inet_aton(target)


@dataclass
class Guest:
    """What runs in a namespace, with one address of each version."""

    namespace: str
    address: str = ""
    mac: str = ""

    @classmethod
    def of(cls, installation: str, port_id: str, address: str, mac: str) -> Guest:
        return cls(names.namespace(installation, "p", port_id), address, mac)

    def udp(self, port: int, address: str | None = None) -> socket.socket:
        """A bound socket that waits no longer than SOON."""
        here = self.address if address is None else address
        family = socket.AF_INET6 if ":" in here else socket.AF_INET

        def make() -> socket.socket:
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.bind((here, port))
            made.settimeout(SOON)
            return made

        return inside(self.namespace, make)

    def listen(self, port: int, address: str | None = None) -> socket.socket:
        here = self.address if address is None else address
        family = socket.AF_INET6 if ":" in here else socket.AF_INET

        def make() -> socket.socket:
            made = socket.create_server((here, port), family=family)
            made.settimeout(5)
            return made

        return inside(self.namespace, make)

    def connect(self, address: str, port: int, seconds: float = SOON) -> socket.socket | None:
        """A connection from here, None when there was no answer."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = inside(self.namespace, lambda: socket.socket(family, socket.SOCK_STREAM))
        made.settimeout(seconds)
        try:
            made.connect((address, port))
        except OSError:
            made.close()
            return None
        return made

    def raw(self) -> socket.socket:
        """All frames of `eth0`."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            made.bind(("eth0", 0))
            made.settimeout(0.5)
            return made

        return inside(self.namespace, make)

    def send(self, frame: bytes) -> None:
        with self.raw() as raw:
            raw.send(frame)


@contextlib.contextmanager
def echo(guest: Guest, port: int, name: str, address: str | None = None) -> Iterator[list[str]]:
    """A TCP server that says its name and then what it hears; the addresses of its callers."""
    callers: list[str] = []
    ends, listener = threading.Event(), guest.listen(port, address)
    listener.settimeout(0.05)
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.05)
            connection.send(name.encode())
            while not ends.is_set():
                try:
                    data = connection.recv(100)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not data:
                    return
                connection.send(data)

    def accept() -> None:
        while not ends.is_set():
            try:
                connection, caller = listener.accept()
            except TimeoutError:
                continue
            callers.append(caller[0])
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    threads.append(threading.Thread(target=accept))
    threads[0].start()
    try:
        yield callers
    finally:
        ends.set()
        for thread in threads:
            thread.join()
        listener.close()


def answer(guest: Guest, address: str, port: int, seconds: float = SOON) -> str | None:
    """What a server at an address says first, None when nothing came."""
    connection = guest.connect(address, port, seconds)
    if connection is None:
        return None
    with connection:
        try:
            return connection.recv(100).decode()
        except OSError:
            return None


def answers(connection: socket.socket, text: bytes = b"?") -> bool:
    """Whether a connection is alive."""
    try:
        connection.send(text)
        return connection.recv(100) == text
    except OSError:
        return False


def eventually(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something comes true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def heard(raw: socket.socket, wanted: bytes, seconds: float = 0.4) -> bool:
    """Whether a frame with these bytes comes in."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        raw.settimeout(left)
        with contextlib.suppress(TimeoutError):
            data, where = raw.recvfrom(4096)
            if wanted in data and where[2] != socket.PACKET_OUTGOING:
                return True
    return False
