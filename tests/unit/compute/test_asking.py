"""The API process looks at guests across a socket of the host role."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.compute.asking import Answering, RemoteViews, answer
from andromede.compute.engine import DiskDevice, Figures, Guest
from andromede.engines.memory_guests import MemoryGuests
from andromede.errors import Conflict, Unavailable


@pytest.fixture
def guests() -> MemoryGuests:
    made = MemoryGuests()
    made.ensure(Guest("g", "running", 1, 64, (DiskDevice("d", 0, "d"),)))
    made.lines["g"] = "one\ntwo\nthree\n"
    return made


@pytest.fixture
def remote(guests: MemoryGuests, tmp_path: Path) -> Iterator[RemoteViews]:
    folder = tmp_path / ("a long name of a folder " * 6)
    folder.mkdir()
    answering = Answering(folder, guests)
    thread = answering.start()
    yield RemoteViews(folder)
    answering.close()
    thread.join(5)


def test_what_is_looked_at_comes_across(remote: RemoteViews, guests: MemoryGuests) -> None:
    assert remote.console("g", None) == "one\ntwo\nthree\n"
    assert remote.console("g", 2) == "two\nthree\n" and remote.console("g", 0) == ""
    assert remote.console("nobody", None) == ""
    assert remote.screenshot("g") == guests.screenshot("g")
    assert remote.figures("g") == guests.figures("g") and isinstance(remote.figures("g"), Figures)
    with pytest.raises(Conflict, match="does not run"):
        remote.figures("nobody")


def test_only_looking_is_answered(guests: MemoryGuests) -> None:
    assert answer(guests, {"what": "remove", "guest": "g"})["kind"] == "invalid"
    assert answer(guests, {})["kind"] == "invalid" and "g" in guests.guests


def test_nonsense_ends_its_own_connection(remote: RemoteViews) -> None:
    import os

    fd = os.open(remote._folder, os.O_PATH)
    for text in (b"\n", b"[]\n", b"x" * 9000 + b"\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/proc/self/fd/{fd}/views")
            connection.sendall(text)
            connection.settimeout(5)
            connection.recv(4096)
    os.close(fd)
    assert remote.console("g", 1) == "three\n"


def test_a_host_role_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        RemoteViews(tmp_path).console("g", None)
    with pytest.raises(Unavailable):
        RemoteViews(tmp_path / "nowhere").screenshot("g")
