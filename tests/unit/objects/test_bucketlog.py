"""Access logs of buckets: configuration through the door, delivery by the worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database, migrate
from andromede.engines.disk import DiskEngine
from andromede.log import Log
from andromede.objects import bucketlog_store
from andromede.objects.access import Evaluator
from andromede.objects.bucketlog import LogDelivery, Parts, line, operation_name
from andromede.objects.model import ListQuery
from andromede.objects.s3.logging import logging_of
from tests.support.access import OWNER, container
from tests.support.clock import FakeClock, FakeIds
from tests.support.s3door import Bench
from tests.support.vault import vault


class Logs:
    """A door, its worker, and what the worker wrote."""

    def __init__(self, bench: Bench, worker: LogDelivery) -> None:
        self.s3, self.worker = bench, worker

    def written(self) -> list[str]:
        box = self.s3.objects.container(OWNER, "logs")
        return [getattr(entry, "key", str(entry)) for entry in self.s3.objects.list_objects(box, ListQuery()).entries]

    def lines(self) -> list[list[str]]:
        found = []
        for key in self.written():
            found += self.s3.ask("GET", f"/logs/{key}").body.decode().splitlines()
        return [one.split(" ") for one in found]


@pytest.fixture
def logs(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Logs]:
    migrate(db, list(bucketlog_store.MIGRATIONS))
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock) as v:
        bench = Bench(v)
        parts = Parts(v.objects, db, Evaluator(), logging_of, clock, FakeIds(), Log(level="error"), "fr1")
        for name in ("box", "logs"):
            assert bench.ask("PUT", f"/{name}").status == 200
        yield Logs(bench, LogDelivery(parts, roll_seconds=60))


def allow() -> bytes:
    condition = {"StringEquals": {"aws:SourceAccount": OWNER}, "ArnLike": {"aws:SourceArn": "arn:aws:s3:::box"}}
    statement = {
        "Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/l/*", "Condition": condition,
    }  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def enabled(inner: str = "<TargetBucket>logs</TargetBucket><TargetPrefix>l/</TargetPrefix>") -> bytes:
    return f"<BucketLoggingStatus><LoggingEnabled>{inner}</LoggingEnabled></BucketLoggingStatus>".encode()


def test_delivery_once_and_only_what_concerns_the_bucket(logs: Logs, clock: FakeClock) -> None:
    assert logs.s3.ask("PUT", "/logs?policy", allow()).status == 204
    assert logs.s3.ask("PUT", "/box?logging", enabled()).status == 200
    assert logs.worker.turn() == 0
    logs.s3.ask("PUT", "/box/a b", b"x")
    logs.s3.ask("PUT", "/logs/other", b"x")
    assert logs.worker.turn() == 0
    clock.advance(60)
    assert logs.worker.turn() == 1
    assert logs.worker.turn() == 0
    (key,) = [key for key in logs.written() if key != "other"]
    assert key.startswith("l/2026-01-01-00-01-00-")
    (one,) = [fields for fields in logs.lines() if len(fields) > 5]
    assert one[:2] == [OWNER, "box"]
    assert one[7] == "REST.PUT.OBJECT"
    assert one[8] == "a%20b"
    logs.s3.ask("DELETE", "/box/a%20b")
    clock.advance(60)
    assert logs.worker.turn() == 1
    assert [fields[7] for fields in logs.lines() if len(fields) > 5] == ["REST.PUT.OBJECT", "REST.DELETE.OBJECT"]


def test_a_target_that_takes_the_right_back_gets_the_log_later(logs: Logs, clock: FakeClock) -> None:
    logs.s3.ask("PUT", "/logs?acl", x_amz_acl="log-delivery-write")
    assert logs.s3.ask("PUT", "/box?logging", enabled()).status == 200
    logs.worker.turn()
    logs.s3.ask("PUT", "/box/k", b"x")
    clock.advance(60)
    logs.s3.ask("PUT", "/logs?acl", x_amz_acl="private")
    assert logs.worker.turn() == 0
    logs.s3.ask("PUT", "/logs?acl", x_amz_acl="log-delivery-write")
    assert logs.worker.turn() == 1


def test_partitioned_keys_and_grants_on_log_objects(logs: Logs, clock: FakeClock) -> None:
    logs.s3.ask("PUT", "/logs?acl", x_amz_acl="log-delivery-write")
    everyone = "http://acs.amazonaws.com/groups/global/AllUsers"
    grant = f"<Grant><Grantee><URI>{everyone}</URI></Grantee><Permission>READ</Permission></Grant>"
    grants = f"<TargetGrants>{grant}</TargetGrants>"
    layout = "<TargetObjectKeyFormat><PartitionedPrefix/></TargetObjectKeyFormat>"
    body = enabled(f"<TargetBucket>logs</TargetBucket><TargetPrefix/>{grants}{layout}")
    assert logs.s3.ask("PUT", "/box?logging", body).status == 200
    assert logs.s3.ask("GET", "/box?logging").body == body
    logs.worker.turn()
    logs.s3.ask("PUT", "/box/k", b"x")
    clock.advance(60)
    assert logs.worker.turn() == 1
    (key,) = logs.written()
    assert key.startswith(f"{OWNER}/fr1/box/2026/01/01/2026-01-01-00-01-00-")
    assert logs.s3.ask("GET", f"/logs/{key}", who="nobody").status == 200


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<TargetBucket>none</TargetBucket><TargetPrefix/>", "InvalidTargetBucketForLogging"),
        ("<TargetBucket>logs</TargetBucket><TargetPrefix/>", "InvalidTargetBucketForLogging"),
        ("<TargetPrefix/>", "MalformedXML"),
        ("<TargetBucket/>", "MalformedXML"),
        (f"<TargetBucket>logs</TargetBucket><TargetPrefix>{'x' * 801}</TargetPrefix>", "InvalidArgument"),
        ("<TargetBucket>logs</TargetBucket><TargetObjectKeyFormat/>", "MalformedXML"),
        ("<Else/>", "MalformedXML"),
    ],
)
def test_bad_configurations(logs: Logs, inner: str, code: str) -> None:
    assert logs.s3.ask("PUT", "/box?logging", enabled(inner)).code == code


def test_logging_is_switched_off(logs: Logs) -> None:
    logs.s3.ask("PUT", "/logs?acl", x_amz_acl="log-delivery-write")
    assert logs.s3.ask("PUT", "/box?logging", enabled()).status == 200
    assert logs.s3.ask("PUT", "/box?logging", b"<BucketLoggingStatus/>").status == 200
    assert logs.s3.ask("GET", "/box?logging").xml("BucketLoggingStatus").children == []
    assert logs.worker.reconciler(1.0).run() is False


def test_lines_and_names_of_operations() -> None:
    names = {
        "s3:GetObject": "REST.GET.OBJECT",
        "s3:GetObjectVersion": "REST.GET.OBJECT",
        "s3:GetBucketAcl": "REST.GET.ACL",
        "s3:PutObjectTagging": "REST.PUT.TAGGING",
        "s3:ListBucket": "REST.GET.BUCKET",
        "s3:PutBucketCORS": "REST.PUT.CORS",
        "s3:DeleteBucket": "REST.DELETE.BUCKET",
        "odd": "REST.-.-",
    }
    assert {action: operation_name(action) for action in names} == names
    event = {
        "ts": 1_767_225_600_000_000, "actor": "anonymous", "request_id": "r 1", "action": "s3:GetObject",
        "object": "box/é?v=7", "outcome": "denied",
    }  # fmt: skip
    text = line(container(), event)
    assert text.startswith(
        f'{OWNER} box [01/Jan/2026:00:00:00 +0000] - - r%201 REST.GET.OBJECT %C3%A9 "-" 403 AccessDenied'
    )
    assert text.endswith("\n")
