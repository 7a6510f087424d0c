"""bench: put and get of this installation over its own S3 port."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.cli.output import size as shown_size
from andromede.clock import SystemClock
from andromede.errors import Invalid, NotFound, Unavailable
from andromede.ids import RandomIds
from andromede.ops import load
from andromede.ops.layout import Layout
from andromede.ops.load import Phase, Tally, Target

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}
LARGEST = 64 << 20


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


def figures(method: str, tally: Tally, seconds: float, size: int) -> dict[str, Any]:
    """Rates and percentiles; times in milliseconds."""
    times = sorted(tally.times)

    def at(share: float) -> float:
        return round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 3) if times else 0.0

    return {
        "method": method,
        "requests": len(times),
        "failures": tally.failures,
        "per_second": round(len(times) / seconds, 1),
        "mib_per_second": round(len(times) * size / seconds / (1 << 20), 1),
        "p50_ms": at(0.5),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
    }


def bench(args: argparse.Namespace, out: Output) -> int:
    """`andromede bench`: makes a bucket of its own and removes it."""
    place, _ = common.installed(args)
    target, clock, size = target_of(place), SystemClock(), parse_size(args.size)
    if not 0 < args.connections <= 256 or not 0 < args.seconds <= 600:
        raise Invalid("--connections must be 1 to 256 and --seconds up to 600", "config")
    bucket = f"bench-{RandomIds().hex()[:12]}"
    keys = max(1, min(16, (256 << 20) // size // args.connections))
    if (status := load.once(target, clock, "PUT", f"/{bucket}")) != 200:
        raise Unavailable(f"a bucket could not be made: status {status}", "bench")
    results, processes = [], min(4, os.cpu_count() or 1)
    try:
        for method in ("PUT", "GET"):
            out.note(f"{method} {shown_size(size)} over {args.connections} connections for {args.seconds:g} s")
            phase = Phase(method, bucket, size, args.seconds, keys)
            tally = load.run(target, phase, clock, args.connections, processes)
            results.append(figures(method, tally, args.seconds, size))
            if tally.failures:
                out.note(f"{tally.failures} failures, the first: {tally.first_failure}")
    finally:
        load.run(target, Phase("DELETE", bucket, 0, 0.0, keys), clock, args.connections, processes)
        load.once(target, clock, "DELETE", f"/{bucket}")
    out.result({"size": size, "connections": args.connections, "seconds": args.seconds, "results": results})
    heads = ("method", "requests", "per_second", "mib_per_second", "p50_ms", "p95_ms", "p99_ms", "failures")
    out.table(heads, [[row[head] for head in heads] for row in results])
    out.say("The clients run on this machine too and take part of it; compare ratios, not absolute figures.")
    return table.FAILED if any(row["failures"] for row in results) else table.OK
