"""Bodies of load balancer requests (Load Balancer API v2). Unknown members are refused. An update is merged over what
is there and read again as if it were new, so that both obey the same rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from andromede import addresses
from andromede.errors import Invalid

Name = Annotated[str, Meta(max_length=255, pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$")]
Word = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Ref = Annotated[str, Meta(min_length=1, max_length=255)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,5}$")]
"""Some clients send ports as text."""
Time = Annotated[int, Meta(ge=0, le=24 * 24 * 3600 * 1000)]
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=255)]], Meta(max_length=100)]
Version = Literal["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
Alpn = Annotated[list[Literal["http/1.0", "http/1.1", "h2"]], Meta(max_length=3)]
Ciphers = Annotated[str, Meta(max_length=2048, pattern=r"^[A-Za-z0-9+:!@=_-]*\Z")]
TOKEN = r"[A-Za-z0-9!$%&*+.^_`|~-]+"
"""Names of headers and cookies (RFC 9110, 5.6.2), but for # and ', at which HAProxy's configuration ends a word."""


class Part(Struct, forbid_unknown_fields=True, kw_only=True):
    """What every part has."""

    name: Name = ""
    admin_state_up: bool = True
    tags: Tags = []
    project_id: str | None = None


class Monitor(Part, kw_only=True):
    """How the members of a pool are checked."""

    type: Literal["HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP"]
    delay: Annotated[int, Meta(ge=0, le=86400)]
    timeout: Annotated[int, Meta(ge=0, le=86400)]
    max_retries: Annotated[int, Meta(ge=1, le=10)]
    max_retries_down: Annotated[int, Meta(ge=1, le=10)] = 3
    http_method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"] | None = None
    url_path: Annotated[str, Meta(max_length=2048, pattern=r"^/[^\x00-\x20\x7f]*\Z")] | None = None
    expected_codes: (
        Annotated[str, Meta(pattern=r"^([0-9]{3}(\s*,\s*[0-9]{3})*|[0-9]{3}-[0-9]{3})\Z", max_length=255)] | None
    ) = None
    http_version: float | None = None
    domain_name: Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")] | None = (
        None
    )
    pool_id: Uuid | UnsetType = UNSET


class Member(Part, kw_only=True):
    """A server of a pool."""

    address: Annotated[str, Meta(max_length=64)]
    protocol_port: Port | Digits
    weight: Annotated[int, Meta(ge=0, le=256)] = 1
    backup: bool = False
    subnet_id: Uuid | None = None
    monitor_address: Annotated[str, Meta(max_length=64)] | None = None
    monitor_port: Port | None = None


class Persistence(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which requests go to the same member."""

    type: Literal["SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"]
    cookie_name: Annotated[str, Meta(max_length=255, pattern=rf"^{TOKEN}\Z")] | None = None
    persistence_timeout: Annotated[int, Meta(ge=1, le=86400 * 30)] | None = None
    persistence_granularity: Annotated[str, Meta(max_length=64)] | None = None


class Pool(Part, kw_only=True):
    """Members, and how one of them is chosen."""

    description: Name = ""
    protocol: Literal["TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP"]
    lb_algorithm: Literal["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"]
    session_persistence: Persistence | None = None
    tls_container_ref: Ref | None = None
    ca_tls_container_ref: Ref | None = None
    crl_container_ref: Ref | None = None
    tls_enabled: bool = False
    tls_ciphers: Ciphers | None = None
    tls_versions: Annotated[list[Version], Meta(max_length=5)] | None = None
    alpn_protocols: Alpn | None = None
    members: Annotated[list[Member], Meta(max_length=500)] = []
    healthmonitor: Monitor | None = None
    loadbalancer_id: Uuid | UnsetType = UNSET
    listener_id: Uuid | UnsetType = UNSET


class Rule(Part, kw_only=True):
    """A condition of a policy."""

    type: Literal["HOST_NAME", "PATH", "FILE_TYPE", "HEADER", "COOKIE", "SSL_CONN_HAS_CERT", "SSL_VERIFY_RESULT",
                  "SSL_DN_FIELD"]  # fmt: skip
    compare_type: Literal["REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO"]
    value: Word
    key: Word | None = None
    invert: bool = False


Url = Annotated[str, Meta(max_length=2048, pattern=r"^https?://[^\s\x00-\x1f\x7f]+\Z")]


class Policy(Part, kw_only=True):
    """What is done with requests that all its rules fit."""

    description: Name = ""
    action: Literal["REJECT", "REDIRECT_TO_URL", "REDIRECT_TO_POOL", "REDIRECT_PREFIX"]
    redirect_pool_id: Uuid | None = None
    redirect_pool: Pool | None = None
    redirect_url: Url | None = None
    redirect_prefix: Url | None = None
    redirect_http_code: Literal[301, 302, 303, 307, 308] | None = None
    position: Annotated[int, Meta(ge=1, le=2147483647)] = 2147483647
    rules: Annotated[list[Rule], Meta(max_length=50)] = []
    listener_id: Uuid | UnsetType = UNSET


class Listener(Part, kw_only=True):
    """A port that is listened on."""

    description: Name = ""
    protocol: Literal["TCP", "HTTPS", "HTTP", "TERMINATED_HTTPS", "UDP", "SCTP", "PROMETHEUS"]
    protocol_port: Port | Digits
    connection_limit: Annotated[int, Meta(ge=-1, le=1_000_000)] = -1
    default_tls_container_ref: Ref | None = None
    sni_container_refs: Annotated[list[Ref], Meta(max_length=50)] = []
    default_pool_id: Uuid | None = None
    default_pool: Pool | None = None
    l7policies: Annotated[list[Policy], Meta(max_length=100)] = []
    insert_headers: Annotated[dict[str, str], Meta(max_length=20)] = {}
    timeout_client_data: Time = 50000
    timeout_member_connect: Time = 5000
    timeout_member_data: Time = 50000
    timeout_tcp_inspect: Time = 0
    client_ca_tls_container_ref: Ref | None = None
    client_authentication: Literal["NONE", "OPTIONAL", "MANDATORY"] = "NONE"
    client_crl_container_ref: Ref | None = None
    allowed_cidrs: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=500)] | None = None
    tls_ciphers: Ciphers | None = None
    tls_versions: Annotated[list[Version], Meta(max_length=5)] | None = None
    alpn_protocols: Alpn | None = None
    hsts_max_age: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    hsts_include_subdomains: bool = False
    hsts_preload: bool = False
    loadbalancer_id: Uuid | UnsetType = UNSET


class LoadBalancer(Struct, forbid_unknown_fields=True, kw_only=True):
    """A load balancer, with its parts or without."""

    name: Name = ""
    description: Name = ""
    admin_state_up: bool = True
    vip_address: Annotated[str, Meta(max_length=64)] | None = None
    vip_port_id: Uuid | None = None
    vip_subnet_id: Uuid | None = None
    vip_network_id: Uuid | None = None
    vip_qos_policy_id: Uuid | None = None
    vip_sg_ids: list[Uuid] = []
    additional_vips: list[dict[str, Any]] = []
    project_id: Annotated[str, Meta(max_length=64)] | None = None
    tenant_id: Annotated[str, Meta(max_length=64)] | None = None
    listeners: Annotated[list[Listener], Meta(max_length=50)] = []
    pools: Annotated[list[Pool], Meta(max_length=50)] = []
    provider: Name | None = None
    tags: Tags = []
    flavor_id: Uuid | None = None
    availability_zone: Name | None = None


class PostBalancer(Struct):
    loadbalancer: LoadBalancer


class PostListener(Struct):
    listener: Listener


class PostPool(Struct):
    pool: Pool


class PostMember(Struct):
    member: Member


class PutMembers(Struct):
    members: Annotated[list[Member], Meta(max_length=500)]


class PostMonitor(Struct):
    healthmonitor: Monitor


class PostPolicy(Struct):
    l7policy: Policy


class PostRule(Struct):
    rule: Rule


Put = dict[str, dict[str, Any]]
"""An update: one member, named as the resource."""
STRUCTS: dict[str, type[Part]] = {
    "listener": Listener, "pool": Pool, "member": Member, "healthmonitor": Monitor, "l7policy": Policy, "l7rule": Rule,
}  # fmt: skip
CHILDREN = frozenset(
    {"members", "healthmonitor", "rules", "redirect_pool", "l7policies", "default_pool", "pools", "listeners"}
)
_ELSEWHERE = CHILDREN | {"name", "project_id", "loadbalancer_id", "listener_id", "pool_id", "position"}
FIXED = {
    "listener": {"protocol", "protocol_port", "loadbalancer_id", "project_id"},
    "pool": {"protocol", "loadbalancer_id", "listener_id", "project_id"},
    "member": {"address", "protocol_port", "subnet_id", "project_id"},
    "healthmonitor": {"type", "pool_id", "project_id"},
    "l7policy": {"listener_id", "project_id"},
    "l7rule": {"project_id"},
}
"""What an update may not change, by kind."""


def spec_of(part: Part) -> dict[str, Any]:
    """The attributes of a part that stand in its row's `spec`."""
    values = {name: getattr(part, name) for name in part.__struct_fields__ if name not in _ELSEWHERE}
    plain: dict[str, Any] = msgspec.to_builtins(values)
    return plain


def merged(kind: str, name: str, spec: dict[str, Any], changes: dict[str, Any]) -> Part:
    """A part as an update makes it. A null is the default. Raises `Invalid`."""
    known = set(STRUCTS[kind].__struct_fields__) - FIXED[kind] - CHILDREN
    if wrong := sorted(set(changes) - known):
        raise Invalid(f"Invalid input: {', '.join(wrong)} of a {kind} cannot be changed", "schema")
    values = {"name": name, **spec, **changes}
    try:
        return msgspec.convert({key: value for key, value in values.items() if value is not None}, STRUCTS[kind])
    except msgspec.ValidationError as error:
        raise Invalid(f"Invalid input for {kind}: {error}", "schema") from error


def port(value: int | str) -> int:
    """A port that may have come as text."""
    number = int(value)
    if not 1 <= number <= 65535:
        raise Invalid(f"Invalid input for protocol_port: {value!r} is not a port from 1 to 65535", "schema")
    return number


def address(text: str, what: str = "address") -> str:
    """An IP address in its usual form. Invalid for anything else, and for the metadata service's."""
    try:
        found = str(addresses.address(text))
    except ValueError as error:
        raise Invalid(f"Invalid input for {what}: {text!r} is not an IP address", "schema") from error
    if found == "169.254.169.254":
        raise Invalid(f"The IP Address {found} is invalid: it is reserved for the metadata service", "schema")
    return found


def cidr(text: str) -> str:
    """An address range in its usual form."""
    try:
        return str(addresses.network(text))
    except ValueError as error:
        raise Invalid(f"Invalid input for allowed_cidrs: {text!r} is not an address range", "schema") from error
