"""Consoles of servers: the relay of the host role, and how the API process learns where it listens."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from andromede.errors import Conflict, Unavailable
from andromede.ids import request_id
from andromede.ops import listeners

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.model import ConsoleToken

_NAME = "console"
"""File of the run folder with the port."""


def address(site: Site, base: str) -> str:
    """The base of console URLs for a client that reached the API at `base`: the same host, the relay's port."""
    try:
        port = int((site.place.run / _NAME).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise Unavailable("consoles are not served now: the host role is away; try again", "console") from error
    found = urlsplit(base)
    host = found.hostname or "127.0.0.1"
    return f"{found.scheme}://{f'[{host}]' if ':' in host else host}:{port}/console"


def start(site: Site) -> None:
    """Serve consoles, and say where."""
    from andromede.app.processes import tls_context
    from andromede.compute.relay import Doors, Relay

    wish = site.config.hosting.console
    if not wish:
        host = listeners.parse(site.config.server.listen).host
        wish = f"[{host}]:0" if ":" in host else f"{host}:0"
    listener = listeners.bind(wish)[0]
    consoles, ids = site.compute.consoles, site.base.ids
    doors = Doors(
        lambda token: consoles.redeem(token, request_id(ids)), lambda guest, kind: reach(site, guest, kind),
        lambda token: closed(site, token),
    )  # fmt: skip
    Relay(listener, tls_context(site.config), doors, site.base.log).start()
    new = site.place.run / (_NAME + ".new")
    new.write_text(str(listener.getsockname()[1]), encoding="ascii")
    os.replace(new, site.place.run / _NAME)


def closed(site: Site, token: ConsoleToken) -> None:
    """A console was left."""
    site.compute.consoles.closed(token, request_id(site.base.ids))


def reach(site: Site, guest_id: str, kind: str) -> socket.socket:
    """The socket of a guest's display or serial line. Raises `Conflict` where it does not run."""
    guests = site.hypervisor
    live = guests.live(guest_id)
    if live is None:
        raise Conflict(f"server {guest_id} does not run; start it first", "power")
    place = guests.place(guest_id)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(5.0)
        connection.connect(str(place.serial if kind == "serial" else place.vnc))
        peer = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError as error:
        connection.close()
        raise Unavailable(f"the console of server {guest_id} does not answer", "console", cause=repr(error)) from error
    if peer[1] & 0xFFFFFFFF != live.uid:
        connection.close()
        raise Unavailable(f"the console of server {guest_id} is not its own", "console", cause=str(peer))
    return connection
