"""Fills a stopped installation through the program's own commit path, in one process and without HTTP.

    python -m bench.scale_fill DATA [--objects 1000000] [--buckets 100000] [--size 1024]

Every object passes `receive`, `put` and the group commit as a PUT of the S3 door does: its own data key, sealed bytes
in the segment log, row, counters and audit event. Buckets are made by the step of CreateBucket. The bucket `million`
gets

- `deep/000000` and on: a tenth of the objects, all under one common prefix,
- `wide/00000/x` and on: a tenth, each under a common prefix of its own,
- `flat/000000` and on: the others.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from andromede.app.base import Base, authenticator, object_tools
from andromede.config import load
from andromede.ids import request_id
from andromede.objects.model import NO_CONDITIONS, Attributes, Container, NewContainer, Receive, Trace
from andromede.objects.s3.writing import DEFAULT_CHECKSUM
from andromede.objects.service import Objects
from tests.support.installation import Installation

BUCKET = "million"
TOGETHER = 1024


def batched(names: Iterable[str], count: int) -> Iterator[list[str]]:
    """The names in lists of `count`; the last may be shorter."""
    left = iter(names)
    while part := list(islice(left, count)):
        yield part


class Body:
    """A small body that is in memory already, as the object port hands it over."""

    buffered = True

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        return self._data

    def readinto(self, view: memoryview, /) -> int:
        raise AssertionError("a small body is read whole")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a store holds: objects of the large bucket by their prefix, and other buckets."""

    deep: int
    wide: int
    flat: int
    buckets: int

    @classmethod
    def of(cls, objects: int, buckets: int) -> Layout:
        """A tenth deep, a tenth wide, the others flat."""
        return cls(objects // 10, objects // 10, objects - objects // 10 * 2, buckets)

    @property
    def objects(self) -> int:
        return self.deep + self.wide + self.flat

    def keys(self) -> Iterator[str]:
        """The keys of the large bucket."""
        yield from (f"deep/{number:06d}" for number in range(self.deep))
        yield from (f"wide/{number:06d}/x" for number in range(self.wide))
        yield from (f"flat/{number:06d}" for number in range(self.flat))

    def bucket_names(self) -> Iterator[str]:
        """The names of the many buckets."""
        return (f"many-{number:06d}" for number in range(self.buckets))


class Filler:
    """An object service over a data directory that nobody else runs on."""

    def __init__(self, data: Path) -> None:
        self.base = Base.open(load(data), "objects-0")
        self.tools = object_tools(self.base)
        self.objects = Objects(self.tools)
        self.actor = authenticator(self.base).ec2(Installation(data).s3["AWS_ACCESS_KEY_ID"])[1]

    def close(self) -> None:
        self.objects.close()
        self.tools.engine.close()
        self.base.db.close()

    def trace(self, action: str) -> Trace:
        return Trace(self.actor, action, request_id(self.base.ids), owner_id=self.actor.project_id)

    def buckets(self, names: Sequence[str]) -> list[Container]:
        """Make buckets as CreateBucket does."""
        project = self.actor.project_id or ""
        steps = [
            self.objects.create_container(NewContainer(project, name, project), self.trace("s3:CreateBucket"))
            for name in names
        ]
        made = self.objects.run_all(steps)
        return [entry[0] for entry in made if not isinstance(entry, Exception)]

    def put(self, box: Container, names: Sequence[str], size: int) -> None:
        """Put objects as PutObject does."""
        steps = []
        for name in names:
            want = Receive(size, algorithms=(DEFAULT_CHECKSUM,))
            stored = self.objects.receive(box, Body(os.urandom(size)), want)
            plain = Attributes("binary/octet-stream")
            steps.append(self.objects.put(box, name, stored, plain, NO_CONDITIONS, self.trace("s3:PutObject")))
        for found in self.objects.run_all(steps):
            if isinstance(found, Exception):
                raise found


def told(what: str, began: float, count: int) -> None:
    took = time.perf_counter() - began
    print(f"{what}: {count:,} in {took:.0f} s, {took / max(1, count) * 1e6:.0f} µs each", flush=True)


def fill(data: Path, holds: Layout, size: int) -> None:
    """Fill a data directory."""
    filler = Filler(data)
    try:
        [box] = filler.buckets([BUCKET])
        began = time.perf_counter()
        for names in batched(holds.keys(), TOGETHER):
            filler.put(box, names, size)
        told("objects", began, holds.objects)
        between = time.perf_counter()
        for names in batched(holds.bucket_names(), TOGETHER):
            filler.buckets(names)
        told("buckets", between, holds.buckets)
    finally:
        filler.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.scale_fill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="an initialised, stopped data directory")
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--buckets", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=1024, help="bytes of each object")
    choice = parser.parse_args()
    fill(choice.data, Layout.of(choice.objects, choice.buckets), choice.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
