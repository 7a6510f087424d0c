"""Wakes by datagram: short paths, no listener, many datagrams."""

from __future__ import annotations

import threading
from pathlib import Path

from andromede.work.wake import Waker, listen


def test_a_wake_reaches_the_listener_below_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    waker = Waker(folder)
    waker()  # nobody listens: nothing happens
    woken = threading.Semaphore(0)
    thread = listen(folder, woken.release)
    assert thread.daemon
    for _ in range(3):
        waker()
        assert woken.acquire(timeout=30)
    assert (folder / "wake").stat().st_mode & 0o777 == 0o600
    listen(folder, woken.release)  # the next process takes its place
    waker()
    assert woken.acquire(timeout=30)
    waker.close()


def test_a_folder_that_is_not_there_disturbs_nobody(tmp_path: Path) -> None:
    waker = Waker(tmp_path / "none")
    waker()
    waker.close()
