"""Access logs of buckets, written into another bucket of the same project by a worker, from the audit events.

User guide, "Amazon S3 server access log format". The trail holds no addresses, sizes and times of answers;
their fields carry `-`, which the format has for the unknown. Each event is delivered once: the log object and
the cursor change in one transaction.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from andromede.audit import store as audit_store
from andromede.clock import US, Clock, utc
from andromede.db import Database, Tx
from andromede.errors import Error, NotFound
from andromede.ids import Ids
from andromede.log import Log
from andromede.objects import bucketlog_store
from andromede.objects.access import AccessRequest, Evaluator
from andromede.objects.access.acl import LOG_SERVICE
from andromede.objects.commit import Step
from andromede.objects.model import NO_CONDITIONS, Attributes, Container, Receive, Trace
from andromede.objects.service import Objects
from andromede.work import Reconciler

ACTOR = "system:log-delivery"
BATCH = 1000
ROLL_SECONDS = 300
_VERBS = {"Get": "GET", "List": "GET", "Head": "HEAD", "Put": "PUT", "Create": "PUT", "Delete": "DELETE"}
_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z][a-z]+")


@dataclass(frozen=True, slots=True)
class Logging:
    """Where to: the target bucket's name, a prefix, the ACL of the log objects (stored form), and whether
    keys carry `owner/region/bucket/yyyy/mm/dd/`."""

    target: str
    prefix: str = ""
    acl: bytes | None = None
    partitioned: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What the delivery stands on. `logging_of` reads a container's configuration."""

    objects: Objects
    db: Database
    evaluator: Evaluator
    logging_of: Callable[[Container], Logging | None]
    clock: Clock
    ids: Ids
    log: Log
    region: str


def permitted(evaluator: Evaluator, source: Container, target: Container, prefix: str) -> bool:
    """May the log service write logs of `source` below this prefix of `target`?"""
    request = AccessRequest(
        None,
        "s3:PutObject",
        target,
        key=f"{prefix}log",
        context={"aws:SourceAccount": source.project_id, "aws:SourceArn": f"arn:aws:s3:::{source.name}"},
        service=LOG_SERVICE,
    )
    return evaluator.allowed(request).allowed


class LogDelivery:
    """`turn` writes one log object per bucket with waiting events, when they are old or many enough."""

    def __init__(self, parts: Parts, roll_seconds: int = ROLL_SECONDS) -> None:
        self._p = parts
        self._roll_us = roll_seconds * US

    def reconciler(self, every: float) -> Reconciler:
        """The turn as a task of the work role."""
        return Reconciler("objects.bucketlog", every, self._more)

    def _more(self) -> bool:
        self.turn()
        return False

    def turn(self) -> int:
        """The number of log objects written."""
        written = after = 0
        while page := self._p.objects.containers_with("logging", after, 100):
            for container in page:
                after = container.id
                try:
                    written += self._deliver(container)
                except Error as error:
                    self._p.log.event("log delivery failed", "warning", container=container.id, why=error.public)
        return written

    def _deliver(self, source: Container) -> bool:
        config = self._p.logging_of(source)
        if config is None:
            return False
        with self._p.db.read() as tx:
            cursor = bucketlog_store.cursor(tx, source.id)
            rows = audit_store.events(tx, source.project_id, cursor, BATCH) if cursor is not None else []
            newest = audit_store.newest(tx, None, 1)
        if cursor is None:
            # logging begins with what happens from now on
            self._move(source, newest[-1][0] if newest else 0)
            return False
        events = [(row[0], json.loads(bytes(row[2]))) for row in rows if row[2]]  # erased ones are empty
        mine = [(number, event) for number, event in events if concerns(event, source.name)]
        full = len(rows) == BATCH
        if not mine:
            if full:
                self._move(source, rows[-1][0])
            return False
        if not full and self._p.clock.now_us() - mine[0][1]["ts"] < self._roll_us:
            return False
        self._write(source, config, [event for _, event in mine], rows[-1][0])
        return True

    def _move(self, source: Container, event: int) -> None:
        with self._p.db.write() as tx:
            bucketlog_store.move(tx, source.id, event)

    def _write(self, source: Container, config: Logging, events: list[dict[str, Any]], last: int) -> None:
        target = self._p.objects.container(source.project_id, config.target)
        if not permitted(self._p.evaluator, source, target, config.prefix):
            raise NotFound(f"bucket {target.name} does not let the log service write", "target_bucket")
        data = "".join(line(source, event) for event in events).encode()
        key = self._key(source, config)
        stored = self._p.objects.receive(target, io.BytesIO(data), Receive(len(data)))
        trace = Trace(
            None, "s3:PutObject", f"log-{source.id}-{last}", door="worker", purpose="OPERATOR_SYSTEM", label=ACTOR,
            owner_id=target.project_id,
        )  # fmt: skip
        about = Attributes(content_type="text/plain", acl=config.acl)
        step = self._p.objects.put(target, key, stored, about, NO_CONDITIONS, trace)

        def work(tx: Tx) -> None:
            step.work(tx)
            bucketlog_store.move(tx, source.id, last)

        self._p.objects.run(Step(work, step.record))

    def _key(self, source: Container, config: Logging) -> str:
        now = utc(self._p.clock.now_us())
        folder = ""
        if config.partitioned:
            folder = f"{source.project_id}/{self._p.region}/{source.name}/{now:%Y/%m/%d}/"
        return f"{config.prefix}{folder}{now:%Y-%m-%d-%H-%M-%S}-{self._p.ids.hex()[:16].upper()}"


def concerns(event: dict[str, Any], bucket: str) -> bool:
    """Does the event speak of this bucket (and not of the delivery itself)? Those without a door are not of objects."""
    found = event["object"].partition("/")[0] == bucket and "door" in event.get("detail", ())
    return bool(found and event["actor"] != ACTOR)


def line(source: Container, event: dict[str, Any]) -> str:
    """One line of the log."""
    _, slash, rest = event["object"].partition("/")
    key, mark, version = rest.rpartition("?v=")
    if not mark:
        key, version = rest, ""
    when = utc(event["ts"]).strftime("%d/%b/%Y:%H:%M:%S +0000")
    who = event["actor"].removeprefix("user:")
    denied = event["outcome"] == "denied"
    fields = [
        source.project_id,
        source.name,
        f"[{when}]",
        "-",
        "-" if who == "anonymous" else quote(who),
        quote(event["request_id"]),
        operation_name(event["action"]),
        quote(key, safe="/~") if slash else "-",
        '"-"',
        "403" if denied else "200",
        "AccessDenied" if denied else "-",
        *["-"] * 4,
        '"-"',
        '"-"',
        version or "-",
        *["-"] * 8,
    ]
    return " ".join(fields) + "\n"


def operation_name(action: str) -> str:
    """`s3:GetBucketAcl` -> `REST.GET.ACL`, `s3:PutObject` -> `REST.PUT.OBJECT`."""
    words = _WORD.findall(action.partition(":")[2])
    if not words:
        return "REST.-.-"
    verb = _VERBS.get(words[0], words[0].upper())
    if words[0] == "List":
        return f"REST.{verb}.BUCKET"
    rest = [word for word in words[1:] if word not in ("Version", "Versions")]
    if len(rest) > 1 and rest[0] in ("Object", "Bucket"):
        rest = rest[1:]
    return f"REST.{verb}.{'_'.join(rest).upper() or 'OBJECT'}"
