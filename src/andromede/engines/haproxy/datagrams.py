"""UDP by the kernel: the rules of a load balancer's namespace that spread datagrams over members (nft(8)). A flow stays
with its member as long as the kernel tracks it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from andromede.balancer.engine import BalancerPart, ListenerPart, MemberPart, PoolPart

TABLE = "balancer"


def rules(part: BalancerPart) -> str:
    """One transaction that replaces everything: the table is empty where no listener takes datagrams."""
    version = ipaddress.ip_address(part.address).version
    family = "ip" if version == 4 else "ip6"
    pools = {pool.id: pool for pool in part.pools}
    spread = [
        line for each in part.listeners if each.protocol == "UDP" for line in _listener(part, each, pools, family)
    ]
    lines = [f"add table {family} {TABLE}", f"delete table {family} {TABLE}", f"table {family} {TABLE} {{"]
    lines += [" chain pre { type nat hook prerouting priority -100; policy accept;", *spread, " }"]
    lines += [
        " chain post { type nat hook postrouting priority 100; policy accept;",
        "  ct status dnat masquerade",
        " }",
        " chain forward { type filter hook forward priority 0; policy drop;",
        "  ct status dnat accept",
        " }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _chosen(pool: PoolPart) -> list[MemberPart]:
    """Members that are up and weigh something; the backups once there is no other."""
    alive = [member for member in pool.members if member.up and member.weight > 0]
    return [member for member in alive if not member.backup] or alive


def _listener(
    part: BalancerPart, listener: ListenerPart, pools: dict[str, PoolPart], family: str
) -> Iterator[str]:  # fmt: skip
    pool = pools.get(listener.pool_id)
    version = 4 if family == "ip" else 6
    members = [
        each for each in (_chosen(pool) if pool else []) if ipaddress.ip_address(each.address).version == version
    ]
    if pool is None or not members:
        return
    total = sum(member.weight for member in members)
    by = f"jhash {family} saddr" if "SOURCE_IP" in (pool.stick, pool.algorithm) else "numgen inc"
    spans, at = [], 0
    for member in members:
        last = at + member.weight - 1
        span = str(at) if member.weight == 1 else f"{at}-{last}"
        spans.append(f"{span} : {member.address} . {member.port}")
        at = last + 1
    sources = f"{family} saddr {{ {', '.join(listener.sources)} }} " if listener.sources else ""
    yield (
        f"  {sources}{family} daddr {part.address} udp dport {listener.port} dnat to {by} mod {total} map "
        f"{{ {', '.join(spans)} }}"
    )
