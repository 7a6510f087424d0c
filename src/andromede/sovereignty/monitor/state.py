"""What the monitor remembers between rounds: pinned keys, the last accepted checkpoint, and what is awaited."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from andromede.errors import Conflict, Fatal
from andromede.sovereignty.monitor.evidence import write_durable

FORMAT = 1


@dataclass(slots=True)
class State:
    """One log as followed from here. Instants are microseconds by the monitor's clock."""

    url: str = ""
    origin: str = ""
    policy: str = ""
    pinned_at: int = 0
    note: str = ""
    """The last accepted checkpoint, verbatim."""
    note_seen: int = 0
    verified: int = 0
    """Entries of the own copy that are proved to be a prefix of the accepted checkpoint."""
    reads: int = 0
    read_at: int = 0
    """How many lists of events were asked for when they last were, and when: each left an event in the log."""
    withheld: list[int] = field(default_factory=list)
    """The newest indexes that were in the tree without content when they were read."""
    awaited: list[int] = field(default_factory=list)
    """[positions given, since]: a checkpoint must cover them within the limit."""
    behind: list[int] = field(default_factory=list)
    """[size, since]: the oldest accepted size that no quorum of witnesses has covered yet."""
    cosigned: dict[str, list[int]] = field(default_factory=dict)
    """Witness -> [newest cosignature in seconds, its size]."""
    quorum: list[int] = field(default_factory=list)
    """[size, instant]: the largest checkpoint known to meet the quorum."""
    views: dict[str, str] = field(default_factory=dict)
    """Witness -> its last note that fits."""
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    journal: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0
    heard: int = 0
    """When the server last answered."""


class Folder:
    """The state's folder: one monitor at a time. Raises `Conflict` while another one runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise Conflict(f"another monitor uses {path}; give each its own --state", "config") from error

    def close(self) -> None:
        """Let another one in."""
        os.close(self._lock)

    def load(self) -> State:
        """The stored state; a new one in an empty folder. Raises `Fatal` when it cannot be read: to begin
        anew in silence would forget what was promised."""
        path = self.path / "state.json"
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return State()
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        names = {one.name: type(getattr(State(), one.name)) for one in fields(State)}
        if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
            raise _damaged(path, "unknown format")
        if set(found) - set(names) or any(not isinstance(value, names[key]) for key, value in found.items()):
            raise _damaged(path, "unknown or malformed fields")
        return State(**found)

    def save(self, state: State) -> None:
        """Replace the stored state, whole or not at all."""
        document = {"format": FORMAT, **asdict(state)}
        write_durable(self.path / "state.json", json.dumps(document, indent=1, ensure_ascii=False).encode())


def _damaged(path: Path, why: str) -> Fatal:
    return Fatal(
        f"{path} cannot be used ({why}); keep this folder aside as it is and begin anew with another --state", "state"
    )
