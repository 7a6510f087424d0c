"""Receiving: read, hash, seal and write a body in one pass over reused buffers.

Bodies up to 64 KiB stay in memory for the segment log. Larger ones go to a file of the engine, one
sealed frame behind the reading, so that the last frame is known to be the last when it is sealed.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import msgspec

from andromede.clock import Clock
from andromede.errors import Invalid, TooLarge
from andromede.ids import Ids
from andromede.keys import Kek, KeyRing, foreign
from andromede.keys import wrap as wrapping
from andromede.objects import digests
from andromede.objects.blobs import BlobEngine, BlobWriter
from andromede.objects.buffers import FRAME, PIECE, PLAIN, RING, TAG, BufferPool, BufferSet
from andromede.objects.container_store import State
from andromede.objects.digests import Digests
from andromede.objects.frames import Sealer, sealed_size
from andromede.objects.model import Readable, Receive, SmallRecord, Stored

SMALL = 64 << 10
_NOTHING = Receive()
_EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


class _Secret(msgspec.Struct, frozen=True):
    """Identifier and data key of one body."""

    blob_id: str
    data_key: bytes
    kek: str
    wrapped: bytes


class Lanes:
    """A few threads that hash beside the one that receives; a stream takes one if it is free."""

    def __init__(self, count: int = 2) -> None:
        self._free = [ThreadPoolExecutor(1, thread_name_prefix="hash") for _ in range(count)]
        self._lock = threading.Lock()

    def take(self) -> ThreadPoolExecutor | None:
        """A lane of its own, or None when all are busy."""
        with self._lock:
            return self._free.pop() if self._free else None

    def give(self, lane: ThreadPoolExecutor | None) -> None:
        """Return a lane."""
        if lane is not None:
            with self._lock:
                self._free.append(lane)

    def close(self) -> None:
        """End the threads."""
        for lane in self._free:
            lane.shutdown()


@lru_cache(maxsize=64)
def _wish(algorithm: str, opaque: bool) -> Receive:
    return Receive(algorithms=(algorithm,), opaque=opaque)


def opaque_etag(blob_id: str) -> str:
    """The ETag of bytes whose MD5 nobody computed: another for each upload, and by its dash no MD5 to anyone."""
    return f"{blob_id}-0"


def short_body(got: int, wanted: int | None) -> Invalid:
    """The error of a body that is shorter or longer than declared."""
    return Invalid(f"short body: {got} bytes came of {wanted} declared; nothing was stored", "short_body")


def too_large(most: int) -> TooLarge:
    """The error of a body over the limit."""
    return TooLarge(f"the body is larger than {most} bytes", "entity", limit=most)


class Intake:
    """Shared by all threads of a process."""

    def __init__(self, engine: BlobEngine, keys: KeyRing, clock: Clock, ids: Ids) -> None:
        self._engine = engine
        self._keys = keys
        self._clock = clock
        self._ids = ids
        self.pool = BufferPool()
        self._lanes = Lanes()

    def close(self) -> None:
        """End the hashing threads."""
        self._lanes.close()

    def new_id(self) -> str:
        """A version or blob id: 48 bits of milliseconds, then 80 random bits, in hex. The order of time
        keeps the index of ids compact; it means nothing to anyone."""
        return f"{self._clock.now_us() // 1000:012x}{self._ids.secret(10).hex()}"

    def receive(self, state: State, body: Readable, want: Receive) -> Stored:
        """Take a whole body. Invalid reason `short_body`, TooLarge reason `entity`; keys as in `KeyRing`."""
        if want.length is not None and want.length > want.max_length:
            raise too_large(want.max_length)
        secret = self._secret(state, want)
        if want.length is not None and want.length <= SMALL:
            stored = self._small(_whole(body, want.length), want, secret)
        else:
            stored = self._streamed(body, want, secret)
        if want.verify is not None:
            try:
                want.verify(stored)
            except BaseException:
                self.discard(stored)
                raise
        return stored

    def receive_small(self, state: State, data: bytes, algorithm: str, opaque: bool) -> Stored:
        """Take a body of 1 to SMALL bytes that is in memory."""
        return self._small(data, _wish(algorithm, opaque), self._secret(state, _NOTHING))

    def discard(self, stored: Stored) -> None:
        """Drop received bytes that will not be part of anything."""
        if stored.ref:
            self._engine.remove(stored.ref.rsplit(":", 3)[0])

    def _kek(self, state: State, want: Receive) -> Kek:
        if want.encryption.mode == "aws:kms" and want.encryption.key_id:
            return self._keys.named(state.container.project_id, want.encryption.key_id)
        kek = self._keys.newest(state.kek)
        if kek.tenant != state.container.project_id:
            raise foreign(kek.id, f"container {state.container.name!r}")
        return kek

    def _secret(self, state: State, want: Receive) -> _Secret:
        kek = self._kek(state, want)
        random = self._ids.secret(54)
        blob_id = f"{self._clock.now_us() // 1000:012x}{random[:10].hex()}"
        data_key = plain = random[10:42]
        if want.customer_key is not None:
            plain = wrapping.seal_for_customer(want.customer_key, self._ids.secret(28), data_key, blob_id)
        wrapped = self._keys.seal_data_key(kek, blob_id, plain, random[42:54])
        return _Secret(blob_id, data_key, kek.id, wrapped)

    def _small(self, data: bytes | memoryview, want: Receive, secret: _Secret) -> Stored:
        if want.opaque and data:
            md5 = opaque_etag(secret.blob_id)
        else:
            md5 = digests.md5(data) if data else _EMPTY_MD5
        sums = {name: digests.checksum(name, data) for name in want.algorithms}
        record = SmallRecord(Sealer(secret.data_key, secret.blob_id).seal_one(data)) if data else None
        return Stored(len(data), md5, sums, secret.blob_id, secret.kek, secret.wrapped, "", record)

    def _streamed(self, body: Readable, want: Receive, secret: _Secret) -> Stored:
        buffers = self.pool.take()
        lane = None if want.opaque else self._lanes.take()  # a CRC takes less time than handing it over
        try:
            first = _fill(body, buffers.ring[0])
            if first <= SMALL:
                if want.length is not None:
                    raise short_body(first, want.length)
                if first > want.max_length:
                    raise too_large(want.max_length)
                return self._small(buffers.ring[0][:first], want, secret)
            size = None if want.length is None else sealed_size(want.length)
            writer = self._engine.writer(secret.blob_id, size)
            try:
                return _Stream(body, want, secret, buffers, lane).run(first, writer)
            except BaseException:
                writer.discard()
                raise
        finally:
            self._lanes.give(lane)
            self.pool.give(buffers)


def _whole(body: Readable, length: int) -> bytes | memoryview:
    if getattr(body, "buffered", False):
        data: bytes | memoryview = body.read()  # type: ignore[attr-defined]  # already one object in memory
        got = len(data)
    else:
        data = memoryview(bytearray(length))
        got = _fill(body, data)
    if got != length:
        raise short_body(got, length)
    return data


def _fill(body: Readable, view: memoryview) -> int:
    got = 0
    while got < len(view):
        count = body.readinto(view[got:])
        if not count:
            break
        got += count
    return got


class _Stream:
    """One large body on its way to a file."""

    def __init__(
        self, body: Readable, want: Receive, secret: _Secret, buffers: BufferSet, lane: ThreadPoolExecutor | None
    ) -> None:
        self._body = body
        self._want = want
        self._secret = secret
        self._buffers = buffers
        self._lane = lane
        self._digests = Digests(want.algorithms, not want.opaque)
        self._hashing: list[Future[None] | None] = [None] * RING

    def run(self, first: int, writer: BlobWriter) -> Stored:
        try:
            size = self._pump(first, writer)
        finally:
            self._settle()
        extent = writer.seal()
        secret = self._secret
        return Stored(
            size,
            self._digests.md5() or opaque_etag(secret.blob_id),
            self._digests.checksums(),
            secret.blob_id,
            secret.kek,
            secret.wrapped,
            extent.text(),
        )

    def _pump(self, got: int, writer: BlobWriter) -> int:
        sealer = Sealer(self._secret.data_key, self._secret.blob_id)
        ring, sealed = self._buffers.ring, self._buffers.sealed
        number = size = filled = 0
        while True:
            size += got
            if size > self._want.max_length:
                raise too_large(self._want.max_length)
            slot = number % RING
            view = ring[slot][:got]
            self._hash(slot, view)
            following = 0
            if got == PLAIN:
                upcoming = (number + 1) % RING
                self._wait(upcoming)
                following = _fill(self._body, ring[upcoming])
            sealer.seal_into(number, following == 0, view, sealed[filled : filled + got + TAG])
            filled += got + TAG
            if filled == PIECE or following == 0:
                writer.write(sealed[:filled])
                filled = 0
            if following == 0:
                break
            number += 1
            got = following
        if self._want.length is not None and size != self._want.length:
            raise short_body(size, self._want.length)
        return size

    def _hash(self, slot: int, view: memoryview) -> None:
        if self._lane is None:
            self._digests.update(view)
        else:
            self._hashing[slot] = self._lane.submit(self._digests.update, view)

    def _wait(self, slot: int) -> None:
        waiting, self._hashing[slot] = self._hashing[slot], None
        if waiting is not None:
            waiting.result()

    def _settle(self) -> None:
        for slot in range(RING):
            self._wait(slot)


assert PIECE % FRAME == 0
