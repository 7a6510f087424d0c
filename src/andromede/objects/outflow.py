"""Reading: open the frames of a range, part by part, over reused buffers.

The first frames are opened before the iterator is handed out, so that damage there is an error and not
a broken answer. Later damage ends the iteration with `Fatal`; no unverified byte is ever yielded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from andromede.clock import Clock
from andromede.errors import Denied, Error, Fatal, Unavailable
from andromede.keys import KeyRing
from andromede.keys import wrap as wrapping
from andromede.log import Log
from andromede.objects.blobs import BlobEngine, BlobReader, Extent
from andromede.objects.buffers import FRAME, PLAIN, TAG, BufferPool, BufferSet
from andromede.objects.frames import Sealer, damage, frame_count, frame_offset, sealed_size
from andromede.objects.model import Location

AT_ONCE = 4
DATA_KEY = 32


@dataclass(frozen=True, slots=True)
class Stretch:
    """Plaintext bytes [start, stop) of one body of `size` bytes. `tenant`: whose key it must be under."""

    body: Location
    size: int
    start: int
    stop: int
    tenant: str | None = None


class Opener:
    """Shared by all threads of a process."""

    def __init__(self, engine: BlobEngine, keys: KeyRing, pool: BufferPool, clock: Clock, log: Log) -> None:
        self._log = log
        self._clock = clock
        self._begun: dict[object, int] = {}
        self._engine = engine
        self._keys = keys
        self._pool = pool

    def oldest(self) -> int | None:
        """When the oldest long read still in progress began."""
        return min(list(self._begun.values()), default=None)

    def sealer(self, body: Location, customer_key: bytes | None, sse_c: bool, tenant: str | None) -> Sealer:
        """Unwrap a body's data key. Denied reason `sse_c` without the right customer key."""
        if not sse_c:
            return self._keys.opened(body, tenant, _sealer)
        plain = self._keys.open_data_key(body.kek, body.blob_id, body.wrapped, tenant=tenant)
        if customer_key is None:
            raise Denied("the object is encrypted with a customer key, which must come with the request", "sse_c")
        return _sealer(wrapping.open_for_customer(customer_key, plain, body.blob_id), body.blob_id)

    def read(self, stretches: list[Stretch], customer_key: bytes | None, sse_c: bool) -> Iterator[memoryview]:
        """The bytes of the stretches in order. A yielded view is valid until the next one is asked for."""
        if len(stretches) == 1 and stretches[0].size <= PLAIN:
            try:
                return iter((self._one(stretches[0], customer_key, sse_c),))
            except (Fatal, Unavailable) as error:
                self._alert(error)
                raise
        return _primed(self._many(stretches, customer_key, sse_c))

    def _alert(self, error: Error) -> None:
        name = "object.damage" if isinstance(error, Fatal) else "object.unreadable"
        self._log.alert(name, reason=error.reason, text=error.public, cause=error.cause)

    def read_one(self, body: Location, size: int, tenant: str | None) -> bytes:
        """A whole body of one frame, under no customer's key. Errors as `read`."""
        try:
            return self._frame(self.sealer(body, None, False, tenant), body, size)
        except (Fatal, Unavailable) as error:
            self._alert(error)
            raise

    def _one(self, stretch: Stretch, customer_key: bytes | None, sse_c: bool) -> memoryview:
        plain = self._frame(self.sealer(stretch.body, customer_key, sse_c, stretch.tenant), stretch.body, stretch.size)
        return memoryview(plain)[stretch.start : stretch.stop]

    def _frame(self, sealer: Sealer, body: Location, size: int) -> bytes:
        plain = sealer.open_one(self._engine.read(Extent.parse(body.ref)))
        if len(plain) != size:
            raise damage(body.blob_id, 0)
        return plain

    def _many(self, stretches: list[Stretch], customer_key: bytes | None, sse_c: bool) -> Iterator[memoryview]:
        buffers = self._pool.take()
        token = object()
        self._begun[token] = self._clock.now_us()
        try:
            for stretch in stretches:
                sealer = self.sealer(stretch.body, customer_key, sse_c, stretch.tenant)
                extent = Extent.parse(stretch.body.ref)
                if extent.length != sealed_size(stretch.size):
                    raise damage(stretch.body.blob_id, 0)
                reader = self._engine.open(extent)
                try:
                    yield from _frames(reader, sealer, stretch, buffers)
                finally:
                    reader.close()
        except (Fatal, Unavailable) as error:
            self._alert(error)
            raise
        finally:
            del self._begun[token]
            self._pool.give(buffers)


def _sealer(data_key: bytes, blob_id: str) -> Sealer:
    if len(data_key) != DATA_KEY:  # sealed for a customer, and the row does not say so
        raise Fatal(f"the data key of blob {blob_id} is of another kind than the row says", "damage")
    return Sealer(data_key, blob_id)


def _frames(reader: BlobReader, sealer: Sealer, stretch: Stretch, buffers: BufferSet) -> Iterator[memoryview]:
    count = frame_count(stretch.size)
    number = stretch.start // PLAIN
    final = (stretch.stop - 1) // PLAIN
    while number <= final:
        upto = min(number + AT_ONCE, final + 1)
        begin = frame_offset(number)
        end = min(frame_offset(upto), sealed_size(stretch.size))
        sealed = buffers.sealed[: end - begin]
        if reader.readinto(sealed, begin) != end - begin:
            raise damage(sealer.blob_id, number)
        for n in range(number, upto):
            at = (n - number) * FRAME
            piece = sealed[at : at + FRAME]
            out = (n - number) * PLAIN
            sealer.open_into(n, n == count - 1, piece, buffers.plain[out : out + len(piece) - TAG])
        base = number * PLAIN
        yield buffers.plain[max(stretch.start - base, 0) : min(stretch.stop - base, (upto - number) * PLAIN)]
        number = upto


def _primed(source: Iterator[memoryview]) -> Iterator[memoryview]:
    try:
        first = next(source)
    except StopIteration as error:
        raise Fatal("an object with bytes has nowhere to read them from", "damage") from error
    return _rest(first, source)


def _rest(first: memoryview, source: Iterator[memoryview]) -> Iterator[memoryview]:
    yield first
    yield from source
