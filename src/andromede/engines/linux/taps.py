"""Opening the tap of a port: the descriptor goes to a guest, which stays outside of the network's namespace."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from andromede.engines.linux import kernel, names
from andromede.engines.linux.host import Host
from andromede.engines.linux.links import sight
from andromede.errors import Conflict, NotFound

_TUNSETIFF = 0x400454CA
_TAP, _NO_PI, _VNET_HDR = 0x0002, 0x1000, 0x4000
"""linux/if_tun.h."""


def plug(host: Host, port_id: str, hint: str | None) -> int:
    """An open descriptor of the port's tap. `hint`: the namespace that it probably is in."""
    prefix = names.prefix(host.installation) + "n-"
    others = [name for name in kernel.names(prefix) if name != hint]
    for name in [*([hint] if hint else []), *others]:
        if kernel.inode(name) is None:
            continue
        fd = kernel.inside(name, lambda: _open(port_id))
        if fd is not None:
            return fd
    raise NotFound(f"port {port_id} is not wired on this host; its network is made first", "port")


def _open(port_id: str) -> int | None:
    link = sight(names.tap(port_id))
    if link is None or link.alias != port_id or link.kind != "tun":
        return None
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", link.name.encode(), _TAP | _NO_PI | _VNET_HDR))
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EBUSY:
            raise Conflict(f"the tap of port {port_id} is held by another guest", "held") from error
        raise
    return fd
