"""The bytes of images: sealed under the owner's key in a hidden container of the object store. The row tells of them in
the transaction that makes them durable, so that neither is ever there without the other."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from andromede.audit.changes import SYSTEM
from andromede.db import Tx
from andromede.errors import Invalid, NotFound
from andromede.images import heads
from andromede.images.model import IMAGES, PURPOSE, Image
from andromede.objects.model import (
    NO_CONDITIONS,
    Attributes,
    Container,
    DeleteOptions,
    Readable,
    Receive,
    Stored,
    Trace,
)
from andromede.objects.service import Objects
from andromede.web.actor import Actor
from andromede.work import lifecycle

HASH = "sha512"
HEAD = 64 << 10
PIECE = 1 << 20


class Measured:
    """A body that is hashed while it is read; its first bytes are kept."""

    def __init__(self, body: Readable) -> None:
        self._body = body
        self._hash = hashlib.sha512()
        self.head = bytearray()

    def readinto(self, view: memoryview, /) -> int:
        """As the body's own."""
        count = self._body.readinto(view)
        got = view[:count]
        self._hash.update(got)
        if len(self.head) < HEAD:
            self.head += got[: HEAD - len(self.head)]
        return count

    @property
    def digest(self) -> str:
        """SHA-512 of what was read, in hex."""
        return self._hash.hexdigest()


class Reading:
    """A stored image as a file that is read from beginning to end."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")
        self.size = size

    def readinto(self, view: memoryview, /) -> int:
        """Bytes as they come; 0 at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all without; fewer only at the end."""
        found = bytearray()
        while size < 0 or len(found) < size:
            part = bytearray(PIECE if size < 0 else min(PIECE, size - len(found)))
            count = self.readinto(memoryview(part))
            if not count:
                break
            found += part[:count]
        return bytes(found)


class Content:
    """`objects` gives the object store, opened when it is first wanted."""

    def __init__(self, objects: Callable[[], Objects]) -> None:
        self._made = objects

    def _box(self, project_id: str, trace: Trace) -> Container:
        return self._made().hidden_container(project_id, PURPOSE, trace)

    def read(self, project_id: str, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes [start, stop) of a stored object. NotFound reason `object`."""
        objects = self._made()
        version = objects.head(self._box(project_id, _trace(None, "image:read", "")), key)
        return (bytes(piece) for piece in objects.read(version, start, stop))

    def receive(self, image: Image, body: Readable, bounds: tuple[int, int | None], trace: Trace) -> Arrived:
        """Take a body; `bounds`: the most it may have, and its length if that is known. It counts once `keep` runs.
        TooLarge reason `entity`, Invalid reason `short_body`."""
        objects, measured = self._made(), Measured(body)
        box = self._box(image.keeper, trace)
        stored = objects.receive(box, measured, Receive(length=bounds[1], max_length=bounds[0]))
        if not stored.size:
            raise Invalid(f"no data came for image {image.id}", "short_body")
        return Arrived(box, stored, measured.digest, bytes(measured.head))

    def keep(self, arrived: Arrived, key: str, trace: Trace, write: Callable[[Tx, str], None]) -> None:
        """Make received bytes the object `key` and call `write(tx, key)` in the same transaction; what it raises undoes
        both."""
        objects = self._made()
        step = objects.put(arrived.box, key, arrived.stored, Attributes(), NO_CONDITIONS, trace)

        def work(tx: Tx) -> Any:
            write(tx, key)
            return step.work(tx)

        try:
            objects.run(dataclasses.replace(step, work=work))
        except BaseException:
            objects.discard(arrived.stored)
            raise

    def store(
        self, image: Image, body: Readable, bounds: tuple[int, int | None], request_id: str,
        ends: tuple[str, Callable[[], int]],
    ) -> None:  # fmt: skip
        """Take a body and make it the image's data; `ends`: the state that follows, and the clock. For work that no
        request does itself."""
        trace = _trace(None, "image:upload", request_id)
        arrived = self.receive(image, body, bounds, trace)
        facts = facts_of(arrived) | {"virtual_size": heads.virtual_size(arrived.head, arrived.stored.size)}
        self.keep(arrived, key_of(image, "blob"), trace, landed(image, (image.state, ends[0]), facts, ends[1]()))

    def remove(self, project_id: str, key: str, request_id: str) -> None:
        """The object is not there."""
        objects, trace = self._made(), _trace(None, "image:erase", request_id)
        objects.run(objects.delete(self._box(project_id, trace), key, None, DeleteOptions(), trace))


@dataclasses.dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes received that are not yet anybody's: the container they go to, what the object store says of them, their
    SHA-512, and the first of them."""

    box: Container
    stored: Stored
    digest: str
    head: bytes


def key_of(image: Image, column: str) -> str:
    """The object that a column of an image names: always the same, so that a repeated import replaces its first try."""
    return f"{image.id}/{column}"


def facts_of(arrived: Arrived) -> dict[str, Any]:
    """Columns that tell of bytes."""
    return {
        "size": arrived.stored.size, "checksum": arrived.stored.md5, "os_hash_algo": HASH,
        "os_hash_value": arrived.digest,
    }  # fmt: skip


def landed(
    image: Image, moves: tuple[str, str], facts: dict[str, Any], now_us: int, column: str = "blob"
) -> Callable[[Tx, str], None]:
    """What `Content.keep` is to write: the state moves from the one to the other, with these facts. NotFound when the
    image has gone meanwhile."""

    def write(tx: Tx, key: str) -> None:
        now = IMAGES.find(tx, id=image.id, gone=0)
        if now is None or now.state != moves[0]:
            raise NotFound(f"Image {image.id} could not be found after upload; it was deleted meanwhile", "image")
        columns = {**facts, column: key, "updated_us": now_us}
        if moves[0] != moves[1]:
            lifecycle.begin(tx, "image", image.id, moves, now_us)
            if moves[1] != "checking":
                columns["due_us"] = None
        IMAGES.update(tx, {"id": image.id}, **columns)

    return write


def _trace(actor: Actor | None, action: str, request_id: str) -> Trace:
    return Trace(actor, action, request_id, "image", label=None if actor else SYSTEM)


def trace_of(actor: Actor, action: str, request_id: str) -> Trace:
    """Of a client's request."""
    return _trace(actor, action, request_id)
