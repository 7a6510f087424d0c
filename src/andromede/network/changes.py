"""From rows to a difference: what a fabric is asked for when nothing but ports of a network has changed."""

from __future__ import annotations

from andromede.db.table import Reader
from andromede.network import links_store, parts, work_store
from andromede.network.engine import NONE, NetworkChange
from andromede.network.model import PartRow
from andromede.network.parts import Place
from andromede.network.tables import PORTS

MOST = 100
"""Changes of ports that are carried one by one; with more, the whole is no more work."""


def difference(tx: Reader, part: PartRow, place: Place) -> NetworkChange | None:
    """What leads a network from the generation in force to the one wished, read from the rows of what changed; None
    where more than ports has changed, where nothing has, and where the network may have nobody left here."""
    if part.kind != "network" or not 0 < part.loaded < part.wished:
        return None
    rows = work_store.shifts(tx, part.id, part.loaded, MOST + 1)
    if len(rows) > MOST or {row[0] for row in rows} != set(range(part.loaded + 1, part.wished + 1)):
        return None
    ids = sorted({port_id for _, port_id, _ in rows})
    guests = [
        port
        for port in PORTS.select(tx, {"id": ids, "network_id": part.id})
        if port.host and port.device_owner not in parts.OWN
    ]
    held = [port.id for port in guests]
    addresses, groups = links_store.addresses(tx, held), links_store.groups_of(tx, held)
    ports = tuple(parts.port(one, addresses.get(one.id, []), groups.get(one.id, []), place) for one in guests)
    if all(one.kind == NONE for one in ports) and not work_store.inhabited(tx, part.id, place.host):
        return None
    asked = sorted({member for _, _, members in rows for member in members})
    there = links_store.members_among(tx, asked, parts.reached(tx, part.id)) if asked else set()
    shown, _ = parts.groups(tx, {group for own in groups.values() for group in own})
    return NetworkChange(
        part.id,
        part.loaded,
        part.wished,
        ports,
        tuple(sorted(set(ids) - set(held))),
        shown,
        tuple((group, text, (group, text) in there) for group, text in asked),
    )
