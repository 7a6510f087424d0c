"""Conditions over the table `t`: who sees which rows, and filters that no column answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andromede.network.faults import bad
from andromede.network.kinds import boolean
from andromede.network.shape import Who


def own(who: Who) -> tuple[str, list[Any]]:
    """Rows of one's own project."""
    return "t.project_id = ?", [who.project_id]


def shared_by_policy(who: Who) -> tuple[str, list[Any]]:
    """Rows of one's own, and those that a policy shows."""
    sql = "t.id IN (SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' AND target_tenant IN (?, '*'))"
    return f"(t.project_id = ? OR {sql})", [who.project_id, who.project_id]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def truth(values: Sequence[str]) -> bool:
    """A truth value of a query."""
    return boolean("filter", values[-1])


def networks(who: Who) -> tuple[str, list[Any]]:
    sql, params = shared_by_policy(who)
    return f"({sql} OR t.external = 1)", params


def shared_network(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = "t.id IN (SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' AND target_tenant IN ('*', ?))"
    return (sql if truth(values) else f"NOT {sql}"), [who.project_id]


def subnets(who: Who) -> tuple[str, list[Any]]:
    sql = (
        "t.network_id IN (SELECT id FROM network_network WHERE project_id = ?) OR t.network_id IN "
        "(SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' AND target_tenant IN (?, '*'))"
    )
    return f"(t.project_id = ? OR {sql})", [who.project_id] * 3


def of_shared_network(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = (
        "t.network_id IN (SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' "
        "AND target_tenant IN ('*', ?))"
    )
    return (sql if truth(values) else f"NOT {sql}"), [who.project_id]


def ports(who: Who) -> tuple[str, list[Any]]:
    sql = "t.network_id IN (SELECT id FROM network_network WHERE project_id = ?)"
    return f"(t.project_id = ? OR {sql})", [who.project_id] * 2


def fixed_ips(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    """`fixed_ips=ip_address=10.0.0.3`, `subnet_id=…`, `ip_address_substr=…`; pairs of one kind are alternatives."""
    wanted: dict[str, list[str]] = {}
    for value in values:
        name, equals, text_ = value.partition("=")
        if not equals or name not in ("ip_address", "subnet_id", "ip_address_substr"):
            bad(f"'{value}' is no filter of fixed_ips: use ip_address=, subnet_id= or ip_address_substr=")
        wanted.setdefault(name, []).append(text_)
    parts, params = [], []
    for name, texts in wanted.items():
        if name == "ip_address_substr":
            parts.append("(" + " OR ".join("a.address LIKE ? ESCAPE '!'" for _ in texts) + ")")
            params += ["%" + t.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%" for t in texts]
        else:
            parts.append(f"a.{'address' if name == 'ip_address' else name} IN ({_marks(texts)})")
            params += texts
    where = " AND ".join(parts)
    return f"EXISTS (SELECT 1 FROM network_address a WHERE a.port_id = t.id AND {where})", params


def port_groups(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = f"SELECT 1 FROM network_port_group g WHERE g.port_id = t.id AND g.group_id IN ({_marks(values)})"
    return f"EXISTS ({sql})", list(values)


def rules(who: Who) -> tuple[str, list[Any]]:
    sql = "t.group_id IN (SELECT id FROM network_group WHERE project_id = ?)"
    return f"(t.project_id = ? OR {sql})", [who.project_id] * 2


def belongs_to_default(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = "t.group_id IN (SELECT id FROM network_group WHERE is_default = 1)"
    return (sql if truth(values) else f"NOT {sql}"), []


def pools(who: Who) -> tuple[str, list[Any]]:
    return "(t.project_id = ? OR t.shared = 1)", [who.project_id]
