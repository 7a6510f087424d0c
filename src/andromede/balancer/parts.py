"""From rows to what is carried: the one function that renders a whole load balancer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.balancer import store
from andromede.balancer.engine import (
    BalancerPart,
    Certificates,
    ListenerPart,
    MemberPart,
    MonitorPart,
    PolicyPart,
    PoolPart,
    RulePart,
)
from andromede.balancer.model import (
    DELETE,
    DOWN,
    LISTENER,
    MEMBER,
    MONITOR,
    POLICY,
    POOL,
    RULE,
    Balancer,
    Part,
)
from andromede.db import Database


class _Rows:
    def __init__(self, rows: list[Part]) -> None:
        self._rows = [row for row in rows if row.provisioning != DELETE and row.spec.get("admin_state_up", True)]

    def of(self, kind: str, parent_id: str) -> list[Part]:
        return [row for row in self._rows if row.kind == kind and row.parent_id == parent_id]


def wish(db: Database, certificates: Certificates) -> Callable[[Balancer], BalancerPart]:
    """How a load balancer is to be. What is switched off is left out."""

    def whole(row: Balancer) -> BalancerPart:
        rows = _Rows(store.parts(db, row.id) if row.admin_up else [])
        pem = _Pem(certificates, row)
        pools = tuple(_pool(rows, each, pem) for each in rows.of(POOL, row.id))
        known = {pool.id for pool in pools}
        listeners = tuple(_listener(rows, each, known, pem) for each in rows.of(LISTENER, row.id))
        return BalancerPart(row.id, row.port_id, row.address, listeners, pools)

    return whole


class _Pem:
    def __init__(self, certificates: Certificates, row: Balancer) -> None:
        self._certificates, self._row = certificates, row

    def pem(self, ref: str) -> bytes:
        row = self._row
        return self._certificates.pem(ref, row.project_id, f"loadbalancer/{row.id}", row.request_id)

    def plain(self, ref: str | None) -> bytes:
        row = self._row
        if not ref:
            return b""
        return self._certificates.plain(ref, row.project_id, f"loadbalancer/{row.id}", row.request_id)


def _pool(rows: _Rows, row: Part, pem: _Pem) -> PoolPart:
    spec = row.spec
    stick = spec.get("session_persistence") or {}
    monitors = rows.of(MONITOR, row.id)
    return PoolPart(
        row.id, spec["protocol"], spec["lb_algorithm"],
        tuple(_member(each) for each in rows.of(MEMBER, row.id)),
        _monitor(monitors[0].spec) if monitors else None,
        stick.get("type", ""), stick.get("cookie_name") or "",
        bool(spec.get("tls_enabled")), pem.plain(spec.get("ca_tls_container_ref")),
        spec.get("tls_ciphers") or "", tuple(spec.get("tls_versions") or ()), tuple(spec.get("alpn_protocols") or ()),
    )  # fmt: skip


def _member(row: Part) -> MemberPart:
    spec = row.spec
    return MemberPart(
        row.id, spec["address"], spec["protocol_port"], spec["weight"], spec["backup"],
        spec.get("monitor_address") or "", spec.get("monitor_port") or 0, row.health != DOWN,
    )  # fmt: skip


def _monitor(spec: dict[str, Any]) -> MonitorPart:
    return MonitorPart(
        spec["type"], spec["delay"], spec["timeout"], spec["max_retries"], spec["max_retries_down"],
        spec.get("http_method") or "GET", spec.get("url_path") or "/", spec.get("expected_codes") or "200",
        spec.get("http_version") or 1.0, spec.get("domain_name") or "",
    )  # fmt: skip


def _policy(rows: _Rows, row: Part, pools: set[str]) -> PolicyPart | None:
    spec = row.spec
    target = spec.get("redirect_pool_id") or spec.get("redirect_url") or spec.get("redirect_prefix") or ""
    if spec["action"] == "REDIRECT_TO_POOL" and target not in pools:
        return None
    rules = tuple(
        RulePart(each.spec["type"], each.spec["compare_type"], each.spec["value"], each.spec.get("key") or "",
                 bool(each.spec.get("invert")))
        for each in rows.of(RULE, row.id)
    )  # fmt: skip
    return PolicyPart(row.id, spec["action"], target, spec.get("redirect_http_code") or 302, rules)


def _hsts(spec: dict[str, Any]) -> str:
    if spec.get("hsts_max_age") is None:
        return ""
    more = "; includeSubDomains" if spec.get("hsts_include_subdomains") else ""
    return f"max-age={spec['hsts_max_age']}{more}{'; preload' if spec.get('hsts_preload') else ''}"


def _listener(rows: _Rows, row: Part, pools: set[str], pem: _Pem) -> ListenerPart:
    spec = row.spec
    policies = [_policy(rows, each, pools) for each in rows.of(POLICY, row.id)]
    refs = [ref for ref in (spec.get("default_tls_container_ref"), *spec.get("sni_container_refs", ())) if ref]
    default = spec.get("default_pool_id") or ""
    return ListenerPart(
        id=row.id, protocol=spec["protocol"], port=spec["protocol_port"], limit=spec["connection_limit"],
        pool_id=default if default in pools else "",
        policies=tuple(each for each in policies if each is not None and each.rules),
        headers=tuple(name for name, value in sorted(spec["insert_headers"].items()) if value.lower() == "true"),
        sources=tuple(spec.get("allowed_cidrs") or ()), client_ms=spec["timeout_client_data"],
        connect_ms=spec["timeout_member_connect"], member_ms=spec["timeout_member_data"],
        inspect_ms=spec["timeout_tcp_inspect"], certificates=tuple(pem.pem(ref) for ref in refs),
        client_auth=spec["client_authentication"], client_ca=pem.plain(spec.get("client_ca_tls_container_ref")),
        client_crl=pem.plain(spec.get("client_crl_container_ref")), ciphers=spec.get("tls_ciphers") or "",
        versions=tuple(spec.get("tls_versions") or ()), alpn=tuple(spec.get("alpn_protocols") or ()),
        hsts=_hsts(spec),
    )  # fmt: skip
