"""Listening sockets, bound before the roles start, so that a port in use is said at once and no
connection is refused while a role is being restarted."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from andromede.errors import Conflict, Invalid

BACKLOG = 2048
WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104  (recognised, not chosen)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, tls: bool) -> str:
        """How clients reach it; a wildcard is named by the machine's host name."""
        host = socket.gethostname() if self.host in WILDCARDS else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if tls else 'http'}://{shown}:{self.port}"


def parse(text: str) -> Address:
    """`HOST:PORT` or `[IPV6]:PORT`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise Invalid(f"{text!r} is not HOST:PORT (example: 127.0.0.1:8700)", "config")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def _socket(address: Address, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise _clear(address, error) from error
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(address: Address, error: OSError) -> Conflict | Invalid:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"{address} is in use by another program (see: ss -ltnp sport = :{address.port}); "
            "stop it, or choose other ports with --listen HOST:PORT and --objects HOST:PORT",
            "port",
        )
    if error.errno == errno.EACCES:
        return Invalid(f"{address}: ports below 1024 need a privilege; choose a port from 1024 up", "port")
    if error.errno == errno.EADDRNOTAVAIL:
        return Invalid(f"{address}: this machine has no such address; see: ip address", "port")
    return Invalid(f"{address} cannot be listened on: {error}", "port")


def bind(text: str, count: int = 1) -> list[socket.socket]:
    """`count` listening sockets on one address; the kernel spreads connections over them. Port 0
    takes a free port. Raises `Conflict` when the port is in use, `Invalid` when it cannot be had."""
    address = parse(text)
    probe = _socket(address, reuse_port=False)  # with SO_REUSEPORT a port in use would be shared silently
    taken = Address(address.host, probe.getsockname()[1])
    if count == 1:
        probe.listen(BACKLOG)
        return [probe]
    probe.close()
    sockets = []
    try:
        for _ in range(count):
            listener = _socket(taken, reuse_port=True)
            sockets.append(listener)
            listener.listen(BACKLOG)
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def address_of(listener: socket.socket, text: str) -> Address:
    """The address with the port that was really taken."""
    return Address(parse(text).host, listener.getsockname()[1])
