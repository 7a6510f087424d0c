"""The interface of a log as the monitor reads it, every answer checked for its form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from andromede.ledger import tree
from andromede.ledger.receipt import SALT_SIZE, entry_of
from andromede.ledger.tree import HASH_SIZE, TILE_WIDTH
from andromede.sovereignty.monitor.wire import Absent, Garbled, Wire, blob, hashes, utf8, whole

EVENTS_AT_ONCE = 1000
PROOF_LIMIT = 64 * 1024
_ORIGIN = re.compile(r"andromede-[0-9a-f]{12}/[it]/[0-9a-f]{16}")
_ENTRY = HASH_SIZE + 2


@dataclass(frozen=True, slots=True)
class Shown:
    """An event as the server shows it; `salt` None: its content is withheld or was removed."""

    index: int
    salt: bytes | None
    event: bytes

    @property
    def leaf(self) -> bytes | None:
        """The leaf hash that the shown content leads to."""
        return None if self.salt is None else tree.leaf_hash(entry_of(self.salt, self.event))


MOST_LOGS = 100_000


def listed_logs(wire: Wire) -> dict[str, int]:
    """Origin -> size of every log that the credential may read, as the server lists them."""
    found: dict[str, int] = {}
    after = ""
    while len(found) < MOST_LOGS:
        path = f"/v1/logs?after={quote(after, safe='')}"
        page = wire.json(path)
        rows = page.get("logs")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Garbled(f"{path}: no list of logs")
        origins = [row.get("origin") for row in rows]
        if any(not isinstance(one, str) or one <= after or not _ORIGIN.fullmatch(one) for one in origins):
            raise Garbled(f"{path}: an origin that is none, or out of order")
        found |= {row["origin"]: whole(row, "size", path) for row in rows}
        if not isinstance(page.get("next"), str) or not origins:
            return found
        after = max(origins)
    return found


class LogSite:
    """One log at one server. `log` None: the log of the token's own project. `reads` counts the lists of events asked
    for: each leaves an event."""

    def __init__(self, wire: Wire, log: str | None = None) -> None:
        self.wire = wire
        self.reads = 0
        self.base = "/v1" if log is None else f"/v1/logs/{quote(log, safe='')}"

    @property
    def url(self) -> str:
        """What is followed, as the state remembers it."""
        return self.wire.site.url + self.base

    def checkpoint(self) -> str:
        """The newest signed note."""
        return self.wire.text(f"{self.base}/checkpoint")

    def witnessed(self) -> str:
        """The newest note that meets the quorum of the policy that the server knows."""
        return self.wire.text(f"{self.base}/checkpoint?witnessed=true")

    def policy(self) -> str:
        """The policy file that the server publishes for this log."""
        return self.wire.text(f"{self.base}/policy")

    def allocated(self) -> int:
        """How many positions the server says it has given."""
        path = f"{self.base}/status"
        return whole(self.wire.json(path, 1 << 20), "allocated", path)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The server's proof, as RFC 9162 shapes it."""
        path = f"{self.base}/consistency?old={old}&size={size}"
        raw = self.wire.get(path, PROOF_LIMIT)
        return read_proof(raw, path)

    def tile(self, level: int, number: int, width: int) -> bytes:
        """`width` hashes of a tile; a partial tile that is gone is cut from the full one."""
        return self._tile(f"{self.base}/{tree.tile_path(level, number)}", width, HASH_SIZE)

    def entries(self, number: int, width: int) -> list[bytes]:
        """The first `width` entries of an entries tile."""
        path = f"{self.base}/" + tree.tile_path(0, number).replace("tile/0/", "tile/entries/", 1)
        data = self._tile(path, width, _ENTRY)
        rows = [data[n : n + _ENTRY] for n in range(0, len(data), _ENTRY)]
        if any(row[:2] != HASH_SIZE.to_bytes(2, "big") for row in rows):
            raise Garbled(f"{path}: an entry that is not {HASH_SIZE} bytes long")
        return [row[2:] for row in rows]

    def _tile(self, path: str, width: int, unit: int) -> bytes:
        most = TILE_WIDTH * unit
        try:
            data = self.wire.get(path + (f".p/{width}" if width < TILE_WIDTH else ""), most)
        except Absent:
            if width == TILE_WIDTH:
                raise
            data = self.wire.get(path, most)[: width * unit]
        if len(data) != width * unit:
            raise Garbled(f"{path}: {len(data)} bytes, not {width * unit}")
        return data

    def reader(self, size: int) -> tree.Reader:
        """Hashes from the server's tiles for the tree of `size` leaves; each tile is asked for once."""
        known: dict[tuple[int, int], bytes] = {}

        def read(level: int, first: int, count: int) -> list[bytes]:
            number, at = divmod(first, TILE_WIDTH)
            if (level, number) not in known:
                width = min(TILE_WIDTH, (size >> (8 * level)) - number * TILE_WIDTH)
                known[level, number] = self.tile(level, number, width)
            data = known[level, number]
            return [data[n * HASH_SIZE : (n + 1) * HASH_SIZE] for n in range(at, at + count)]

        return read

    def events(self, first: int, to: int) -> dict[int, Shown]:
        """Events of first <= index < to that the server shows, by index: those it leaves out are missing here."""
        found: dict[int, Shown] = {}
        at = first
        while at < to:
            path = f"{self.base}/events?from={at}&to={min(to, at + EVENTS_AT_ONCE)}"
            self.reads += 1
            rows = self.wire.json(path).get("events")
            if not isinstance(rows, list):
                raise Garbled(f"{path}: no list of events")
            page = [_shown(row, path) for row in rows]
            if any(not at <= one.index < to for one in page):
                raise Garbled(f"{path}: an index outside the range")
            found.update((one.index, one) for one in page)
            following = max((one.index for one in page), default=at - 1) + 1
            if following <= at:
                at = min(to, at + EVENTS_AT_ONCE)
            else:
                at = following
        return found


def _shown(row: object, path: str) -> Shown:
    if not isinstance(row, dict):
        raise Garbled(f"{path}: an event that is not an object")
    index = whole(row, "index", path)
    if row.get("salt") is None:
        return Shown(index, None, b"")
    salt = blob(row["salt"], path)
    if row.get("event64") is not None:
        event = blob(row["event64"], path)
    elif isinstance(row.get("event"), str):
        event = row["event"].encode("utf-8", "surrogatepass")
    else:
        raise Garbled(f"{path}: event {index} has a salt and no text")
    if len(salt) != SALT_SIZE:
        raise Garbled(f"{path}: a salt of {len(salt)} bytes")
    return Shown(index, salt, event)


def read_proof(raw: bytes, path: str) -> list[bytes]:
    """Hashes in base64, one a line."""
    return hashes(utf8(raw, path).split(), path)
