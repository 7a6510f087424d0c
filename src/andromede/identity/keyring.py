"""Fernet keys in files of mode 0600: the highest number signs, all of them verify, 0 is staged to sign next.

Rotation promotes the staged key, stages a new one and drops the oldest, so that processes that have not
read the folder again can already verify what the new primary key signs.
"""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from andromede.durable import make_folder, sync_folder
from andromede.errors import Fatal
from andromede.ids import Ids

STAGED = 0


class KeyRing:
    """The keys of one folder. Safe to use from many threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen = 0
        self._fernet: MultiFernet | None = None

    def create(self, ids: Ids) -> None:
        """Make the folder with a staged and a primary key, unless it has keys."""
        make_folder(self._folder)
        if not self._numbers():
            self._write(STAGED, ids)
            self._write(1, ids)

    def rotate(self, ids: Ids, keep: int = 3) -> int:
        """Promote the staged key, stage a new one, drop all but the newest `keep`; the primary's number."""
        numbers = self._numbers()
        primary = max(numbers) + 1
        os.rename(self._folder / str(STAGED), self._folder / str(primary))
        sync_folder(self._folder)  # before another key takes the staged one's name
        self._write(STAGED, ids)
        kept = [number for number in (*numbers, primary) if number != STAGED][-max(1, keep - 1) :]
        for number in numbers:
            if number not in kept and number != STAGED:
                (self._folder / str(number)).unlink()
        return primary

    def encrypt(self, data: bytes, now_us: int) -> bytes:
        """A Fernet token under the primary key of now: a stale one might already be dropped elsewhere."""
        return self._load(again=self._state() != self._seen).encrypt_at_time(data, now_us // 1_000_000)

    def decrypt(self, token: bytes) -> bytes:
        """The data of a token of any key. Raises `cryptography.fernet.InvalidToken`."""
        try:
            return self._load().decrypt(token)
        except InvalidToken:
            if self._state() == self._seen:
                raise
            return self._load(again=True).decrypt(token)

    def _numbers(self) -> list[int]:
        return sorted(int(path.name) for path in self._folder.iterdir() if path.name.isdigit())

    def _state(self) -> int:
        try:
            return os.stat(self._folder).st_mtime_ns
        except FileNotFoundError:
            return 0

    def _load(self, again: bool = False) -> MultiFernet:
        if self._fernet is None or again:
            with self._lock:
                if not self._folder.is_dir() or not self._numbers():
                    raise Fatal(f"there are no keys in {self._folder}; restore the data directory", "keys")
                self._seen = self._state()
                numbers = [number for number in self._numbers() if number != STAGED]
                order = [*numbers[::-1], STAGED]
                self._fernet = MultiFernet([self._key(n) for n in order])
        return self._fernet

    def _key(self, number: int) -> Fernet:
        path = self._folder / str(number)
        try:
            return Fernet(path.read_bytes())
        except ValueError as error:
            raise Fatal(f"the key {path} is damaged; restore it from a backup", "keys") from error

    def _write(self, number: int, ids: Ids) -> None:
        path = self._folder / f".{number}.new"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, base64.urlsafe_b64encode(ids.secret(32)))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(path, self._folder / str(number))
        sync_folder(self._folder)
