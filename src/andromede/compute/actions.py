"""The history of a server: who wished what, what the workers did for it, and why it failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

from andromede.clock import Clock
from andromede.compute.model import Action, ActionEvent, Server
from andromede.compute.tables import ACTIONS, EVENTS
from andromede.db import Tx
from andromede.work.lifecycle import Lifecycle, Next, Step

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
    "snapshotting": "compute_snapshot_instance",
    "deleting": "compute_terminate_instance",
}
"""The event that a worker's state leaves, in Nova's words."""


def begin(tx: Tx, server: Server, who: tuple[str, str, str], action: str, now_us: int) -> None:
    """Note a wish; `who`: request, project and user of it. A request wishes one thing of a server."""
    request, project, user = who
    if ACTIONS.find(tx, server_id=server.id, request_id=request) is None:
        ACTIONS.insert(tx, Action(server.id, request, project, user, action, now_us, now_us))


def event(tx: Tx, server: Server, name: str, span: tuple[int, int], fault: str = "") -> None:
    """Note what was done for the server's present wish (its `request_id`); `span`: from when until when."""
    where = {"server_id": server.id, "request_id": server.request_id}
    done = EVENTS.select(tx, where)
    result = "Error" if fault else "Success"
    row = ActionEvent(
        server.id, server.request_id, len(done) + 1, name, span[0], span[1], result, fault, server.host
    )  # fmt: skip
    EVENTS.insert(tx, row)
    ACTIONS.update(tx, where, updated_us=span[1])


def finish(tx: Tx, server_id: str, request_id: str, now_us: int, failed: bool = False) -> None:
    """The wish has come to rest."""
    where = {"server_id": server_id, "request_id": request_id}
    ACTIONS.update(tx, where, finish_us=now_us, updated_us=now_us, message="Error" if failed else "")


def left(tx: Tx, working: Collection[str], server: Server, found: tuple[str, str], now_us: int) -> None:
    """A server leaves its state for `found` (state, fault); `working`: states that are not at rest."""
    state, fault = found
    failed = fault or ("the server is in error" if state == "error" else "")
    event(tx, server, NAMES.get(server.state, f"compute_{server.state}"), (server.since_us, now_us), failed)
    if state not in working:
        finish(tx, server.id, server.request_id, now_us, bool(failed))


def recorded(lifecycle: Lifecycle[Server], clock: Clock) -> Lifecycle[Server]:
    """The same lifecycle of servers, leaving an event for every state that it leaves and finishing the
    action with the last: in the transaction of the change."""

    def noted(step: Step[Server]) -> Step[Server]:
        def run(row: Server) -> Next:
            found = step(row)
            if found.state == row.state:
                return found

            def then(tx: Tx) -> None:
                if found.then is not None:
                    found.then(tx)
                left(tx, lifecycle.steps, row, (found.state, found.fault), clock.now_us())

            return dataclasses.replace(found, then=then)

        return run

    def undo(tx: Tx, row: Server, why: str) -> None:
        if lifecycle.undo is not None:
            lifecycle.undo(tx, row, why)
        left(tx, lifecycle.steps, row, (lifecycle.deadline(row.state).state, why), clock.now_us())

    steps: dict[str, Callable[[Any], Next]] = {state: noted(step) for state, step in lifecycle.steps.items()}
    return dataclasses.replace(lifecycle, steps=steps, undo=undo)
