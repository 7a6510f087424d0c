"""Why something did not work, for the project's members (message API, 3.3)."""

from __future__ import annotations

from andromede.audit.changes import Desk
from andromede.clock import US
from andromede.db import Tx
from andromede.volumes import store
from andromede.volumes.model import Message
from andromede.volumes.tables import MESSAGES

KEPT_SECONDS = 30 * 86_400
EVENTS = {
    "creating": "VOLUME_VOLUME_001_001",
    "downloading": "VOLUME_VOLUME_001_004",
    "extending": "VOLUME_VOLUME_001_003",
    "deleting": "VOLUME_VOLUME_001_005",
    "uploading": "VOLUME_VOLUME_001_006",
    "restoring": "VOLUME_VOLUME_001_007",
}
"""State that gave up -> event id, in the form of Cinder's."""


def leave(tx: Tx, desk: Desk, resource: tuple[str, str, str], what: tuple[str, str], request_id: str) -> None:
    """`resource`: kind, id and project; `what`: the state that gave up, and why."""
    kind, resource_id, project_id = resource
    event = EVENTS.get(what[0], "VOLUME_VOLUME_001_000").replace("VOLUME_VOLUME", f"VOLUME_{kind.upper()}")
    now = desk.clock.now_us()
    store.drop_messages(tx, now - KEPT_SECONDS * US)
    text = f"{what[0]}: {what[1]}"
    row = Message(desk.ids.dashed(), project_id, f"VOLUME_{kind.upper()}" if kind != "volume" else "VOLUME",
                  resource_id, event, text, request_id, now)  # fmt: skip
    MESSAGES.insert(tx, row)
