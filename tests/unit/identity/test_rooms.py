"""The memory of password hashes: used again while they come, given back when they pause."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading

import pytest
from argon2.low_level import Type, hash_secret_raw

from andromede.identity import passwords
from andromede.identity.passwords import Passwords
from andromede.identity.rooms import Room, Rooms
from tests.support.clock import FakeIds

KIB = 19456
SALT = b"sixteen bytes of"


@pytest.fixture
def quick_hashes() -> None:
    """Not here."""


@pytest.mark.parametrize(("kib", "passes"), [(64, 1), (1024, 3), (KIB, 2)])
def test_the_digest_is_argon2s_own(kib: int, passes: int) -> None:
    room = Room(kib)
    for secret in (b"", b"a password", b"\0" * 300):
        own = room.derive(secret, SALT, passes, 32)
        assert own == hash_secret_raw(secret, SALT, passes, kib, 1, 32, Type.ID)


def test_parameters_that_argon2_refuses_are_an_error() -> None:
    with pytest.raises(ValueError, match="Salt is too short"):
        Room(64).derive(b"secret", b"short", 1, 32)


def test_the_next_hash_needs_no_new_pages() -> None:
    rooms = Rooms(KIB, idle=60.0)
    faults = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        with rooms.room() as room:
            room.derive(b"secret", SALT, 1, 32)
        faults.append(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)
    assert faults[1] < 200, faults  # without it: one for each of 4,864 pages


def test_hashes_at_once_have_a_room_each() -> None:
    rooms = Rooms(64)
    with rooms.room() as one, rooms.room() as other:
        assert one is not other
        assert one.derive(b"a", SALT, 1, 32) != other.derive(b"b", SALT, 1, 32)
    with rooms.room() as again:
        assert again in (one, other)


def test_rooms_are_given_back_when_nothing_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Semaphore(0)
    monkeypatch.setattr(Room, "give_back", lambda room: given.release())
    rooms = Rooms(64, idle=0.02)
    for _ in range(2):  # each time anew
        with rooms.room(), rooms.room():
            pass
        assert given.acquire(timeout=30)
        assert given.acquire(timeout=30)


def test_without_a_room_passwords_are_checked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Room, kib: int) -> None:
        raise MemoryError("Cannot allocate write+execute memory for ffi.callback()")

    monkeypatch.setattr(Room, "__init__", refuse)
    hasher = Passwords(FakeIds())
    encoded = hasher.hash("secret")
    assert hasher.verify(encoded, "secret")
    assert not hasher.verify(encoded, "Secret")
    assert not hasher.verify(None, "secret")


def test_hashes_of_other_parameters_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MEMORY_KIB", 128)
    encoded = Passwords(FakeIds()).hash("secret")
    monkeypatch.undo()
    hasher = Passwords(FakeIds())
    assert hasher.verify(encoded, "secret")
    assert not hasher.verify(encoded, "Secret")
    assert not hasher.verify(encoded[:-1], "secret")


CHECKING = """
import threading, time
from andromede.identity.passwords import Passwords
from andromede.ids import RandomIds
from andromede.ops.memory import give_back_large

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) >> 8

give_back_large()
hasher = Passwords(RandomIds())
encoded = hasher.hash("a password")
before = resident()
for _ in range(2):
    threads = [threading.Thread(target=hasher.verify, args=(encoded, "a password")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(resident() - before)
    end = time.monotonic() + 60
    while resident() - before > 10 and time.monotonic() < end:
        time.sleep(0.05)
    print(resident() - before)
"""


def test_checks_hold_two_rooms_at_most_and_none_when_they_pause() -> None:
    done = subprocess.run([sys.executable, "-c", CHECKING], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    busy, rest = [int(line) for line in done.stdout.split()][0::2], [int(line) for line in done.stdout.split()][1::2]
    assert max(busy) < 45, f"MiB at work: {busy}"
    assert max(rest) <= 10, f"MiB at rest: {rest}"
