"""What the sequencer can do, and what proofs of a long log cost.

    python -m bench.sequencing [--seconds 30] [--tenants 10] [--rate 1000] [--entries 10000000] [--idle 100000]

Three parts, each on a fresh SQLite database, or on the PostgreSQL that ANDROMEDE_TEST_POSTGRES names:

pace     a process records `--rate` events a second for each of `--tenants`, another sequences them with a checkpoint a
         second; printed are the rates, the sequencer's share of a core, and the time from an event's commit to the
         signed checkpoint that covers it; then how fast a backlog is taken in.
long     a log of `--entries` entries whose tiles are built directly; proofs, receipts and their verification, one more
         turn, bytes and memory.
idle     `--idle` logs at rest: what a turn costs, and what it writes.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import multiprocessing.connection
import random
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from andromede.audit import Draft, Recorder
from andromede.clock import SystemClock
from andromede.db import open_database
from andromede.ids import RandomIds
from andromede.ledger.policy import Policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.tree import EMPTY_ROOT
from andromede.sovereignty import store
from andromede.sovereignty.tiles import Edge
from bench.figures import percentile
from tests.support import postgres
from tests.support.ledger import Bench, origin_of

BATCHES_A_SECOND = 20
BODY = "bench-bucket/photos/2026/11/holiday-{}.jpg?v=0123456789abcdef0123456789abcdef"


def opened(folder: Path) -> tuple[str, Bench]:
    dsn = postgres.address(folder.name) or f"sqlite:///{folder}/bench.db"
    return dsn, Bench.open(open_database(dsn), SystemClock(), folder, RandomIds())


def drafts(tenant: str, count: int) -> list[Draft]:
    actor = "user:0123456789abcdef0123456789abcdef"
    return [Draft(tenant, actor, "s3:PutObject", BODY.format(at), f"req-{at:036d}") for at in range(count)]


def record(dsn: str, tenants: list[str], rate: int, seconds: float, done: Callable[[float, int], None]) -> None:
    """Record at a steady pace; `done(instant, events so far of each tenant)` after each commit."""
    db = open_database(dsn)
    recorder = Recorder("bench", SystemClock())
    each = max(1, rate // BATCHES_A_SECOND)
    batch = [draft for tenant in tenants for draft in drafts(tenant, each)]
    begin, count = time.monotonic(), 0
    for number in range(int(seconds * BATCHES_A_SECOND)):
        time.sleep(max(0.0, begin + number / BATCHES_A_SECOND - time.monotonic()))
        with db.write() as tx:
            recorder.record(tx, batch)
        count += each
        done(time.monotonic(), count)
    db.close()


def writer(
    dsn: str, tenants: list[str], rate: int, seconds: float, pipe: multiprocessing.connection.Connection
) -> None:
    begin = time.process_time()
    commits: list[tuple[float, int]] = []
    record(dsn, tenants, rate, seconds, lambda at, count: commits.append((at, count)))
    pipe.send((commits, time.process_time() - begin))


def sequence(
    dsn: str, folder: str, every: float, stop: threading.Event, pipe: multiprocessing.connection.Connection
) -> None:
    """The sequencer as the worker runs it; sends (instants of publications, CPU seconds, peak memory)."""
    bench = Bench.open(open_database(dsn), SystemClock(), Path(folder))
    published: list[float] = []
    begin, wall = time.process_time(), time.monotonic()
    sequencer = bench.sequencer(
        reached=lambda step: published.append(time.monotonic()) if step == "published" else None
    )
    sequencer.run(stop, every)
    spent = time.process_time() - begin
    pipe.send((published, spent, time.monotonic() - wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def pace(folder: Path, choice: argparse.Namespace) -> None:
    dsn, bench = opened(folder)
    tenants = [f"{number:032x}" for number in range(1, choice.tenants + 1)]
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    here, there = context.Pipe()
    mine, yours = context.Pipe()
    sequencer = context.Process(target=sequence, args=(dsn, str(folder), 1.0, stop, there))
    load = context.Process(target=writer, args=(dsn, tenants, choice.rate, choice.seconds, yours))
    sequencer.start()
    time.sleep(2)
    load.start()
    heads: list[tuple[float, int]] = []  # instant, smallest signed size of all logs
    commits: list[tuple[float, int]] = []
    busy = 0.0
    while not mine.poll(0.05):
        heads.append((time.monotonic(), signed(bench, tenants)))
    commits, busy = mine.recv()
    while signed(bench, tenants) < commits[-1][1]:
        time.sleep(0.05)
        heads.append((time.monotonic(), signed(bench, tenants)))
    heads.append((time.monotonic(), signed(bench, tenants)))
    took = commits[-1][0] - commits[0][0]
    stop.set()
    published, spent, wall, peak = here.recv()
    sequencer.join()
    load.join()
    waits = [next(at for at, size in heads if size >= count) - committed for committed, count in commits]
    total = commits[-1][1] * len(tenants)
    rate = f"{total / took:,.0f} a second"
    print(f"pace, {bench.db.dialect}: {len(tenants)} tenants, {total} events in {took:.1f} s: {rate}")
    print(f"  sequencer: {spent / wall:.1%} of a core over {wall:.0f} s, peak memory {peak / 2**20:.0f} MiB, "
          f"{len(published)} publications; recorder: {busy / took:.1%} of a core")  # fmt: skip
    print(f"  commit to signed checkpoint: median {statistics.median(waits):.2f} s, "
          f"p99 {percentile(waits, 0.99):.2f} s, longest {max(waits):.2f} s (seen every 50 ms)")  # fmt: skip
    backlog(dsn, bench, tenants[:1])
    stored(bench, folder, tenants, total)


def signed(bench: Bench, tenants: list[str]) -> int:
    rows = dict(bench.db.all("SELECT origin, max(size) FROM ledger_checkpoint WHERE note IS NOT NULL GROUP BY origin"))
    logs = {row[0]: row[1] for row in bench.db.all("SELECT tenant, origin FROM ledger_log")}
    return min(int(rows.get(logs.get(tenant, ""), 0)) for tenant in tenants)


def backlog(dsn: str, bench: Bench, tenants: list[str], count: int = 100_000) -> None:
    recorder = Recorder("bench", SystemClock())
    for _ in range(count // 1000):
        with bench.db.write() as tx:
            recorder.record(tx, drafts(tenants[0], 1000))
    sequencer = bench.sequencer()
    begin, cpu = time.monotonic(), time.process_time()
    while sequencer.turn():
        pass
    took, spent = time.monotonic() - begin, time.process_time() - cpu
    print(f"  backlog of {count} in one log: {count / took:,.0f} a second, {spent / took:.0%} of a core, "
          f"{spent / count * 1e6:.1f} us of CPU an event")  # fmt: skip


def size_of(bench: Bench, folder: Path) -> int:
    """Bytes of the database once everything is folded into it."""
    if bench.db.dialect == "postgresql":
        row = bench.db.one("SELECT pg_database_size(current_database())")
        return int(row[0]) if row else 0
    bench.db.one("PRAGMA wal_checkpoint(TRUNCATE)")
    return (folder / "bench.db").stat().st_size


def stored(bench: Bench, folder: Path, tenants: list[str], total: int) -> None:
    whole = size_of(bench, folder)
    row = bench.db.one("SELECT count(*), sum(length(body)) FROM audit_event")
    tiles = bench.db.one("SELECT count(*), sum(length(data)) FROM ledger_tile")
    assert row is not None and tiles is not None
    print(f"  database: {whole / row[0]:.0f} bytes an event, of which its text {row[1] / row[0]:.0f}, "
          f"salt 32, tiles {tiles[1] / row[0]:.1f}")  # fmt: skip


def made_up(number: int) -> tuple[bytes, bytes]:
    """Salt and event of an entry whose event is not in the database."""
    return hashlib.sha256(number.to_bytes(8, "big")).digest(), b'{"object":"%d"%s}' % (number, b" " * 300)


def grown(bench: Bench, tenant: str, count: int) -> Edge:
    """Build a log of `count` entries, tile by tile."""
    origin, edge = origin_of(tenant), Edge()
    chunk = 65_536
    for first in range(0, count, chunk):
        numbers = range(first, min(first + chunk, count))
        tiles = edge.extend([entry_of(*made_up(number)) for number in numbers])
        with bench.db.write() as tx:
            assert store.write_tiles(tx, [(origin, tile) for tile in tiles])
    with bench.db.write() as tx:
        sql = "INSERT INTO ledger_log (tenant, origin, allocated, size, root) VALUES (?, ?, ?, ?, ?)"
        tx.run(sql, (tenant, origin, count, count, edge.root()))
    return edge


def timed(work: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return times


def shown(times: list[float]) -> str:
    return f"median {statistics.median(times):.2f} ms, p99 {percentile(times, 0.99):.2f} ms"


def anonymous() -> int:
    """Resident bytes of this process that belong to no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def long(folder: Path, choice: argparse.Namespace) -> None:
    _, bench = opened(folder)
    tenant, count = "p1", choice.entries
    before, begin = size_of(bench, folder), time.monotonic()
    grown(bench, tenant, count)
    took = time.monotonic() - begin
    added = size_of(bench, folder) - before
    print(f"long, {bench.db.dialect}: {count} entries built in {took:.0f} s ({count / took:,.0f} a second), "
          f"{added / count:.1f} bytes an entry")  # fmt: skip
    print(f"  memory of this process after that: {anonymous() / 2**20:.0f} MiB")
    recorder = Recorder("bench", SystemClock())
    with bench.db.write() as tx:
        recorder.record(tx, drafts(tenant, 1000))
    sequencer = bench.sequencer()
    print(f"  first turn of a new process, 1000 events: {timed(sequencer.turn, 1)[0]:.0f} ms")
    with bench.db.write() as tx:
        recorder.record(tx, drafts(tenant, 1000))
    print(f"  next turn, 1000 events: {timed(sequencer.turn, 1)[0]:.0f} ms")
    origin, logs, size = origin_of(tenant), bench.logs, count + 2000
    chance = random.Random(1)
    indexes: Iterator[int] = iter([chance.randrange(size) for _ in range(2000)])
    print(
        "  inclusion proof of a random entry:", shown(timed(lambda: logs.inclusion(origin, next(indexes), size), 500))
    )
    olds: Iterator[int] = iter([chance.randrange(1, size) for _ in range(2000)])
    print(
        "  consistency proof from a random size:", shown(timed(lambda: logs.consistency(origin, next(olds), size), 500))
    )
    note = logs.checkpoint(origin)
    assert note is not None
    late = [count + chance.randrange(2000) for _ in range(500)]

    def receipt(index: int) -> Receipt:
        [(_, salt, body)] = logs.events(tenant, index, index + 1)
        assert salt is not None and entry_of(salt, body)
        text = logs.checkpoint(origin)
        assert text is not None
        return Receipt(salt, body, index, tuple(logs.inclusion(origin, index, size)), text)

    wanted = iter(late)
    print("  receipt with its event:", shown(timed(lambda: str(receipt(next(wanted))), 500)))
    policy = Policy(logs=logs.verifiers(origin))
    some = [chance.randrange(count) for _ in range(200)]
    texts = [str(Receipt(*made_up(at), at, tuple(logs.inclusion(origin, at, size)), note)) for at in some]
    paths = [len(Receipt.parse(text).path) for text in texts]
    print(f"  receipt of a random entry: {statistics.median(map(len, texts)):.0f} bytes, of which its checkpoint "
          f"{len(note)}; {statistics.median(paths):.0f} hashes, at most {max(paths)}")  # fmt: skip
    checked = iter(texts)
    print("  verification of a receipt:", shown(timed(lambda: Receipt.parse(next(checked)).verify(policy), 200)))
    print(f"  memory of this process: {anonymous() / 2**20:.0f} MiB (mapped pages of the database file left out)")


def idle(folder: Path, choice: argparse.Namespace) -> None:
    _, bench = opened(folder)
    sql = "INSERT INTO ledger_log (tenant, origin, allocated, size, root) VALUES (?, ?, 7, 7, ?)"
    with bench.db.write() as tx:
        tx.many(sql, [(f"{at:032x}", f"andromede-0/t/{at:016x}", EMPTY_ROOT) for at in range(choice.idle)])
    sequencer = bench.sequencer()
    sequencer.turn()
    before = size_of(bench, folder)
    times = timed(sequencer.turn, 1000)
    wal = folder / "bench.db-wal"
    written = wal.stat().st_size if wal.exists() else size_of(bench, folder) - before
    print(f"idle, {bench.db.dialect}: {choice.idle} logs at rest: a turn takes {shown(times)}; "
          f"1000 turns wrote {written} bytes")  # fmt: skip


def busy_small(folder: Path, choice: argparse.Namespace) -> None:
    """Many logs with one event each: what signatures cost."""
    _, bench = opened(folder)
    recorder = Recorder("bench", SystemClock())
    sequencer = bench.sequencer()
    count = 500
    for _ in range(3):
        with bench.db.write() as tx:
            recorder.record(tx, [draft for at in range(count) for draft in drafts(f"{at:032x}", 1)])
        took = timed(sequencer.turn, 1)[0]
    print(f"  {count} logs with one new event each: a turn takes {took:.0f} ms, {took / count:.2f} ms a log")


PARTS: dict[str, tuple[Callable[[Path, argparse.Namespace], None], ...]] = {
    "pace": (pace,), "long": (long,), "idle": (idle, busy_small)
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.sequencing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (all of them)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the paced load")
    parser.add_argument("--tenants", type=int, default=10)
    parser.add_argument("--rate", type=int, default=1000, help="events a second and tenant")
    parser.add_argument("--entries", type=int, default=10_000_000, help="length of the long log")
    parser.add_argument("--idle", type=int, default=100_000, help="logs at rest")
    choice = parser.parse_args()
    for name in choice.parts or PARTS:
        for part in PARTS[name]:
            folder = Path(tempfile.mkdtemp(prefix="bench-sequencing-"))
            try:
                part(folder, choice)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
