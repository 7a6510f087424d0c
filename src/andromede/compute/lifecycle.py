"""The lifecycle of servers: which state follows which, how long each may take, and whose step it is."""

from __future__ import annotations

from andromede.compute.actions import recorded
from andromede.compute.building import Building
from andromede.compute.crew import Crew
from andromede.compute.imaging import Imaging
from andromede.compute.model import Server, State
from andromede.compute.powering import Powering
from andromede.compute.reshaping import Reshaping
from andromede.compute.tables import SERVERS
from andromede.work.lifecycle import Deadline, Lifecycle, Step

_S = State
_FOLLOWS: dict[str, set[str]] = {
    _S.SCHEDULING: {_S.NETWORKING},
    _S.NETWORKING: {_S.MAPPING},
    _S.MAPPING: {_S.SPAWNING},
    _S.SPAWNING: {_S.ACTIVE},
    _S.STOPPING: {_S.STOPPED},
    _S.STARTING: {_S.ACTIVE},
    _S.REBOOTING: {_S.ACTIVE, _S.HARD_REBOOTING},
    _S.HARD_REBOOTING: {_S.ACTIVE},
    _S.PAUSING: {_S.PAUSED},
    _S.UNPAUSING: {_S.ACTIVE},
    _S.SUSPENDING: {_S.SUSPENDED},
    _S.RESUMING: {_S.ACTIVE},
    _S.RESCUING: {_S.RESCUED},
    _S.UNRESCUING: {_S.ACTIVE, _S.STOPPED},
    _S.RESIZING: {_S.VERIFY_RESIZE},
    _S.CONFIRMING: {_S.ACTIVE, _S.STOPPED},
    _S.REVERTING: {_S.ACTIVE, _S.STOPPED},
    _S.REBUILDING: {_S.ACTIVE, _S.STOPPED},
    _S.SHELVING: {_S.OFFLOADING},
    _S.OFFLOADING: {_S.OFFLOADED},
    _S.UNSHELVING: {_S.ACTIVE},
    _S.CRASHING: {_S.ACTIVE, _S.PAUSED, _S.RESCUED},
    _S.SNAPSHOTTING: {_S.ACTIVE, _S.STOPPED, _S.PAUSED, _S.SUSPENDED, _S.SHELVED, _S.ERROR},
}
_AT_REST = (
    _S.ACTIVE, _S.STOPPED, _S.PAUSED, _S.SUSPENDED, _S.RESCUED, _S.VERIFY_RESIZE, _S.SHELVED, _S.OFFLOADED, _S.ERROR,
)  # fmt: skip
_SECONDS: dict[str, float] = {
    _S.MAPPING: 1800.0, _S.STOPPING: 900.0, _S.SHELVING: 3600.0, _S.SNAPSHOTTING: 7200.0, _S.SUSPENDING: 900.0,
    _S.RESUMING: 900.0, _S.RESIZING: 1800.0, _S.REVERTING: 900.0, _S.REBUILDING: 1800.0, _S.RESCUING: 1800.0,
    _S.UNSHELVING: 1800.0, _S.DELETING: 3600.0,
}  # fmt: skip
_OTHERWISE = 300.0


def lifecycle(crew: Crew) -> Lifecycle[Server]:
    """Servers; a deleted one keeps its row, in the state `deleted`. Every state that is left leaves an event in the
    server's history."""
    steps: dict[str, Step[Server]] = {}
    for part in (Building(crew), Powering(crew), Reshaping(crew), Imaging(crew)):
        steps |= part.steps()
    moves = {state: frozenset({*following, _S.ERROR, _S.DELETING}) for state, following in _FOLLOWS.items()}
    moves |= {state: frozenset({_S.DELETING}) for state in _AT_REST}
    moves[_S.DELETING] = frozenset({_S.DELETED, _S.ERROR})
    deadlines = {state: Deadline(_SECONDS.get(state, _OTHERWISE), _S.ERROR) for state in steps}
    made = Lifecycle("server", SERVERS, steps, moves, deadlines, {"delete": _S.DELETING}, frozenset())
    return recorded(made, crew.clock)
