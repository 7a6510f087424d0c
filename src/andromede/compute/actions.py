"""The history of a server: who wished what, what the workers did for it, and why it failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from andromede.clock import Clock
from andromede.compute.model import Action, ActionEvent, Device, Server
from andromede.compute.tables import ACTIONS, EVENTS, SERVERS
from andromede.db import Tx
from andromede.work.lifecycle import Lifecycle, Next, Step

R = TypeVar("R", Server, Device)
NAMES = {
    "scheduling": "conductor_schedule_and_build_instances",
    "networking": "compute_allocate_network",
    "block_device_mapping": "compute_prep_block_device",
    "spawning": "compute__do_build_and_run_instance",
    "stopping": "compute_stop_instance",
    "starting": "compute_start_instance",
    "rebooting": "compute_reboot_instance",
    "hard_rebooting": "compute_reboot_instance",
    "pausing": "compute_pause_instance",
    "unpausing": "compute_unpause_instance",
    "suspending": "compute_suspend_instance",
    "resuming": "compute_resume_instance",
    "rescuing": "compute_rescue_instance",
    "unrescuing": "compute_unrescue_instance",
    "resizing": "compute_finish_resize",
    "confirming": "compute_confirm_resize",
    "reverting": "compute_finish_revert_resize",
    "rebuilding": "compute_rebuild_instance",
    "shelving": "compute_shelve_instance",
    "offloading": "compute_shelve_offload_instance",
    "unshelving": "compute_unshelve_instance",
    "crashing": "compute_trigger_crash_dump",
    "snapshotting": "compute_snapshot_instance",
    "deleting": "compute_terminate_instance",
    "attaching": "compute_attach",
    "detaching": "compute_detach",
}
"""The event that a worker's state leaves, in Nova's words."""


def begin(tx: Tx, server: Server, who: tuple[str, str, str], action: str, now_us: int) -> None:
    """Note a wish; `who`: request, project and user of it. A request wishes one thing of a server."""
    request, project, user = who
    if ACTIONS.find(tx, server_id=server.id, request_id=request) is None:
        ACTIONS.insert(tx, Action(server.id, request, project, user, action, now_us, now_us))


def event(tx: Tx, wish: tuple[str, str], name: str, span: tuple[int, int], fault: str = "") -> None:
    """Note what was done for a wish (server, request); `span`: from when until when."""
    server_id, request_id = wish
    where = {"server_id": server_id, "request_id": request_id}
    done = EVENTS.select(tx, where)
    server = SERVERS.find(tx, id=server_id)
    host = server.host if server else ""
    result = "Error" if fault else "Success"
    EVENTS.insert(
        tx, ActionEvent(server_id, request_id, len(done) + 1, name, span[0], span[1], result, fault, host)
    )  # fmt: skip
    ACTIONS.update(tx, where, updated_us=span[1], **({"message": "Error"} if fault else {}))


def finish(tx: Tx, server_id: str, request_id: str, now_us: int, failed: bool = False) -> None:
    """The wish has come to rest. What failed on the way keeps its mark."""
    where = {"server_id": server_id, "request_id": request_id}
    ACTIONS.update(tx, where, finish_us=now_us, updated_us=now_us, **({"message": "Error"} if failed else {}))


def left(tx: Tx, working: Collection[str], row: Server | Device, found: tuple[str, str], now_us: int) -> None:
    """A server or a device leaves its state for `found` (state, fault); `working`: states that are not at rest."""
    state, fault = found
    failed = fault or ("it is in error" if state == "error" else "")
    server_id, name = row.id, NAMES.get(row.state, f"compute_{row.state}")
    if isinstance(row, Device):
        server_id, name = row.server_id, f"{NAMES[row.state]}_{'volume' if row.kind == 'disk' else 'interface'}"
    event(tx, (server_id, row.request_id), name, (row.since_us, now_us), failed)
    if state not in working:
        finish(tx, server_id, row.request_id, now_us, bool(failed))


def recorded(lifecycle: Lifecycle[R], clock: Clock) -> Lifecycle[R]:
    """The same lifecycle of servers or devices, leaving an event for every state that it leaves and finishing the
    action with the last: in the transaction of the change."""

    def noted(step: Step[R]) -> Step[R]:
        def run(row: R) -> Next:
            found = step(row)
            if found.state == row.state:
                return found

            def then(tx: Tx) -> None:
                if found.then is not None:
                    found.then(tx)
                left(tx, lifecycle.steps, row, (found.state, found.fault), clock.now_us())

            return dataclasses.replace(found, then=then)

        return run

    def undo(tx: Tx, row: R, why: str) -> None:
        if lifecycle.undo is not None:
            lifecycle.undo(tx, row, why)
        left(tx, lifecycle.steps, row, (lifecycle.deadline(row.state).state, why), clock.now_us())

    steps: dict[str, Callable[[Any], Next]] = {state: noted(step) for state, step in lifecycle.steps.items()}
    return dataclasses.replace(lifecycle, steps=steps, undo=undo)
