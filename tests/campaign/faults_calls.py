"""The n-th system call of an operation fails, for every n: with no room, with an I/O error, with a read-only disk."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace

from andromede.db import open_database
from andromede.sovereignty import store
from tests.campaign.faults_report import Report
from tests.campaign.faults_site import CHANGES, Answer, Operation, Site, alerts, fsck
from tests.support.faultshim import CHANGING, SYNC, Fault
from tests.support.installation import wait_until

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}
MOST_CALLS = 60


def measured(site: Site, operation: Operation, name: str) -> int:
    """How many calls that change something the operation makes, in all processes."""
    shim = site.installation.shim
    assert shim is not None
    _prepare(site, operation, name)
    with shim.armed(Fault(error=0)):
        answer = operation.run(site, name)
        count, _ = shim.counters()
    assert answer.ok, f"{operation.name} without a fault: {answer.word} {answer.text[:200]}"
    return min(count, MOST_CALLS)


def _prepare(site: Site, operation: Operation, name: str) -> None:
    if operation.before is not None:
        done = operation.before(site, name)
        assert done.ok, f"before {operation.name}: {done.word} {done.text[:200]}"


def effect(site: Site, operation: Operation, name: str, answer: Answer) -> list[str]:
    """What is wrong with what an answer left behind. Refused with 5xx, a change may have happened all the same: whole,
    or not at all."""
    try:
        done = operation.seen(site, name)
    except AssertionError as failure:
        return [f"half done: {failure}"]
    if answer.ok and not done:
        return ["acknowledged and not there"]
    return []


def every_call(site: Site, report: Report, operations: Sequence[Operation] = CHANGES, step: int = 1) -> None:
    """Each operation under each error at each of its calls (every `step`-th)."""
    shim = site.installation.shim
    assert shim is not None
    for operation in operations:
        slug = operation.name.lower().replace(" ", "-")
        calls = measured(site, operation, f"{slug}-measure")
        for word, number in ERRORS.items():
            row = report.row(f"{word} at one call", operation.name)
            row.note = f"{calls} calls"
            for n in range(1, calls + 1, step):
                name = f"{slug}-{word.lower()}-{n}"
                _prepare(site, operation, name)
                with shim.armed(Fault(CHANGING, number, first=n, count=1)):
                    answer = operation.run(site, name)
                wrong = [*answer.faults(), *effect(site, operation, name, answer)]
                again = operation.run(site, name)
                if not (again.ok or again.status in (404, 409)):
                    wrong.append(f"not well afterwards: {again.word} {again.text[:150]}")
                wrong += effect(site, operation, name, replace(again, status=200))
                row.add(answer.word, [f"call {n}: {text}" for text in wrong])


def lasting(site: Site, report: Report, operations: Sequence[Operation] = CHANGES) -> None:
    """Everything that changes a disk fails for a while: every operation is refused, then works again."""
    shim = site.installation.shim
    assert shim is not None
    cases = {name: Fault(CHANGING, number) for name, number in ERRORS.items()}
    cases["EIO at flushes"] = Fault(SYNC, errno.EIO)
    for word, fault in cases.items():
        for operation in operations:
            name = f"{operation.name}-{word}".lower().replace(" ", "-")
            _prepare(site, operation, name)
            with shim.armed(fault):
                answer = operation.run(site, name)
            wrong = [*answer.faults(), *effect(site, operation, name, answer)]
            if answer.ok:
                wrong.append("acknowledged though nothing can be durable")
            again = operation.run(site, name)
            if not (again.ok or again.status in (404, 409)):
                wrong.append(f"not well afterwards: {again.word} {again.text[:150]}")
            report.check(f"{word}, lasting", operation.name, answer.word, *wrong)
        found = {alert["event"] for alert in alerts(site.installation)}
        report.check(f"{word}, lasting", "alert", " ".join(sorted(found)), "" if found else "no alert in the log")


def settled(site: Site, report: Report, fault: str) -> None:
    """Afterwards: the ledger reaches its last event, nothing is damaged, and nobody had to start anything."""
    installation = site.installation
    before = sorted(site.installation.pids("up"))
    db = open_database(installation.dsn)
    try:
        wait_until("a checkpoint over every event", lambda: not store.behind(db, None, 1), 60)
        report.check(fault, "ledger", "every event under a checkpoint")
    except AssertionError as failure:
        report.check(fault, "ledger", "behind", str(failure))
    finally:
        db.close()
    deaths = [alert for alert in alerts(installation) if alert["event"] == "role.died"]
    report.check(fault, "no process ended", f"{len(deaths)} ended", *(str(death) for death in deaths[:3]))
    report.check(fault, "supervisor", f"{len(before)} alive", "" if before else "the supervisor ended")
    crashes = [a for a in alerts(installation) if "crash" in a["event"] or a["event"] == "request failed"]
    report.check(fault, "no unforeseen error", f"{len(crashes)}", *(str(crash) for crash in crashes[:3]))
    problems = fsck(installation)
    report.check(fault, "fsck --deep", f"{len(problems)} errors", *(str(problem) for problem in problems[:5]))
