"""What a request or a worker's turn asks of the database does not depend on how much is stored.

Counted, not timed: the steps of SQLite's virtual machine that each statement takes, in a store of 300 objects and 30
buckets, and in one of 20,000 and 2,000. What the program asks of PostgreSQL is the same text over the same indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from andromede import audit, keys, work
from andromede.app import base
from andromede.audit import Recorder
from andromede.audit.leases import recover_silent
from andromede.clock import SystemClock
from andromede.db import migrate
from andromede.keys import store as key_store
from andromede.log import Log
from andromede.objects import worker
from andromede.objects.access.evaluator import Evaluator
from andromede.objects.bucketlog import LogDelivery
from andromede.objects.bucketlog import Parts as LogParts
from andromede.objects.lifecycle_worker import LifecycleWorker
from andromede.objects.model import NO_CONDITIONS, NewContainer, Receive
from andromede.objects.s3.lifecycle_xml import rules_of
from andromede.objects.s3.logging import logging_of
from andromede.objects.service import Objects, Tools
from tests.support.clock import FakeClock, FakeIds
from tests.support.counting import Counting
from tests.support.doors import Answer, Doors, doors
from tests.support.vault import PLAIN, TRACE, Bytes

FEW, MANY = (300, 30), (20_000, 2000)
LIMIT = 20
SLACK, RATIO = 200, 1.3
RULES = (
    b"<LifecycleConfiguration><Rule><ID>a</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status>"
    b"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
)
PAIR = b"<Delete><Object><Key>gone/1</Key></Object><Object><Key>gone/2</Key></Object></Delete>"
VERSIONED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


def fill(to: Doors, objects: int, buckets: int) -> None:
    """Half the objects of `big` under one prefix, half flat; as many versions again in `versioned`, and buckets."""
    service, project = to.vault.objects, "p1"
    for first in range(0, buckets, 500):
        names = [f"many-{number:05d}" for number in range(first, min(first + 500, buckets))]
        service.run_all([service.create_container(NewContainer(project, name, project), TRACE) for name in names])
    assert to.s3("PUT", "big").status == 200
    assert to.s3("PUT", "versioned").status == 200
    assert to.s3("PUT", "versioned", VERSIONED, query="versioning").status == 200
    for name, count in (("big", objects), ("versioned", objects // 4)):
        box = service.container(project, name)
        for first in range(0, count, 500):
            steps = []
            for number in range(first, min(first + 500, count)):
                key = f"deep/{number:06d}" if number % 2 else f"flat-{number:06d}"
                stored = service.receive(box, Bytes(b"x"), Receive(1))
                steps.append(service.put(box, key, stored, PLAIN, NO_CONDITIONS, TRACE))
            service.run_all(steps)


def good(answer: Answer) -> Answer:
    assert answer.status < 300, (answer.status, answer.body)
    return answer


def s3_requests(to: Doors) -> None:
    """What clients of S3 do all day."""
    middle = f"start-after=flat-{20:06d}"
    for query in ("", middle, "delimiter=%2F", "prefix=deep%2F&delimiter=%2F", f"{middle}&fetch-owner=true"):
        good(to.s3("GET", "big", query=f"list-type=2&max-keys={LIMIT}" + (f"&{query}" if query else "")))
    for box in ("big", "versioned"):
        good(to.s3("GET", box, query=f"marker=flat-000020&max-keys={LIMIT}"))
        good(to.s3("GET", box, query=f"versions=&max-keys={LIMIT}"))
        good(to.s3("GET", box, query=f"versions=&key-marker=flat-000020&max-keys={LIMIT}"))
        good(to.s3("HEAD", box))
        for method in ("GET", "HEAD"):
            good(to.s3(method, f"{box}/flat-000050"))
        good(to.s3("PUT", f"{box}/new", b"1"))
        good(to.s3("PUT", f"{box}/new", b"2"))
        good(to.s3("PUT", f"{box}/copy", b"", {"x-amz-copy-source": f"/{box}/flat-000050"}))
        good(to.s3("PUT", f"{box}/new", TAGS, query="tagging"))
        good(to.s3("DELETE", f"{box}/new"))
        good(to.s3("POST", box, PAIR, {"content-md5": md5_of(PAIR)}, query="delete="))
        upload = good(to.s3("POST", f"{box}/parts", query="uploads=")).text.split("<UploadId>")[1].split("<")[0]
        good(to.s3("PUT", f"{box}/parts", b"p", query=f"partNumber=1&uploadId={upload}"))
        good(to.s3("GET", box, query="uploads="))
        good(to.s3("DELETE", f"{box}/parts", query=f"uploadId={upload}"))
    good(to.s3("GET", "", query=f"max-buckets={LIMIT}"))
    good(to.s3("PUT", "fresh"))
    good(to.s3("PUT", "fresh", RULES, {"content-md5": md5_of(RULES)}, query="lifecycle="))
    good(to.s3("DELETE", "fresh"))


def md5_of(body: bytes) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.md5(body).digest()).decode()


def swift_requests(to: Doors) -> None:
    """What clients of Swift do all day, in an account with a quota."""
    quota = {"X-Account-Meta-Quota-Bytes": "1000000000000", "X-Account-Quota-Count": "1000000000"}
    good(to.swift("POST", "", b"", quota, token="reseller"))
    good(to.swift("HEAD"))
    good(to.swift("GET", query=f"limit={LIMIT}"))
    good(to.swift("GET", query=f"limit={LIMIT}&marker=many-00015"))
    good(to.swift("HEAD", "big"))
    good(to.swift("GET", "big", query=f"limit={LIMIT}&format=json"))
    good(to.swift("GET", "big", query=f"limit={LIMIT}&marker={quote('flat-000020')}&format=json"))
    good(to.swift("GET", "big", query=f"limit={LIMIT}&delimiter=/&format=json"))
    good(to.swift("GET", "big", query=f"limit={LIMIT}&reverse=true"))
    good(to.swift("GET", "big/flat-000050"))
    good(to.swift("PUT", "big/swift", b"1"))
    good(to.swift("DELETE", "big/swift"))
    good(to.swift("PUT", "made"))
    good(to.swift("DELETE", "made"))


def turns(to: Doors, clock: FakeClock, folder: Path) -> None:
    """Every worker once, and what a start asks."""
    vault, ids = to.vault, FakeIds()
    log, recorder = Log(level="error"), Recorder("work-0", clock, ids)
    tools = Tools(vault.db, vault.engine, vault.keys, recorder, clock, ids, log)
    objects: Objects = vault.objects
    for each in worker.reconcilers(tools, objects, worker.Rhythm()):
        each.run()
    LifecycleWorker(objects, rules_of, clock, log).turn()
    LogDelivery(LogParts(objects, vault.db, Evaluator(), logging_of, clock, ids, log, "fr1")).turn()
    recover_silent(vault.db, recorder, clock)
    audit.adopt(vault.db, ids)
    key_store.any_key(vault.db)
    with vault.db.write() as tx:
        recorder.mark(tx, "heartbeat", "req-heartbeat")


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[int, int], dict[str, int]]]:
    """Steps by statement for each store."""
    found = {}
    for size in (FEW, MANY):
        folder, clock = tmp_path_factory.mktemp("scale"), FakeClock(SystemClock().now_us())
        db = Counting(folder / "scale.db")
        migrate(db, base.migrations())
        with doors(db, folder, clock) as to:
            fill(to, *size)
            db.forget()
            s3_requests(to)
            swift_requests(to)
            clock.advance(2 * 86_400)
            turns(to, clock, folder)
            found[size] = dict(db.steps)
        db.close()
    yield found


def test_no_statement_takes_longer_in_a_larger_store(counted: dict[tuple[int, int], dict[str, int]]) -> None:
    few, many = counted[FEW], counted[MANY]
    assert len(many) > 60, "the requests ran"
    grown = {sql: (few.get(sql, 0), steps) for sql, steps in many.items() if steps > few.get(sql, 0) * RATIO + SLACK}
    assert not grown, "\n".join(f"{before} -> {after} steps: {sql}" for sql, (before, after) in grown.items())


def test_the_counting_sees_a_scan(tmp_path: Path) -> None:
    for rows, least, most in ((10, 0, 200), (5000, 5000, 1 << 30)):
        db = Counting(tmp_path / f"{rows}.db")
        migrate(db, [*audit.MIGRATIONS, *keys.MIGRATIONS, *work.MIGRATIONS])
        with db.write() as tx:
            tx.many("INSERT INTO sequence (name, value) VALUES (?, 1)", [(str(number),) for number in range(rows)])
        db.forget()
        db.one("SELECT count(*) FROM sequence WHERE value = 1")
        [steps] = db.steps.values()
        assert least <= steps <= most
        db.close()
