"""`python -m tests.campaign.faults`: every fault against every operation, on a running installation.

Writes `build/campaign/faults.json` and prints the table; exit code 1 when anything is as it must not be. `--only NAME`
runs one section; `--step N` lets only every n-th system call fail.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.campaign import driver, faults_calls, faults_clock, faults_database, faults_disk, faults_flips
from tests.campaign.faults_report import Report
from tests.campaign.faults_site import Site, running
from tests.support import faultshim


def calls(report: Report, step: int = 1) -> None:
    """System calls that fail, one by one and for a while."""
    with running() as site:
        faults_calls.lasting(site, report)
        faults_calls.every_call(site, report, step=step)
        faults_calls.settled(site, report, "failing calls")


def flips(report: Report) -> None:
    """Bits that flip."""
    with running(with_shim=False) as site:
        for section in (
            faults_flips.bodies,
            faults_flips.version_rows,
            faults_flips.keys_and_tenants,
            faults_flips.ledger,
        ):
            section(site, report)
        faults_flips.files(site.installation, report)


def _sited(section: Callable[[Site, Report], None]) -> Callable[[Report], None]:
    def run(report: Report) -> None:
        with running() as site:
            section(site, report)

    return run


def slow(site: Site, report: Report) -> None:
    """A disk that is slow."""
    faults_disk.slow(report, site)
    faults_calls.settled(site, report, "slow disk")


def mounted(section: Callable[[Report], None]) -> Callable[[Report], None]:
    """A section that mounts disks, in a process of its own with mounts of its own."""

    def run(report: Report) -> None:
        if reason := faults_disk.missing():
            report.skipped.append(f"real disks: {reason}")
            return
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()

        def work() -> None:
            inner = Report()
            try:
                faults_disk.apart()
                section(inner)
            except BaseException:
                inner.check(section.__name__, "campaign", "broke off", traceback.format_exc()[-1500:])
            theirs.send(inner)

        process = context.Process(target=work)
        process.start()
        theirs.close()
        found: Report = ours.recv()
        process.join()
        report.rows += found.rows
        report.skipped += found.skipped

    return run


SECTIONS: dict[str, Callable[[Report], None]] = {
    "calls": calls,
    "full": mounted(faults_disk.full),
    "readonly": mounted(faults_disk.read_only),
    "slow": _sited(slow),
    "flips": flips,
    "clock": _sited(faults_clock.jumps),
    "locked": faults_database.held,
    "postgres": faults_database.postgres,
    "store": faults_database.blob_store,
    "away": faults_database.directory_away,
}
NEEDS_SHIM = ("calls", "slow", "clock")


def run(names: list[str], step: int) -> Report:
    """The sections of these names; one that breaks off is a finding."""
    report = Report()
    for name in names:
        if name in NEEDS_SHIM and (reason := faultshim.missing()):
            report.skipped.append(f"{name}: {reason}")
            continue
        begin = time.monotonic()
        try:
            if name == "calls":
                calls(report, step)
            else:
                SECTIONS[name](report)
        except Exception:
            report.check(name, "campaign", "broke off", traceback.format_exc()[-1500:])
        print(f"{name}: {time.monotonic() - begin:.0f} s, {len(report.wrong)} wrong so far", flush=True)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS))
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--output", type=Path, default=driver.OUT / "faults.json")
    chosen = parser.parse_args()
    report = run(chosen.only or list(SECTIONS), chosen.step)
    driver.write(chosen.output, report.document())
    print(report.table())
    print(f"{len(report.rows)} rows, {sum(sum(row.outcomes.values()) for row in report.rows)} observations, "
          f"{len(report.wrong)} wrong; written to {chosen.output}")  # fmt: skip
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
