"""bench: what this installation does over its own ports, beside what the machine can do."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from andromede.cli import common, remote, table
from andromede.cli.output import Output
from andromede.cli.output import size as shown_size
from andromede.clock import Clock, SystemClock
from andromede.errors import Invalid, NotFound, Unavailable
from andromede.ids import RandomIds
from andromede.ops import limits, loads
from andromede.ops.layout import Layout
from andromede.ops.load import Connection, Phase, Tally, Target, run

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
LARGEST, TOGETHER = 64 << 20, 256 << 20  # bytes of one object, and of all large ones that are there at once
LARGE_CONNECTIONS, TOKEN_CONNECTIONS, MOST_KEYS = 4, 4, 16
LOGINS = 20
"""Logins of one connection, at most: after a hundred in a row a user is held back, for guesses."""
HEADS = ("operation", "requests", "per_second", "mib_per_second", "p50_ms", "p95_ms", "p99_ms", "failures")


def parse_size(text: str) -> int:
    """`4096`, `4K`, `8M`."""
    found = re.fullmatch(r"(\d+)([KM]?)(i?B)?", text, re.IGNORECASE)
    if not found or not 0 < int(found[1]) * UNITS[found[2].upper()] <= LARGEST:
        raise Invalid(f"{text!r} is no size between 1 and 64M (examples: 4K, 8M)", "config")
    return int(found[1]) * UNITS[found[2].upper()]


def target_of(place: Layout) -> Target:
    """The credential of `s3.env`."""
    try:
        pairs = dict(line.split("=", 1) for line in place.s3_env.read_text().splitlines() if "=" in line)
        return Target(
            pairs["AWS_ENDPOINT_URL"], pairs["AWS_REGION"], pairs["AWS_ACCESS_KEY_ID"],
            pairs["AWS_SECRET_ACCESS_KEY"], pairs.get("AWS_CA_BUNDLE"),
        )  # fmt: skip
    except (OSError, KeyError) as error:
        raise NotFound(f"{place.s3_env} cannot be used ({error}); andromede up writes it", "data") from error


def identity_of(place: Layout) -> tuple[Target, loads.Tokens]:
    """The API port and the user of the cloud `andromede` in `clouds.yaml`."""
    cloud = remote.read_cloud(place.clouds, "andromede")
    url = urlsplit(cloud["auth_url"])
    tokens = loads.Tokens(url.netloc, cloud["username"], cloud["password"], cloud["project_name"])
    return Target(f"{url.scheme}://{url.netloc}", ca=cloud.get("cacert")), tokens


@dataclass(frozen=True, slots=True)
class Load:
    """A kind of load. `size`: bytes that an operation moves, 0 where it moves none; `keys`: objects of each connection;
    `once`: it goes on until every key was used once, however long that takes; `most` as in `Phase`."""

    name: str
    target: Target
    operation: loads.Operation
    size: int
    connections: int
    keys: int = 1
    once: bool = False
    most: int = 0


def figures(load: Load, tally: Tally) -> dict[str, Any]:
    """Rates and percentiles; times in milliseconds."""
    times = sorted(tally.times)

    def at(share: float) -> float:
        return round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 3) if times else 0.0

    rate = len(times) / max(tally.seconds, 0.001)
    return {
        "operation": load.name,
        "size": load.size,
        "connections": load.connections,
        "requests": len(times),
        "failures": tally.failures,
        "per_second": round(rate, 1),
        "mib_per_second": round(rate * load.size / (1 << 20), 1),
        "p50_ms": at(0.5),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
    }


def plan(args: argparse.Namespace, place: Layout, bucket: str, clock: Clock) -> dict[str, Callable[[], Load]]:
    """What can be run, by name and in order; each is made when its turn has come."""
    target, small, large = target_of(place), parse_size(args.size), parse_size(args.large)
    count, few = args.connections, min(args.connections, LARGE_CONNECTIONS)

    def objects(size: int, connections: int) -> loads.Objects:
        return loads.Objects(bucket, size, max(1, min(MOST_KEYS, TOGETHER // size // connections)))

    near, far = objects(small, count), objects(large, few)

    def of(name: str, kind: loads.Objects, operation: loads.Operation, connections: int, once: bool = False) -> Load:
        return Load(name, target, operation, kind.size, connections, kind.keys, once)

    def validate() -> Load:
        api, tokens = identity_of(place)
        wire = Connection(api, clock)
        operation = tokens.validate(wire)
        wire.close()
        return Load("validate", api, operation, 0, TOKEN_CONNECTIONS)

    def issue() -> Load:
        api, tokens = identity_of(place)
        return Load("issue", api, tokens.issue(), 0, TOKEN_CONNECTIONS, most=LOGINS)

    return {
        "put": lambda: of("put", near, near.plain("PUT"), count),
        "get": lambda: of("get", near, near.plain("GET"), count),
        "head": lambda: of("head", near, near.plain("HEAD"), count),
        "mixed": lambda: of("mixed", near, near.mixed(), count),
        "list": lambda: Load("list", target, near.listing(), 0, few),
        "delete": lambda: of("delete", near, near.plain("DELETE"), count, True),
        "put-large": lambda: of("put-large", far, far.plain("PUT"), few),
        "get-large": lambda: of("get-large", far, far.plain("GET"), few),
        "multipart": lambda: Load("multipart", target, far.multipart(), large, few),
        "issue": issue,
        "validate": validate,
    }


def chosen(args: argparse.Namespace, names: list[str]) -> list[str]:
    """The names that `--only` gives, in the order of the plan, with what they need before them."""
    if not args.only:
        return names
    wanted = set(args.only.split(","))
    if unknown := wanted - set(names):
        raise Invalid(f"--only: no such load: {', '.join(sorted(unknown))} (known: {', '.join(names)})", "config")
    if wanted & {"get", "head", "mixed", "list", "delete"}:
        wanted.add("put")
    if "get-large" in wanted:
        wanted.add("put-large")
    return [name for name in names if name in wanted]


def machine(place: Layout, clock: Clock) -> dict[str, float]:
    """The limits: microseconds of a durable write and of a thousand rounds of the interpreter, and MiB a second of one
    thread for the other parts."""
    found = limits.all_of(place.data, clock.monotonic)
    single = {f"{name}_us": round(found.pop(name) * 1e6, 1) for name in ("flush", "interpreter")}
    return single | {name: round(1 / seconds, 1) for name, seconds in found.items()}


def bench(args: argparse.Namespace, out: Output) -> int:
    """`andromede bench`: makes a bucket of its own and removes it with all that is in it."""
    place, _ = common.installed(args)
    if not 0 < args.connections <= 256 or not 0 < args.seconds <= 600:
        raise Invalid("--connections must be 1 to 256 and --seconds up to 600", "config")
    clock, bucket = SystemClock(), f"bench-{RandomIds().hex()[:12]}"
    kinds = plan(args, place, bucket, clock)
    names, target = chosen(args, list(kinds)), target_of(place)
    wire = Connection(target, clock)
    if (status := wire.call("PUT", f"/{bucket}").status) != 200:
        raise Unavailable(f"a bucket could not be made: status {status}", "bench")
    wire.close()
    try:
        out.note("the machine's limits")
        bounds = machine(place, clock)
        results = [measure(kinds[name](), args.seconds, clock, out) for name in names]
    finally:
        wire = Connection(target, clock)
        loads.remove(wire, bucket)
        wire.close()
    out.result({"seconds": args.seconds, "limits": bounds, "results": results})
    out.table(HEADS, [[row[head] for head in HEADS] for row in results])
    flush, rounds = bounds.pop("flush_us"), bounds.pop("interpreter_us")
    parts = ", ".join(f"{name.replace('_', ' ')} {rate:,.0f}" for name, rate in bounds.items())
    single = f"a durable write of 4 KiB takes {flush:,.0f} µs, a thousand rounds of this Python {rounds:,.0f} µs"
    out.say(f"The machine: {single}; MiB a second of one thread: {parts}.")
    out.say("The clients run on this machine too and take part of it; compare ratios, not absolute figures.")
    return table.FAILED if any(row["failures"] for row in results) else table.OK


def measure(load: Load, seconds: float, clock: Clock, out: Output) -> dict[str, Any]:
    """One load, for that many seconds."""
    of = f" of {shown_size(load.size)}" if load.size else ""
    out.note(f"{load.name}{of} over {load.connections} connections")
    phase = Phase(load.operation, 0.0 if load.once else seconds, load.keys, load.most)
    tally = run(load.target, phase, clock, load.connections, min(4, os.cpu_count() or 1))
    if tally.failures:
        out.note(f"{tally.failures} failures, the first: {tally.first_failure}")
    return figures(load, tally)
