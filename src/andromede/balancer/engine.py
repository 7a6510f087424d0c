"""The port of what carries traffic, and the values that say what is wanted of it. A part is a whole load balancer with
everything it needs: an engine reads no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from andromede.db import Tx


@dataclass(frozen=True, slots=True)
class MemberPart:
    """Where requests go. `up` is what checks found last: only carriers that do not check by themselves look at it."""

    id: str
    address: str
    port: int
    weight: int = 1
    backup: bool = False
    monitor_address: str = ""
    monitor_port: int = 0
    up: bool = True


@dataclass(frozen=True, slots=True)
class MonitorPart:
    """How members are checked; times in seconds."""

    type: str
    delay: int
    timeout: int
    rise: int
    fall: int
    method: str = "GET"
    path: str = "/"
    codes: str = "200"
    version: float = 1.0
    host: str = ""


@dataclass(frozen=True, slots=True)
class PoolPart:
    """Members and how one is chosen. `stick`: SOURCE_IP, HTTP_COOKIE, APP_COOKIE or empty; `cookie` its name. `tls`:
    members are spoken to over TLS; `ca` PEM text that they are checked against, empty: not at all; `ciphers`,
    `versions` and `alpn` what it may be, empty: as the program has it."""

    id: str
    protocol: str
    algorithm: str
    members: tuple[MemberPart, ...] = ()
    monitor: MonitorPart | None = None
    stick: str = ""
    cookie: str = ""
    tls: bool = False
    ca: bytes = field(default=b"", repr=False)
    ciphers: str = ""
    versions: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RulePart:
    """One condition of a policy."""

    type: str
    compare: str
    value: str
    key: str = ""
    invert: bool = False


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """What is done with a request that all rules fit. `target`: a URL, prefix or pool id, by action."""

    id: str
    action: str
    target: str = ""
    code: int = 302
    rules: tuple[RulePart, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerPart:
    """A port that is listened on. `certificates`: PEM texts with key, certificate and chain, the default one first.
    `client_ca`, `client_crl`: PEM texts; `client_auth` NONE, OPTIONAL or MANDATORY. `sources`: ranges that may
    connect, all when empty. Times in milliseconds."""

    id: str
    protocol: str
    port: int
    limit: int = -1
    pool_id: str = ""
    policies: tuple[PolicyPart, ...] = ()
    headers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    client_ms: int = 50000
    connect_ms: int = 5000
    member_ms: int = 50000
    inspect_ms: int = 0
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    client_auth: str = "NONE"
    client_ca: bytes = field(default=b"", repr=False)
    client_crl: bytes = field(default=b"", repr=False)
    ciphers: str = ""
    versions: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    hsts: str = ""


@dataclass(frozen=True, slots=True)
class BalancerPart:
    """One load balancer: it runs at `address` in the namespace of its port."""

    id: str
    port_id: str
    address: str
    listeners: tuple[ListenerPart, ...] = ()
    pools: tuple[PoolPart, ...] = ()


COUNTERS = ("bytes_in", "bytes_out", "active_connections", "total_connections", "request_errors")


@dataclass(frozen=True, slots=True)
class Carried:
    """What is there. `life`: differs once counters began anew. `members`: id -> whether checks find it well, absent
    where none says. `traffic`: listener id -> its COUNTERS."""

    id: str
    life: str
    members: Mapping[str, bool] = field(default_factory=dict)
    traffic: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Carrier(Protocol):
    """Carries traffic. Every call may be repeated; connections live on through `ensure`."""

    def ensure(self, part: BalancerPart) -> None:
        """Make it so. Raises `Unavailable` while the port's namespace is not there and when the program refuses."""

    def remove(self, balancer_id: str) -> None:
        """Take it away. Harmless when it is not there."""

    def observe(self, balancer_id: str) -> Carried | None:
        """What is there; None when nothing runs (any more)."""

    def listing(self) -> list[str]:
        """Ids of everything that is there, whole or not."""


@dataclass(frozen=True, slots=True)
class VipWish:
    """Where a load balancer is to be reached: one of port, subnet and network is given."""

    balancer_id: str
    project_id: str
    address: str = ""
    port_id: str = ""
    subnet_id: str = ""
    network_id: str = ""


@dataclass(frozen=True, slots=True)
class Vip:
    """Where it is reached. `own`: the port was made for it, and goes with it."""

    port_id: str
    network_id: str
    subnet_id: str
    address: str
    own: bool


class Vips(Protocol):
    """The network service, as far as load balancers need it."""

    def take(self, wish: VipWish, request_id: str, tx: Tx) -> Vip:
        """A port for the address, made in the transaction of the load balancer that it is for. Invalid or NotFound when
        what was named is not there, Conflict when it is taken."""

    def settle(self, port_id: str, balancer_id: str, host: str, request_id: str) -> bool:
        """Bind the port here; whether it is wired."""

    def give_back(self, port_id: str, own: bool, request_id: str) -> None:
        """Unbind the port, and delete it if it is the load balancer's own. Harmless when it is gone."""


class Certificates(Protocol):
    """The key manager, as far as load balancers need it."""

    def pem(self, ref: str, project_id: str, reader: str, request_id: str) -> bytes:
        """Key, certificate and chain of a certificate container or a PKCS #12 secret, as one PEM text."""

    def plain(self, ref: str, project_id: str, reader: str, request_id: str) -> bytes:
        """The payload of a secret, such as a CA's certificates."""
