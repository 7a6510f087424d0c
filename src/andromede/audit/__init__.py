"""The event written in the transaction of the change (SOVEREIGNTY.md C0)."""

from andromede.audit.event import PURPOSES, Draft, event_bytes
from andromede.audit.service import INSTALLATION, Position, Recorder, adopt
from andromede.audit.store import MIGRATIONS

__all__ = ["INSTALLATION", "MIGRATIONS", "PURPOSES", "Draft", "Position", "Recorder", "adopt", "event_bytes"]
