"""Load balancers as the routes see them: every change of a part is a wish that the load balancer's row works off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from andromede.audit.changes import Change, Desk
from andromede.balancer import bodies, store
from andromede.balancer.bodies import LoadBalancer
from andromede.balancer.engine import Certificates, Vip, Vips, VipWish
from andromede.balancer.model import DELETE, RESOURCES, Balancer, Part, Quota
from andromede.balancer.trees import Tree
from andromede.db.table import Reader
from andromede.errors import Conflict, Error, Invalid, NotFound, OverQuota, Unsupported
from andromede.web.call import Call
from andromede.work.lifecycle import begin, signal

PROVIDERS = {"octavia": "HAProxy and nftables in a namespace of the load balancer's own", "amphora": "The same"}
"""What clients may ask for; both are one."""
UNLIMITED = -1
_PLAIN = ("client_ca_tls_container_ref", "client_crl_container_ref", "ca_tls_container_ref")


class Balancers:
    """What the routes do. `host`: where new load balancers run."""

    def __init__(self, desk: Desk, vips: Vips, certificates: Certificates, host: str) -> None:
        self.desk = desk
        self._vips = vips
        self._certificates = certificates
        self._host = host

    # --- reading

    def get(self, reader: Reader, balancer_id: str) -> Balancer:
        """A load balancer. NotFound."""
        found = store.BALANCERS.find(reader, id=balancer_id)
        if found is None:
            raise NotFound(f"Load Balancer {balancer_id} not found.", "loadbalancer")
        return found

    def part(self, reader: Reader, kind: str, part_id: str, parent_id: str = "") -> Part:
        """A part; with `parent_id` only one of that. NotFound."""
        found = store.PARTS.find(reader, id=part_id, kind=kind)
        if found is None or (parent_id and found.parent_id != parent_id):
            raise NotFound(f"{kind} {part_id} not found.", kind)
        return found

    # --- load balancers

    def create(self, call: Call[Any], body: LoadBalancer) -> Balancer:
        """A load balancer with whatever parts came along; a worker makes it."""
        project_id = body.project_id or body.tenant_id or call.who.project_id
        if not project_id:
            raise Invalid("Missing project ID in request where one is required.", "schema")
        wish = self._wish(project_id, body)
        for listener in body.listeners:
            self.certified(call, project_id, bodies.spec_of(listener))
        with self.desk.change(call, f"loadbalancer/{wish.balancer_id}", project_id) as change:
            self._claim(change.tx, project_id)
            vip = self._vips.take(wish, call.request_id, change.tx)
            other = store.BALANCERS.find(change.tx, port_id=vip.port_id)
            if other is not None:
                raise Conflict(
                    f"The VIP port {vip.port_id} is already in use: load balancer {other.id}; name another", "port"
                )
            row = self._row(change.now_us, call.request_id, wish, vip, body)
            store.BALANCERS.insert(change.tx, row)
            self._with_parts(self._tree(change, row), body)
        return row

    def _wish(self, project_id: str, body: LoadBalancer) -> VipWish:
        if body.vip_qos_policy_id or body.vip_sg_ids or body.additional_vips:
            raise Unsupported("vip_qos_policy_id, vip_sg_ids and additional_vips are not supported", "vip")
        if body.flavor_id or (body.provider or "octavia") not in PROVIDERS:
            raise Invalid(f"Provider or flavor {body.flavor_id or body.provider} is not enabled.", "schema")
        if body.availability_zone:
            raise Invalid(
                f"Availability zone {body.availability_zone} is not enabled: load balancers have none; leave it out",
                "schema",
            )
        if not (body.vip_port_id or body.vip_subnet_id or body.vip_network_id):
            raise Invalid("VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.", "schema")
        wanted = bodies.address(body.vip_address, "vip_address") if body.vip_address else ""
        return VipWish(
            self.desk.ids.dashed(), project_id, wanted, body.vip_port_id or "", body.vip_subnet_id or "",
            body.vip_network_id or "",
        )  # fmt: skip

    def _claim(self, reader: Reader, project_id: str) -> None:
        limit = self.limits(reader, project_id)["loadbalancer"]
        if limit >= 0 and store.count(reader, "loadbalancer", project_id) >= limit:
            raise OverQuota(f"Quota has been met for resources: loadbalancer (the limit is {limit})", "quota")

    def _row(self, now: int, request_id: str, wish: VipWish, vip: Vip, body: LoadBalancer) -> Balancer:
        return Balancer(
            state="plugging", since_us=now, due_us=now, request_id=request_id, id=wish.balancer_id,
            project_id=wish.project_id, name=body.name, description=body.description, admin_up=body.admin_state_up,
            address=vip.address, port_id=vip.port_id, subnet_id=vip.subnet_id, network_id=vip.network_id,
            own_port=vip.own, provider=body.provider or "octavia", flavor_id="", zone="",
            tags=body.tags, host=self._host, created_us=now, updated_us=now,
        )  # fmt: skip

    @staticmethod
    def _with_parts(tree: Tree, body: LoadBalancer) -> None:
        """Pools first, so that listeners may name them by name."""
        made = {pool.name: tree.pool(pool).id for pool in body.pools}
        for listener in body.listeners:
            named = listener.default_pool
            if named is not None and not named.members and named.name in made:
                listener.default_pool, listener.default_pool_id = None, made[named.name]
            tree.listener(listener)

    def update(self, call: Call[Any], balancer_id: str, changes: dict[str, Any]) -> Balancer:
        """Change a load balancer's own attributes."""
        columns = {"name": "name", "description": "description", "admin_state_up": "admin_up", "tags": "tags"}
        if wrong := sorted(set(changes) - set(columns)):
            raise Invalid(f"Invalid input: {', '.join(wrong)} of a load balancer cannot be changed", "schema")
        blank = {"name": "", "description": "", "admin_state_up": True, "tags": []}
        values = {name: blank[name] if value is None else value for name, value in changes.items()}
        try:
            msgspec.convert(values, LoadBalancer)
        except msgspec.ValidationError as error:
            raise Invalid(f"Invalid input: {error}", "schema") from error
        with self.changing(call, balancer_id) as tree:
            sets = {columns[name]: value for name, value in values.items()}
            store.BALANCERS.update(tree.change.tx, {"id": balancer_id}, **sets)
        return self.get(self.desk.db, balancer_id)

    def remove(self, call: Call[Any], balancer_id: str, cascade: bool) -> None:
        """Delete a load balancer, with `cascade` with its parts, in any state."""
        with self.desk.change(call, f"loadbalancer/{balancer_id}") as change:
            row = self.get(change.tx, balancer_id)
            change.tenant = row.project_id
            if row.provisioning == DELETE:
                raise immutable(row)
            if not cascade and store.parts(change.tx, balancer_id):
                raise Invalid(
                    f"Validation failure: Cannot delete Load Balancer {balancer_id} - it has children", "schema"
                )
            signal(change.tx, "balancer", balancer_id, "delete", change.now_us)

    def failover(self, call: Call[Any], balancer_id: str) -> None:
        """Start a load balancer anew."""
        with self.desk.change(call, f"loadbalancer/{balancer_id}") as change:
            row = self.get(change.tx, balancer_id)
            change.tenant = row.project_id
            moves = (("active", "error"), "moving")
            if not begin(change.tx, "balancer", row.id, moves, change.now_us, request_id=call.request_id):
                raise immutable(row)

    # --- parts

    @contextmanager
    def changing(self, call: Call[Any], balancer_id: str) -> Iterator[Tree]:
        """A change of a load balancer or its parts. Conflict while an earlier one is under way."""
        with self.desk.change(call, f"loadbalancer/{balancer_id}") as change:
            row = self.get(change.tx, balancer_id)
            change.tenant = row.project_id
            moves, now = (("active", "error"), "updating"), change.now_us
            gone = "delete" in row.signals.split()
            if gone or not begin(
                change.tx, "balancer", row.id, moves, now, request_id=call.request_id, updated_us=now
            ):  # fmt: skip
                raise immutable(row)
            yield self._tree(change, row)

    def _tree(self, change: Change, row: Balancer) -> Tree:
        limits = self.limits(change.tx, row.project_id)
        return Tree(change, row, self.desk.ids, lambda resource: limits[resource])

    def add(self, call: Call[Any], balancer_id: str, make: Callable[[Tree], Part]) -> Part:
        """A new part."""
        with self.changing(call, balancer_id) as tree:
            made = make(tree)
            tree.change.object = f"{made.kind}/{made.id}"
        return made

    def change(self, call: Call[Any], row: Part, changes: dict[str, Any]) -> Part:
        """Other attributes of a part."""
        with self.changing(call, row.balancer_id) as tree:
            tree.change.object = f"{row.kind}/{row.id}"
            changed = tree.update(tree.part(row.kind, row.id), dict(changes))
        return changed

    def drop(self, call: Call[Any], row: Part) -> None:
        """Remove a part."""
        with self.changing(call, row.balancer_id) as tree:
            tree.change.object = f"{row.kind}/{row.id}"
            tree.remove(tree.part(row.kind, row.id))

    def certified(self, call: Call[Any], project_id: str, spec: dict[str, Any]) -> None:
        """Raise `Invalid` when a certificate that a listener or pool names cannot be had."""
        named = [
            ("pem", ref) for ref in (spec.get("default_tls_container_ref"), *(spec.get("sni_container_refs") or ()))
        ]
        named += [("plain", spec.get(name)) for name in _PLAIN]
        for how, ref in named:
            if not ref:
                continue
            look = self._certificates.pem if how == "pem" else self._certificates.plain
            try:
                look(ref, project_id, "loadbalancer", call.request_id)
            except Error as error:
                raise Invalid(f"Could not retrieve certificate: {ref}: {error.public}", "certificate") from error

    # --- quotas

    def limits(self, reader: Reader, project_id: str) -> dict[str, int]:
        """Every limit of a project; -1: none."""
        own = store.QUOTAS.find(reader, project_id=project_id)
        return dict.fromkeys(RESOURCES, UNLIMITED) | (own.limits if own else {})

    def set_limits(self, call: Call[Any], project_id: str, limits: dict[str, int | None]) -> dict[str, int]:
        """Change limits of a project; None is the default."""
        with self.desk.change(call, f"quota/{project_id}", project_id) as change:
            own = store.QUOTAS.find(change.tx, project_id=project_id)
            merged = {**(own.limits if own else {}), **limits}
            kept = {name: value for name, value in merged.items() if value is not None}
            store.QUOTAS.remove(change.tx, project_id=project_id)
            store.QUOTAS.insert(change.tx, Quota(project_id, kept))
            return self.limits(change.tx, project_id)

    def drop_limits(self, call: Call[Any], project_id: str) -> None:
        """Give a project the defaults again."""
        with self.desk.change(call, f"quota/{project_id}", project_id) as change:
            if not store.QUOTAS.remove(change.tx, project_id=project_id):
                raise NotFound(f"Quota for project {project_id} not found.", "quota")


def immutable(row: Balancer) -> Conflict:
    """The refusal of a change while an earlier one is under way."""
    text = (
        f"Load Balancer {row.id} is immutable and cannot be updated: it is {row.provisioning}; try again once it is not"
    )
    return Conflict(text, "immutable")
