"""doctor."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.clock import SystemClock
from andromede.ops import doctor as checks


def doctor(args: argparse.Namespace, out: Output) -> int:
    """`andromede doctor`: exit code 4 when a check found an error."""
    from andromede.app.hosting import health

    place, config = common.installed(args)
    found = checks.examine(checks.Patient(place, config, SystemClock()), health.checks(config))
    out.result([asdict(finding) for finding in found])
    for finding in found:
        out.say(f"{finding.level:8} {finding.check:10} {finding.text}")
        if finding.mend:
            out.say(f"{'':19} mend it with: {finding.mend}")
    return table.FINDINGS if any(finding.level == "error" for finding in found) else table.OK
