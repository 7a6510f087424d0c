"""Hosts as admins see them: zones, hypervisors, services, hosts (Compute API, the sections of these names)."""

from __future__ import annotations

import json
import re
from typing import Any

from andromede.compute.checks import Fields, is_uuid
from andromede.compute.core import fine, version
from andromede.compute.listing import page, with_links
from andromede.compute.model import Host, State
from andromede.compute.service import Compute
from andromede.compute.tables import SERVERS
from andromede.errors import Invalid, NotFound, Unsupported
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
V53 = ((2, 53), None)
TO52 = (None, (2, 52))
BINARY = "nova-compute"

# --- zones


def _zones(call: ComputeCall, detail: bool) -> Body:
    hosts, found = call.services.hosts, []
    zones = call.services.hosts.zones() or {call.services.core.zone: []}
    for name, listed in sorted(zones.items()):
        up = [host for host in listed if hosts.is_up(host) and host.enabled]
        inside = {
            host.name: {
                BINARY: {"available": hosts.is_up(host), "active": host.enabled, "updated_at": fine(host.seen_us)}
            }
            for host in listed
        }
        state = {"available": bool(up) or not listed}
        found.append({"zoneName": name, "zoneState": state, "hosts": inside if detail else None})
    return {"availabilityZoneInfo": found}


@routes.add("GET", "/v2.1/os-availability-zone", "compute:list_zones")
def list_zones(call: ComputeCall) -> Body:
    """The availability zones."""
    return _zones(call, False)


@routes.add("GET", "/v2.1/os-availability-zone/detail", "compute:list_zones_detail")
def list_zones_detail(call: ComputeCall) -> Body:
    """The same with their hosts."""
    return _zones(call, True)


# --- hypervisors


def _id(call: ComputeCall, host: Host) -> str | int:
    return host.id if version(call) >= (2, 53) else host.number


def _service_id(call: ComputeCall, host: Host) -> str | int:
    return host.service_id if version(call) >= (2, 53) else host.number


def _brief(call: ComputeCall, host: Host) -> Body:
    return {
        "id": _id(call, host),
        "hypervisor_hostname": host.name,
        "state": "up" if call.services.hosts.is_up(host) else "down",
        "status": "enabled" if host.enabled else "disabled",
    }


def _guests(call: ComputeCall, host: Host) -> list[Any]:
    rows = SERVERS.select(call.services.core.desk.db, {"host": host.name})
    return [row for row in rows if row.state != State.DELETED]


def _figures(call: ComputeCall, host: Host) -> Body:
    used, _ = call.services.hosts.used(host)
    guests = _guests(call, host)
    disk, memory = used.get("DISK_GB", 0), used.get("MEMORY_MB", 0)
    return {
        "vcpus": host.vcpus,
        "vcpus_used": used.get("VCPU", 0),
        "memory_mb": host.memory_mb,
        "memory_mb_used": memory,
        "free_ram_mb": host.memory_mb - memory,
        "local_gb": host.disk_gb,
        "local_gb_used": disk,
        "free_disk_gb": host.disk_gb - disk,
        "disk_available_least": host.disk_gb - disk,
        "running_vms": len(guests),
        "current_workload": sum(1 for row in guests if row.due_us is not None),
    }


def _servers(call: ComputeCall, host: Host) -> list[Body]:
    return [{"uuid": row.id, "name": row.name} for row in _guests(call, host)]


def _whole(call: ComputeCall, host: Host) -> Body:
    info: Any = host.cpu if version(call) >= (2, 28) else json.dumps(host.cpu)
    body = {
        **_brief(call, host),
        **_figures(call, host),
        "hypervisor_type": host.kind,
        "hypervisor_version": host.version,
        "host_ip": host.address,
        "cpu_info": info,
        "service": {
            "id": _service_id(call, host),
            "host": host.name,
            "disabled_reason": host.disabled_reason or None,
        },
    }
    if version(call) >= (2, 53) and call.query.flag("with_servers"):
        body["servers"] = _servers(call, host)
    return body


def _hypervisors(call: ComputeCall) -> tuple[list[Host], list[Any]]:
    rows, pattern = call.services.hosts.listed(), call.query.get("hypervisor_hostname_pattern")
    if pattern and version(call) >= (2, 53):
        if "limit" in call.query or "marker" in call.query:
            raise Invalid(
                "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not possible."
            )
        rows = [host for host in rows if pattern in host.name]
        if not rows:
            raise NotFound(f"No hypervisor matching '{pattern}' could be found.", "hypervisor")
    if version(call) < (2, 33):
        return rows, []
    return page(call, rows, ("hypervisors", "hypervisor"), "id" if version(call) >= (2, 53) else "mark")


HV = "/v2.1/os-hypervisors"


@routes.add("GET", HV, "compute:list_hypervisors")
def list_hypervisors(call: ComputeCall) -> Body:
    """Hypervisors by name."""
    rows, links = _hypervisors(call)
    found = [_brief(call, host) for host in rows]
    if version(call) >= (2, 53) and call.query.flag("with_servers"):
        found = [{**body, "servers": _servers(call, host)} for body, host in zip(found, rows, strict=True)]
    return with_links({"hypervisors": found}, "hypervisors_links", links)


@routes.add("GET", HV + "/detail", "compute:list_hypervisors")
def list_hypervisors_detail(call: ComputeCall) -> Body:
    """Hypervisors wholly."""
    rows, links = _hypervisors(call)
    return with_links({"hypervisors": [_whole(call, host) for host in rows]}, "hypervisors_links", links)


@routes.add("GET", HV + "/statistics", "compute:list_hypervisors")
def show_statistics(call: ComputeCall) -> Body:
    """Their sums."""
    sums: Body = {"count": 0}
    for host in call.services.hosts.listed():
        sums["count"] += 1
        for name, value in _figures(call, host).items():
            sums[name] = sums.get(name, 0) + value
    zeros = dict.fromkeys(
        ("vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb", "local_gb_used",
         "free_disk_gb", "disk_available_least", "running_vms", "current_workload"), 0,
    )  # fmt: skip
    return {"hypervisor_statistics": {**zeros, **sums}}


def _hypervisor(call: ComputeCall) -> Host:
    key = call.params["hypervisor"]
    if version(call) >= (2, 53):
        if not is_uuid(key):
            raise Invalid(f"Invalid uuid {key}", "hypervisor")
        found = call.services.hosts.find(id=key)
    else:
        found = call.services.hosts.find(number=int(key)) if re.fullmatch(r"[0-9]{1,9}", key) else None
    if found is None:
        raise NotFound(f"Hypervisor with ID '{key}' could not be found.", "hypervisor")
    return found


@routes.add("GET", HV + "/{hypervisor}", "compute:show_hypervisor")
def show_hypervisor(call: ComputeCall) -> Body:
    """One hypervisor."""
    return {"hypervisor": _whole(call, _hypervisor(call))}


@routes.add("GET", HV + "/{hypervisor}/uptime", "compute:show_hypervisor")
def show_uptime(call: ComputeCall) -> Body:
    """For how long its machine runs."""
    host = _hypervisor(call)
    seconds = max(0, call.services.core.desk.clock.now_us() - (host.booted_us or host.created_us)) // 1_000_000
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    text = f"up {days} days, {hours}:{minutes:02d}, {len(_guests(call, host))} guests"
    return {"hypervisor": {**_brief(call, host), "uptime": text}}


def _matching(call: ComputeCall) -> list[Host]:
    word = call.params["hypervisor"]
    rows = [host for host in call.services.hosts.listed() if word in host.name]
    if not rows:
        raise NotFound(f"No hypervisor matching '{word}' could be found.", "hypervisor")
    return rows


@routes.add("GET", HV + "/{hypervisor}/search", "compute:show_hypervisor", versions=TO52)
def search_hypervisors(call: ComputeCall) -> Body:
    """Hypervisors with a word in their names."""
    return {"hypervisors": [_brief(call, host) for host in _matching(call)]}


@routes.add("GET", HV + "/{hypervisor}/servers", "compute:show_hypervisor", versions=TO52)
def list_guests(call: ComputeCall) -> Body:
    """The same with their servers."""
    return {"hypervisors": [_brief(call, host) | {"servers": _servers(call, host)} for host in _matching(call)]}


# --- services

SV = "/v2.1/os-services"


def _service(call: ComputeCall, host: Host) -> Body:
    body = {
        "id": _service_id(call, host),
        "binary": BINARY,
        "host": host.name,
        "zone": call.services.hosts.zone_of(host.name),
        "status": "enabled" if host.enabled else "disabled",
        "state": "up" if call.services.hosts.is_up(host) else "down",
        "updated_at": fine(host.seen_us),
        "disabled_reason": host.disabled_reason or None,
    }
    return {**body, "forced_down": host.forced_down} if version(call) >= (2, 11) else body


@routes.add("GET", SV, "compute:list_services")
def list_services(call: ComputeCall) -> Body:
    """The service of each host."""
    host, binary = call.query.get("host"), call.query.get("binary")
    rows = [row for row in call.services.hosts.listed() if host in (None, row.name) and binary in (None, BINARY)]
    return {"services": [_service(call, row) for row in rows]}


def _named(call: ComputeCall, fields: Fields) -> Host:
    fields.need("host", "binary")
    name, binary = fields.text("host", 1, 255) or "", fields.text("binary", 1, 255)
    found = call.services.hosts.find(name=name)
    if found is None or binary != BINARY:
        raise NotFound(f"Could not find binary {binary} on host {name}.", "service")
    return found


@routes.add("PUT", SV + "/enable", "compute:update_service", body=Body, versions=TO52)
def enable_service(call: ComputeCall, body: Body) -> Body:
    """Let new servers come to a host."""
    fields = Fields(body, "body")
    fields.only("host", "binary")
    host = call.services.hosts.change(call, _named(call, fields), enabled=True, disabled_reason="")
    return {"service": {"host": host.name, "binary": BINARY, "status": "enabled"}}


@routes.add("PUT", SV + "/disable", "compute:update_service", body=Body, versions=TO52)
def disable_service(call: ComputeCall, body: Body) -> Body:
    """Keep new servers off a host."""
    fields = Fields(body, "body")
    fields.only("host", "binary")
    host = call.services.hosts.change(call, _named(call, fields), enabled=False)
    return {"service": {"host": host.name, "binary": BINARY, "status": "disabled"}}


@routes.add("PUT", SV + "/disable-log-reason", "compute:update_service", body=Body, versions=TO52)
def disable_reason(call: ComputeCall, body: Body) -> Body:
    """The same with the reason."""
    fields = Fields(body, "body")
    fields.only("host", "binary", "disabled_reason")
    fields.need("disabled_reason")
    reason = fields.name("disabled_reason") or ""
    host = call.services.hosts.change(call, _named(call, fields), enabled=False, disabled_reason=reason)
    shown = {"host": host.name, "binary": BINARY, "status": "disabled", "disabled_reason": reason}
    return {"service": shown}


@routes.add("PUT", SV + "/force-down", "compute:update_service", body=Body, versions=((2, 11), (2, 52)))
def force_down(call: ComputeCall, body: Body) -> Body:
    """Call a host down whatever it says of itself, or no longer."""
    fields = Fields(body, "body")
    fields.only("host", "binary", "forced_down")
    host = call.services.hosts.change(call, _named(call, fields), forced_down=fields.flag("forced_down"))
    return {"service": {"host": host.name, "binary": BINARY, "forced_down": host.forced_down}}


def _service_of(call: ComputeCall) -> Host:
    key = call.params["service_id"]
    if version(call) >= (2, 53):
        if not is_uuid(key):
            raise Invalid(f"Invalid uuid {key}", "service")
        found = call.services.hosts.find(service_id=key)
    else:
        found = call.services.hosts.find(number=int(key)) if re.fullmatch(r"[0-9]{1,9}", key) else None
    if found is None:
        raise NotFound(f"Service {key} not found.", "service")
    return found


@routes.add("PUT", SV + "/{service_id}", "compute:update_service", body=Body, versions=V53)
def update_service(call: ComputeCall, body: Body) -> Body:
    """Enable, disable, call down."""
    fields = Fields(body, "body")
    fields.only("status", "disabled_reason", "forced_down")
    status = fields.choice("status", "enabled", "disabled")
    if "disabled_reason" in fields and status != "disabled":
        raise Invalid("Specifying disabled_reason when status is enabled is invalid.", "schema")
    if not fields.raw:
        raise Invalid("No updates were requested. Fields 'status' or 'forced_down' should be specified.", "schema")
    changes: Body = {}
    if status is not None:
        reason = (fields.name("disabled_reason") or "") if status == "disabled" else ""
        changes |= {"enabled": status == "enabled", "disabled_reason": reason}
    if "forced_down" in fields:
        changes["forced_down"] = fields.flag("forced_down")
    return {"service": _service(call, call.services.hosts.change(call, _service_of(call), **changes))}


@routes.add("DELETE", SV + "/{service_id}", "compute:delete_service", status=204)
def delete_service(call: ComputeCall) -> None:
    """Forget a host that has no guests; one that lives comes back."""
    call.services.hosts.remove(call, _service_of(call))


# --- hosts, until 2.42

TO42 = (None, (2, 42))
HO = "/v2.1/os-hosts"


@routes.add("GET", HO, "compute:list_hosts", versions=TO42)
def list_hosts(call: ComputeCall) -> Body:
    """Hosts and their zones; what schedules and conducts runs beside each."""
    zone, service = call.query.get("zone") or None, call.query.get("service") or None
    found = [
        {"host_name": host.name, "service": word, "zone": where}
        for name, listed in sorted(call.services.hosts.zones().items())
        for host in listed
        for word, where in (("compute", name), ("conductor", "internal"), ("scheduler", "internal"))
        if zone in (None, where) and service in (None, word)
    ]
    return {"hosts": found}


def _host(call: ComputeCall) -> Host:
    return call.services.hosts.named(call.params["host"])


def _resource(host: Host, project: str, cpu: int, memory: int, disk: int) -> Body:
    return {"resource": {"host": host.name, "project": project, "cpu": cpu, "memory_mb": memory, "disk_gb": disk}}


@routes.add("GET", HO + "/{host}", "compute:show_host", versions=TO42)
def show_host(call: ComputeCall) -> Body:
    """What a host has, and who uses it."""
    host = _host(call)
    used, guests = call.services.hosts.used(host)[0], _guests(call, host)
    rows = [
        _resource(host, "(total)", host.vcpus, host.memory_mb, host.disk_gb),
        _resource(host, "(used_now)", used.get("VCPU", 0), used.get("MEMORY_MB", 0), used.get("DISK_GB", 0)),
        _resource(host, "(used_max)", *_sum(guests)),
    ]
    for project in sorted({row.project_id for row in guests}):
        rows.append(_resource(host, project, *_sum([row for row in guests if row.project_id == project])))
    return {"host": rows}


def _sum(guests: list[Any]) -> tuple[int, int, int]:
    return sum(g.vcpus for g in guests), sum(g.ram_mb for g in guests), sum(g.root_gb for g in guests)


@routes.add("PUT", HO + "/{host}", "compute:change_host", body=Body, versions=TO42)
def update_host(call: ComputeCall, body: Body) -> Body:
    """Enable or disable a host."""
    fields = Fields(body, "body")
    fields.only("status", "maintenance_mode")
    status = fields.choice("status", "enable", "disable", "Enable", "Disable")
    mode = fields.choice("maintenance_mode", "enable", "disable", "Enable", "Disable")
    host = _host(call)
    if mode is not None:
        raise Unsupported("hosts have no maintenance mode; disable the host instead", "host")
    if status is None:
        raise Invalid("status or maintenance_mode is needed", "schema")
    host = call.services.hosts.change(call, host, enabled=status.lower() == "enable")
    return {"host": host.name, "status": "enabled" if host.enabled else "disabled"}


@routes.add("GET", HO + "/{host}/{power}", "compute:change_host", versions=TO42)
def power_host(call: ComputeCall) -> Reply:
    """Machines are not switched on or off through this API."""
    host = _host(call)
    if call.params["power"] not in ("startup", "shutdown", "reboot"):
        raise NotFound("there is no such operation of hosts", "host")
    raise Unsupported(f"host {host.name} is not switched through this API; use the machine's own means", "host")
