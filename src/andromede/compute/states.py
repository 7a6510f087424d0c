"""From the one state column to what Nova shows: vm_state, task_state, power_state and status (Compute API guide,
"Server concepts")."""

from __future__ import annotations

from typing import NamedTuple

from andromede.compute.model import Power, Server, State

BUILDING = (State.SCHEDULING, State.NETWORKING, State.MAPPING, State.SPAWNING)
REST = frozenset(
    {
        State.ACTIVE, State.STOPPED, State.PAUSED, State.SUSPENDED, State.RESCUED, State.VERIFY_RESIZE,
        State.SHELVED, State.OFFLOADED, State.DELETED, State.ERROR,
    }
)  # fmt: skip
NUMBERS = {
    Power.NONE: 0, Power.RUNNING: 1, Power.PAUSED: 3, Power.OFF: 4, Power.CRASHED: 6, Power.SUSPENDED: 7,
}  # fmt: skip


class Shown(NamedTuple):
    """Nova's view of a state. `vm_state` "" is that of the state it began in (`before`); `power` "" is what the
    hypervisor last said."""

    vm_state: str
    task: str | None
    power: str = ""


SHOWN: dict[str, Shown] = {
    State.SCHEDULING: Shown("building", "scheduling", Power.NONE),
    State.NETWORKING: Shown("building", "networking", Power.NONE),
    State.MAPPING: Shown("building", "block_device_mapping", Power.NONE),
    State.SPAWNING: Shown("building", "spawning", Power.NONE),
    State.ACTIVE: Shown("active", None, Power.RUNNING),
    State.STOPPING: Shown("", "powering-off"),
    State.STOPPED: Shown("stopped", None, Power.OFF),
    State.STARTING: Shown("", "powering-on"),
    State.REBOOTING: Shown("", "rebooting"),
    State.HARD_REBOOTING: Shown("", "rebooting_hard"),
    State.PAUSING: Shown("", "pausing"),
    State.PAUSED: Shown("paused", None, Power.PAUSED),
    State.UNPAUSING: Shown("paused", "unpausing"),
    State.SUSPENDING: Shown("", "suspending"),
    State.SUSPENDED: Shown("suspended", None, Power.OFF),
    State.RESUMING: Shown("suspended", "resuming"),
    State.RESCUING: Shown("", "rescuing"),
    State.RESCUED: Shown("rescued", None, Power.RUNNING),
    State.UNRESCUING: Shown("rescued", "unrescuing"),
    State.RESIZING: Shown("", "resize_prep"),
    State.VERIFY_RESIZE: Shown("resized", None),
    State.CONFIRMING: Shown("resized", None),
    State.REVERTING: Shown("resized", "resize_reverting"),
    State.REBUILDING: Shown("", "rebuilding"),
    State.SHELVING: Shown("", "shelving"),
    State.SHELVED: Shown("shelved", None, Power.OFF),
    State.OFFLOADING: Shown("shelved", "shelving_offloading"),
    State.OFFLOADED: Shown("shelved_offloaded", None, Power.OFF),
    State.UNSHELVING: Shown("shelved_offloaded", "unshelving"),
    State.CRASHING: Shown("", None),
    State.SNAPSHOTTING: Shown("", "image_snapshot"),
    State.DELETING: Shown("", "deleting"),
    State.DELETED: Shown("deleted", None, Power.NONE),
    State.ERROR: Shown("error", None),
}

_REBUILD = dict.fromkeys(("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"), "REBUILD")
_RESIZE = dict.fromkeys(("resize_prep", "resize_migrating", "resize_migrated", "resize_finish"), "RESIZE")

STATUSES: dict[str, tuple[str, dict[str, str]]] = {
    "active": (
        "ACTIVE",
        {
            "rebooting": "REBOOT",
            "rebooting_hard": "HARD_REBOOT",
            "updating_password": "PASSWORD",
            **_REBUILD,
            **_RESIZE,
        },
    ),
    "building": ("BUILD", {}),
    "stopped": ("SHUTOFF", {**_REBUILD, **_RESIZE}),
    "resized": ("VERIFY_RESIZE", {"resize_reverting": "REVERT_RESIZE"}),
    "paused": ("PAUSED", {}),
    "suspended": ("SUSPENDED", {}),
    "rescued": ("RESCUE", {}),
    "error": ("ERROR", _REBUILD),
    "deleted": ("DELETED", {}),
    "soft-delete": ("SOFT_DELETED", {}),
    "shelved": ("SHELVED", {}),
    "shelved_offloaded": ("SHELVED_OFFLOADED", {}),
}
"""vm_state -> (status, the ones of certain task_states)."""


class View(NamedTuple):
    """What a server's answer carries."""

    vm_state: str
    task_state: str | None
    power_state: int
    status: str


def view(server: Server) -> View:
    """Nova's view of a server; one that is wished away is `deleting` at once."""
    shown = SHOWN[server.state]
    vm_state = shown.vm_state or (SHOWN[server.before].vm_state if server.before else "") or "building"
    task = shown.task and (server.task or shown.task)
    if "delete" in server.signals.split() and server.state != State.DELETED:
        task = "deleting"
    power = NUMBERS.get(Power(shown.power or server.power or "none"), 0)
    status, special = STATUSES[vm_state]
    return View(vm_state, task, power, special.get(task or "", status))


def states_of_status(status: str) -> set[str] | None:
    """The vm_states that show a status; None for a word that is no status."""
    found = {
        vm_state
        for vm_state, (plain, special) in STATUSES.items()
        if status.upper() == plain or status.upper() in special.values()
    }
    return found or None
