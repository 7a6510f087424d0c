"""The event written in the transaction of the change (docs/ledger-events.md)."""

from andromede.audit.event import PURPOSES, Draft, event_bytes
from andromede.audit.places import HEADER, Places, Position
from andromede.audit.service import INSTALLATION, Recorder, adopt
from andromede.audit.store import MIGRATIONS

__all__ = [
    "HEADER",
    "INSTALLATION",
    "MIGRATIONS",
    "PURPOSES",
    "Draft",
    "Places",
    "Position",
    "Recorder",
    "adopt",
    "event_bytes",
]
