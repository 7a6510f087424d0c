"""What goes together and what does not, of one part and the parts beside it."""

from __future__ import annotations

import re
from typing import Any

from andromede.balancer.bodies import TOKEN, Listener, Member, Monitor, Policy, Pool, Rule, Version, address, cidr, port
from andromede.errors import Conflict, Invalid, Unsupported

HTTP = frozenset({"HTTP", "TERMINATED_HTTPS"})
SUITED: dict[str, frozenset[str]] = {
    "TCP": frozenset({"HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP"}),
    "HTTP": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "HTTPS": frozenset({"HTTPS", "PROXY", "PROXYV2", "TCP"}),
    "TERMINATED_HTTPS": frozenset({"HTTP", "PROXY", "PROXYV2"}),
    "UDP": frozenset({"UDP"}),
}
"""Protocol of a listener -> of its pools."""
HEADERS = {"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"}
SSL_HEADERS = {
    "X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer",
    "X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After",
}  # fmt: skip
_TLS = ("default_tls_container_ref", "sni_container_refs", "client_ca_tls_container_ref", "client_crl_container_ref",
        "tls_ciphers", "tls_versions", "alpn_protocols", "hsts_max_age")  # fmt: skip
_PROBES = {"UDP": {"UDP-CONNECT", "TCP", "HTTP", "PING"}}
_DN = re.compile(r"[a-zA-Z][A-Za-z0-9-]*")
_TOKEN = re.compile(TOKEN)


def family(protocol: str) -> str:
    """What two listeners on one port must differ in."""
    return "udp" if protocol == "UDP" else "tcp"


def listener(one: Listener) -> None:
    """Raise `Invalid` or `Unsupported` for a listener that cannot be."""
    one.protocol_port = port(one.protocol_port)
    if one.protocol in ("SCTP", "PROMETHEUS"):
        raise Unsupported(
            f"Provider 'octavia' does not support a requested option: protocol {one.protocol}", "protocol"
        )
    secure = one.protocol == "TERMINATED_HTTPS"
    if secure and one.default_tls_container_ref is None and not one.sni_container_refs:
        raise Invalid(
            "An SNI or default certificate container reference must be provided with TERMINATED_HTTPS listeners"
        )
    if not secure and (given := [name for name in _TLS if getattr(one, name)]):
        raise Invalid(f"{', '.join(given)} of a {one.protocol} listener: possible with TERMINATED_HTTPS only", "schema")
    if one.client_authentication != "NONE" and one.client_ca_tls_container_ref is None:
        raise Invalid("client_authentication needs client_ca_tls_container_ref", "schema")
    if one.client_crl_container_ref and one.client_ca_tls_container_ref is None:
        raise Invalid("client_crl_container_ref needs client_ca_tls_container_ref", "schema")
    _strong(one.tls_versions)
    for name, value in one.insert_headers.items():
        known = one.protocol in HTTP and (name in HEADERS or (secure and name in SSL_HEADERS))
        if not known or value.lower() not in ("true", "false"):
            raise Invalid(f"{name}: {value} is not a valid option for insert_headers of {one.protocol}", "schema")
    if one.l7policies and one.protocol not in HTTP:
        raise Invalid(f"L7 policies are possible with HTTP and TERMINATED_HTTPS, not with {one.protocol}", "schema")
    if one.allowed_cidrs is not None:
        one.allowed_cidrs = [cidr(each) for each in one.allowed_cidrs]


def _strong(versions: list[Version] | None) -> None:
    if old := [each for each in versions or () if each in ("SSLv3", "TLSv1", "TLSv1.1")]:
        raise Invalid(f"TLS versions {', '.join(old)} are not allowed here; use TLSv1.2 and TLSv1.3", "schema")


def suits(protocol: str, pool_protocol: str) -> None:
    """Raise `Invalid` for a pool that no listener of this protocol can use."""
    if pool_protocol not in SUITED.get(protocol, frozenset()):
        raise Invalid(
            f"Validation failure: The pool protocol '{pool_protocol}' is invalid while the listener protocol is "
            f"'{protocol}'.",
            "schema",
        )


def pool(one: Pool) -> None:
    """The same for a pool."""
    if one.protocol == "SCTP" or one.lb_algorithm == "SOURCE_IP_PORT":
        what = one.protocol if one.protocol == "SCTP" else one.lb_algorithm
        raise Unsupported(f"Provider 'octavia' does not support a requested option: {what}", "protocol")
    if one.tls_container_ref or one.crl_container_ref:
        raise Unsupported("client certificates and revocation lists towards members are not supported", "tls")
    _strong(one.tls_versions)
    if one.tls_enabled and one.protocol not in ("HTTP", "TCP", "PROXY", "PROXYV2"):
        raise Invalid(f"tls_enabled is not possible with {one.protocol}", "schema")
    stick = one.session_persistence
    if stick is None:
        return
    if (stick.type == "APP_COOKIE") != (stick.cookie_name is not None):
        raise Invalid("session_persistence: cookie_name goes with type APP_COOKIE, and only with it", "schema")
    if stick.type != "SOURCE_IP" and one.protocol not in ("HTTP", "PROXY", "PROXYV2"):
        raise Invalid(f"session_persistence {stick.type} is not possible with {one.protocol}", "schema")
    if one.protocol != "UDP" and (stick.persistence_timeout or stick.persistence_granularity):
        raise Invalid("persistence_timeout and persistence_granularity are possible with UDP only", "schema")
    if stick.persistence_granularity:
        raise Unsupported("session_persistence: persistence_granularity is not supported", "schema")


def member(one: Member, beside: list[dict[str, Any]]) -> None:
    """The same for a member; `beside`: the specs of the pool's others."""
    one.protocol_port = port(one.protocol_port)
    one.address = address(one.address)
    if one.monitor_address is not None:
        one.monitor_address = address(one.monitor_address, "monitor_address")
    if any((each["address"], each["protocol_port"]) == (one.address, one.protocol_port) for each in beside):
        raise Conflict(
            f"Another member on this pool is already using ip {one.address} on protocol_port {one.protocol_port}",
            "member",
        )


def monitor(one: Monitor, protocol: str) -> None:
    """The same for the monitor of a pool of this protocol; what HTTP checks need gets its default."""
    if one.type == "SCTP":
        raise Unsupported("Provider 'octavia' does not support a requested option: SCTP", "protocol")
    if (protocol == "UDP" and one.type not in _PROBES["UDP"]) or (protocol != "UDP" and one.type == "UDP-CONNECT"):
        raise Invalid(f"The associated pool protocol is {protocol}; a {one.type} monitor is not possible", "schema")
    if one.type in ("HTTP", "HTTPS"):
        one.http_method = one.http_method or "GET"
        one.url_path = one.url_path or "/"
        one.expected_codes = one.expected_codes or "200"
        if one.http_version not in (None, 1.0, 1.1):
            raise Invalid("http_version is 1.0 or 1.1", "schema")
        if one.domain_name and (one.http_version or 1.0) < 1.1:
            raise Invalid("'http_version' must be 1.1 when domain_name is set", "schema")
    elif given := [name for name in ("http_method", "url_path", "expected_codes", "http_version", "domain_name")
                   if getattr(one, name) is not None]:  # fmt: skip
        raise Invalid(f"{', '.join(given)}: possible with HTTP and HTTPS monitors only", "schema")


def policy(one: Policy) -> None:
    """The same for a policy."""
    wanted = {"REDIRECT_TO_POOL": "redirect_pool", "REDIRECT_TO_URL": "redirect_url",
              "REDIRECT_PREFIX": "redirect_prefix", "REJECT": ""}[one.action]  # fmt: skip
    pooled = one.redirect_pool_id or one.redirect_pool
    given = {name for name in ("redirect_url", "redirect_prefix") if getattr(one, name)}
    given |= {"redirect_pool"} if pooled else set()
    if given != ({wanted} if wanted else set()):
        raise Invalid(
            f"Invalid L7 Policy arguments: {one.action} needs {wanted or 'no target'} and nothing else", "schema"
        )
    if one.action in ("REDIRECT_TO_URL", "REDIRECT_PREFIX"):
        one.redirect_http_code = one.redirect_http_code or 302
    elif one.redirect_http_code is not None:
        raise Invalid(f"Invalid L7 Policy arguments: redirect_http_code is not possible with {one.action}", "schema")


def rule(one: Rule, secure: bool) -> None:
    """The same for a rule; `secure`: of a listener that ends TLS."""
    keyed = one.type in ("HEADER", "COOKIE", "SSL_DN_FIELD")
    if keyed != (one.key is not None):
        raise Invalid(f"Error parsing L7Rule: type {one.type} {'needs a key' if keyed else 'has no key'}", "schema")
    if one.type.startswith("SSL_") and not secure:
        raise Invalid(f"Error parsing L7Rule: {one.type} is possible on TERMINATED_HTTPS listeners only", "schema")
    if one.type == "FILE_TYPE" and one.compare_type not in ("EQUAL_TO", "REGEX"):
        raise Invalid("Error parsing L7Rule: FILE_TYPE compares by EQUAL_TO or REGEX", "schema")
    if one.type == "SSL_CONN_HAS_CERT" and (one.compare_type, one.value.lower()) != ("EQUAL_TO", "true"):
        raise Invalid("Error parsing L7Rule: SSL_CONN_HAS_CERT compares by EQUAL_TO with True", "schema")
    if one.type == "SSL_VERIFY_RESULT" and (one.compare_type != "EQUAL_TO" or not re.fullmatch("[0-9]+", one.value)):
        raise Invalid("Error parsing L7Rule: SSL_VERIFY_RESULT compares by EQUAL_TO with a number", "schema")
    if one.type == "SSL_DN_FIELD" and not _DN.fullmatch(one.key or ""):
        raise Invalid("Error parsing L7Rule: the key is not a field of a distinguished name", "schema")
    if one.type in ("HEADER", "COOKIE") and not _TOKEN.fullmatch(one.key or ""):
        raise Invalid(
            f"Error parsing L7Rule: the key is not the name of a {one.type.lower()}; # and ' are not possible", "schema"
        )
    if one.compare_type == "REGEX":
        try:
            re.compile(one.value)
        except re.error as error:
            raise Invalid(
                f"Error parsing L7Rule: {one.value!r} is not a regular expression: {error}", "schema"
            ) from error
