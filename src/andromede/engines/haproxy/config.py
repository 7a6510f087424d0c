"""The one function that renders a load balancer as a configuration of HAProxy 2.6 (HAProxy Configuration Manual).
Values of clients stand in single quotes, in which nothing has a meaning but the quote itself (2.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from andromede.balancer.engine import (
    BalancerPart,
    ListenerPart,
    MemberPart,
    MonitorPart,
    PolicyPart,
    PoolPart,
    RulePart,
)
from andromede.errors import Invalid

MOST_CONNECTIONS = 20_000
"""Of one load balancer at once, where the machine allows as many descriptors."""
OURS = ("UDP-CONNECT", "PING")
"""Checks that HAProxy does not make: members are up or down as the wish says."""
_MODES = {"TCP": "tcp", "HTTPS": "tcp", "HTTP": "http", "TERMINATED_HTTPS": "http"}
_BALANCE = {"ROUND_ROBIN": "roundrobin", "LEAST_CONNECTIONS": "leastconn", "SOURCE_IP": "source"}
_COMPARE = {"REGEX": "reg", "STARTS_WITH": "beg", "ENDS_WITH": "end", "CONTAINS": "sub", "EQUAL_TO": "str"}
_HEADERS = {
    "X-Forwarded-For": "%[src]",
    "X-Forwarded-Port": "%[dst_port]",
    "X-Forwarded-Proto": "",
    "X-SSL-Client-Verify": "%[ssl_c_verify]",
    "X-SSL-Client-Has-Cert": "%[ssl_c_used]",
    "X-SSL-Client-DN": "%{+Q}[ssl_c_s_dn]",
    "X-SSL-Client-CN": "%{+Q}[ssl_c_s_dn(cn)]",
    "X-SSL-Issuer": "%{+Q}[ssl_c_i_dn]",
    "X-SSL-Client-SHA1": "%{+Q}[ssl_c_sha1,hex]",
    "X-SSL-Client-Not-Before": "%{+Q}[ssl_c_notbefore]",
    "X-SSL-Client-Not-After": "%{+Q}[ssl_c_notafter]",
}
Place = Callable[[bytes], str]
"""Where HAProxy reads a PEM text from: a path."""


def quoted(text: str) -> str:
    """A word that means itself."""
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise Invalid(f"{text!r} holds a control character", "schema")
    return "'" + text.replace("'", "'\\''") + "'"


def plain(text: str) -> str:
    """The same where a word is a format (8.2.6): percent signs mean themselves, too."""
    return quoted(text.replace("%", "%%"))


def digest(part: BalancerPart) -> str:
    """What tells one wish from another, keys and certificates included."""
    return hashlib.sha256(repr(part).encode() + b"".join(_secrets(part))).hexdigest()[:16]


def _secrets(part: BalancerPart) -> Iterator[bytes]:
    for listener in part.listeners:
        yield from listener.certificates
        yield listener.client_ca
        yield listener.client_crl
    for pool in part.pools:
        yield pool.ca


def render(part: BalancerPart, socket: str, place: Place, most: int = MOST_CONNECTIONS) -> str:
    """The whole configuration. `socket`: the path of its own control socket; `most`: connections at once."""
    pools = {pool.id: pool for pool in part.pools}
    lines = [
        "global",
        f"  description {digest(part)}",
        f"  stats socket {socket} mode 600 level admin expose-fd listeners",
        f"  maxconn {most}",
        "  user nobody",
        "  group nogroup",
        "  hard-stop-after 30m",
        "  tune.ssl.default-dh-param 2048",
        "  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "defaults",
        "  option dontlognull",
        "  option redispatch",
        "  retries 3",
        "  timeout connect 5s",
        "  timeout client 50s",
        "  timeout server 50s",
        "  timeout check 5s",
    ]
    for listener in part.listeners:
        if listener.protocol in _MODES:
            lines += _frontend(part.address, listener, pools, place)
            lines += _backends(listener, pools, place)
    for pool in part.pools:
        if pool.protocol == "UDP" and pool.monitor is not None and pool.monitor.type not in OURS:
            lines += _watched(pool)
    return "\n".join(lines) + "\n"


def name_of(pool_id: str, listener_id: str) -> str:
    """The backend of a pool for one listener, whose times it has."""
    return f"{pool_id}:{listener_id}"


# --- the side of clients


def _frontend(address: str, listener: ListenerPart, pools: dict[str, PoolPart], place: Place) -> list[str]:
    mode = _MODES[listener.protocol]
    lines = [
        f"frontend {listener.id}",
        f"  mode {mode}",
        f"  bind {_host(address)}:{listener.port}{_tls(listener, place)}",
    ]
    if listener.limit >= 0:
        lines.append(f"  maxconn {max(1, min(listener.limit, MOST_CONNECTIONS))}")
    lines.append(f"  timeout client {listener.client_ms}ms")
    if listener.sources:
        lines.append(f"  tcp-request connection reject unless {{ src {' '.join(listener.sources)} }}")
    if listener.inspect_ms:
        lines.append(f"  tcp-request inspect-delay {listener.inspect_ms}ms")
    if mode == "http":
        lines += _http(listener, pools)
    if listener.pool_id in pools:
        lines.append(f"  default_backend {name_of(listener.pool_id, listener.id)}")
    return lines


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _tls(listener: ListenerPart, place: Place) -> str:
    if listener.protocol != "TERMINATED_HTTPS":
        return ""
    words = [" ssl", *(f"crt {place(pem)}" for pem in listener.certificates)]
    if listener.client_ca:
        words.append(f"ca-file {place(listener.client_ca)}")
        words.append(f"verify {'required' if listener.client_auth == 'MANDATORY' else 'optional'}")
        if listener.client_crl:
            words.append(f"crl-file {place(listener.client_crl)}")
    return " ".join([*words, *_strength(listener)])


def _strength(part: ListenerPart | PoolPart) -> Iterator[str]:
    """Which TLS is spoken, where somebody chose."""
    if part.ciphers:
        yield f"ciphers {quoted(part.ciphers)}"
    if part.versions:
        yield f"ssl-min-ver {min(part.versions)} ssl-max-ver {max(part.versions)}"
    if part.alpn:
        yield f"alpn {','.join(part.alpn)}"


def _http(listener: ListenerPart, pools: dict[str, PoolPart]) -> Iterator[str]:
    secure = listener.protocol == "TERMINATED_HTTPS"
    for header in listener.headers:
        value = ("https" if secure else "http") if header == "X-Forwarded-Proto" else _HEADERS[header]
        yield f"  http-request set-header {header} {value}"
    if listener.hsts:
        yield f"  http-response set-header Strict-Transport-Security {plain(listener.hsts)}"
    for policy in listener.policies:
        conditions = [_condition(rule) for rule in policy.rules]
        for number, (_, test) in enumerate(conditions):
            yield f"  acl {policy.id}_{number} {test}"
        fit = " ".join(f"{'!' if no else ''}{policy.id}_{number}" for number, (no, _) in enumerate(conditions))
        yield f"  {_action(policy, listener, pools)} if {fit}"


def _action(policy: PolicyPart, listener: ListenerPart, pools: dict[str, PoolPart]) -> str:
    if policy.action == "REJECT":
        return "http-request deny deny_status 403"
    if policy.action == "REDIRECT_TO_URL":
        return f"http-request redirect code {policy.code} location {plain(policy.target)}"
    if policy.action == "REDIRECT_PREFIX":
        return f"http-request redirect code {policy.code} prefix {plain(policy.target)}"
    return f"use_backend {name_of(policy.target, listener.id)}"


def _condition(rule: RulePart) -> tuple[bool, str]:
    """(whether it is to fail, the test)."""
    how, value = _COMPARE[rule.compare], quoted(rule.value)
    if rule.type == "SSL_CONN_HAS_CERT":
        return rule.invert, "ssl_c_used"
    if rule.type == "SSL_VERIFY_RESULT":
        return rule.invert, f"ssl_c_verify {rule.value}"
    subject = {
        "HOST_NAME": "req.hdr(host)",
        "PATH": "path",
        "FILE_TYPE": "path_end" if rule.compare == "EQUAL_TO" else "path",
        "HEADER": f"req.hdr({rule.key})",
        "COOKIE": f"req.cook({rule.key})",
        "SSL_DN_FIELD": f"ssl_c_s_dn({rule.key})",
    }[rule.type]
    if rule.type == "FILE_TYPE":
        if rule.compare == "EQUAL_TO":
            return rule.invert, f"path_end -i -- {quoted('.' + rule.value.lstrip('.'))}"
        return rule.invert, f"path,regsub(^.*\\\\.,) -m reg -- {value}"
    fold = "-i " if rule.type == "HOST_NAME" else ""
    return rule.invert, f"{subject} -m {how} {fold}-- {value}"


# --- the side of members


def _backends(listener: ListenerPart, pools: dict[str, PoolPart], place: Place) -> Iterator[str]:
    wanted = [listener.pool_id, *(each.target for each in listener.policies if each.action == "REDIRECT_TO_POOL")]
    for pool_id in dict.fromkeys(wanted):
        if pool_id in pools:
            yield from _backend(pools[pool_id], listener, place)


def _backend(pool: PoolPart, listener: ListenerPart, place: Place) -> Iterator[str]:
    mode = _MODES[listener.protocol]
    yield f"backend {name_of(pool.id, listener.id)}"
    yield f"  mode {mode}"
    yield f"  balance {_BALANCE[pool.algorithm]}"
    yield f"  timeout connect {listener.connect_ms}ms"
    yield f"  timeout server {listener.member_ms}ms"
    if mode == "http":
        yield "  option forwardfor if-none" if "X-Forwarded-For" in listener.headers else "  http-reuse safe"
    yield from _stick(pool)
    check = ""
    if pool.monitor is not None and pool.monitor.type not in OURS:
        yield from _monitor(pool.monitor)
        check = _check(pool.monitor)
    trust = ""
    if pool.tls:
        proof = f"verify required ca-file {place(pool.ca)}" if pool.ca else "verify none"
        trust = " ".join([" ssl", proof, *_strength(pool)])
    for member in pool.members:
        yield f"  server {_server(pool, member, check)}{trust}"


def _stick(pool: PoolPart) -> Iterator[str]:
    if pool.stick == "SOURCE_IP":
        yield "  stick-table type ipv6 size 10k expire 30m"
        yield "  stick on src"
    elif pool.stick == "HTTP_COOKIE":
        yield "  cookie SRV insert indirect nocache"
    elif pool.stick == "APP_COOKIE":
        yield "  stick-table type string len 64 size 10k expire 30m"
        yield f"  stick store-response res.cook({pool.cookie})"
        yield f"  stick match req.cook({pool.cookie})"


def _monitor(monitor: MonitorPart) -> Iterator[str]:
    yield f"  timeout check {max(monitor.timeout, 1)}s"
    if monitor.type in ("HTTP", "HTTPS"):
        yield "  option httpchk"
        host = f" hdr Host {plain(monitor.host)}" if monitor.host else ""
        yield f"  http-check send meth {monitor.method} uri {quoted(monitor.path)} ver HTTP/{monitor.version:.1f}{host}"
        yield f"  http-check expect rstatus ^({'|'.join(_codes(monitor.codes))})$"
    elif monitor.type == "TLS-HELLO":
        yield "  option ssl-hello-chk"


def _codes(text: str) -> list[str]:
    low, dash, high = text.partition("-")
    if dash:
        return [str(code) for code in range(int(low), min(int(high), int(low) + 500) + 1)]
    return [code.strip() for code in text.split(",")]


def _check(monitor: MonitorPart) -> str:
    secure = " check-ssl verify none" if monitor.type == "HTTPS" else ""
    return f" check inter {max(monitor.delay, 1)}s fall {monitor.fall} rise {monitor.rise}{secure}"


def _server(pool: PoolPart, member: MemberPart, check: str) -> str:
    words = f"{member.id} {_host(member.address)}:{member.port} weight {member.weight}{check}"
    if check and member.monitor_address:
        words += f" addr {member.monitor_address}"
    if check and member.monitor_port:
        words += f" port {member.monitor_port}"
    if member.backup:
        words += " backup"
    if pool.monitor is not None and pool.monitor.type in OURS and not member.up:
        words += " disabled"
    if pool.protocol in ("PROXY", "PROXYV2"):
        words += " send-proxy" if pool.protocol == "PROXY" else " send-proxy-v2"
    if pool.stick == "HTTP_COOKIE":
        words += f" cookie {member.id}"
    return words


def _watched(pool: PoolPart) -> Iterator[str]:
    """A backend that nobody uses: for its checks of members that get datagrams."""
    assert pool.monitor is not None
    yield f"backend {name_of(pool.id, 'udp')}"
    yield "  mode tcp"
    yield from _monitor(pool.monitor)
    for member in pool.members:
        yield f"  server {_server(pool, member, _check(pool.monitor))}"
