"""support-bundle."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from andromede.cli import common, status, table
from andromede.cli.output import Output
from andromede.clock import SystemClock
from andromede.ops import doctor, support


def bundle(args: argparse.Namespace, out: Output) -> int:
    """`andromede support-bundle`."""
    from andromede.app.hosting import health

    place, config = common.installed(args)
    clock = SystemClock()
    target = Path(args.output or "andromede-support.tar.gz").absolute()
    patient = doctor.Patient(place, config, clock)
    findings = [asdict(finding) for finding in doctor.examine(patient, health.checks(config))]
    names = support.write(place, config, status.collect(place, config), findings, clock, target)
    out.say(f"{target}: {', '.join(names)}")
    out.say("It holds no data, keys, credentials or object names. Read it before you send it: tar xzOf FILE | less")
    out.result({"file": str(target), "contents": names})
    return table.OK
