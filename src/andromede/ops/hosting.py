"""Whether this machine can host: rights and programs, and what mends what is missing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace

from andromede.config import Config
from andromede.errors import Unavailable

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "ip": "iproute2",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
}
"""Program -> Debian package; docs/hosting.md says what each is for."""
BUILDING = {"mcopy": "mtools", "syslinux": "syslinux"}
"""The same for what builds the public image `tiny`; hosting does without."""
BALANCING = {"haproxy": "haproxy"}
"""The same for load balancers; without it the catalog names none."""
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
"""Where programs are looked for: some of them are for administrators, whose folders a user's PATH may lack."""
_NET_ADMIN, _SYS_ADMIN = 12, 21


@dataclass(frozen=True, slots=True)
class Able:
    """What stands between this machine and hosting: `missing` in plain words, `mend` the one command."""

    missing: tuple[str, ...] = ()
    mend: str = ""

    def __bool__(self) -> bool:
        return not self.missing


def _capabilities() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)


def lacking(programs: dict[str, str]) -> list[str]:
    """The programs that are not installed."""
    return [name for name in programs if shutil.which(name, path=PATH) is None]


def able() -> Able:
    """Look at this process's rights and at the programs on its PATH."""
    absent = lacking(PACKAGES)
    missing = [f"the program {name} (package {PACKAGES[name]})" for name in absent]
    mend = "apt-get install -y --no-install-recommends " + " ".join(PACKAGES[name] for name in absent) if absent else ""
    held = _capabilities()
    if not (held >> _NET_ADMIN & 1 and held >> _SYS_ADMIN & 1):
        missing.append("the right to make networks (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN)")
        mend = mend or "run the cloud as root: sudo make up"
    if not os.path.exists("/dev/net/tun"):
        missing.append("/dev/net/tun")
        mend = mend or "modprobe tun"
    return Able(tuple(missing), mend)


def decided(config: Config) -> Config:
    """The settings with `hosting.enabled` on or off. Raises `Unavailable` where it must be on and cannot be."""
    wish = config.hosting.enabled
    if wish == "off":
        return config
    found = able()
    if wish == "on" and not found:
        raise Unavailable(
            f"hosting.enabled = on, and this machine lacks {', '.join(found.missing)}; mend it with: {found.mend}",
            "hosting",
        )
    return replace(config, hosting=replace(config.hosting, enabled="on" if found else "off"))
