"""The event written in the transaction of the change (SOVEREIGNTY.md C0)."""

from andromede.audit.event import PURPOSES, Draft, event_bytes
from andromede.audit.service import Recorder
from andromede.audit.store import MIGRATIONS

__all__ = ["MIGRATIONS", "PURPOSES", "Draft", "Recorder", "event_bytes"]
