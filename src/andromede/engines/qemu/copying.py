"""Copies of disks while their guest runs: backup jobs, all disks at one instant (QEMU, "Live Block Operations"). A
concluded job stays listed until it is dismissed, which is what makes the steps repeatable."""

from __future__ import annotations

from andromede.compute.engine import Copy, Job, Open
from andromede.engines.qemu import command
from andromede.engines.qemu.plugging import add_nodes, drop_nodes
from andromede.engines.qemu.qmp import Monitor, Refused
from andromede.errors import Conflict


def _prefix(copy_id: str) -> str:
    return f"j{copy_id}."


def begin(monitor: Monitor, job: Copy, open_disk: Open) -> None:
    """Start the jobs of a copy unless they are there."""
    if any(str(known["id"]).startswith(_prefix(job.id)) for known in monitor.run("query-jobs")):
        return
    there = monitor.devices()
    for source, target in job.pairs:
        if command.disk_name(source) not in there:
            raise Conflict(f"disk {source} is not attached, so it cannot be copied from the guest", "copy")
        add_nodes(monitor, target, open_disk(target))
    actions = [
        {
            "type": "blockdev-backup",
            "data": {
                "job-id": f"{_prefix(job.id)}{command.hexed(target)}", "device": command.node_name(source),
                "target": command.node_name(target), "sync": "top" if job.top else "full", "auto-dismiss": False,
            },
        }
        for source, target in job.pairs
    ]  # fmt: skip
    monitor.patient("transaction", {"actions": actions, "properties": {"completion-mode": "grouped"}})


def dismiss(monitor: Monitor, job: Copy) -> None:
    """Forget a copy and let its targets go; one that has not concluded is given up."""
    targets = {command.hexed(target) for _, target in job.pairs}
    for known in monitor.run("query-jobs"):
        if str(known["id"]).startswith(_prefix(job.id)):
            targets.add(str(known["id"]).rpartition(".")[2])
            verb = "job-dismiss" if known["status"] == "concluded" else "job-cancel"
            try:
                monitor.run(verb, {"id": known["id"]})
            except Refused:
                continue
    if not any(str(known["id"]).startswith(_prefix(job.id)) for known in monitor.run("query-jobs")):
        for target in sorted(targets):
            drop_nodes(monitor, target)


def jobs(monitor: Monitor) -> tuple[Job, ...]:
    """Every copy, its parts taken together."""
    merged: dict[str, Job] = {}
    for known in monitor.run("query-jobs"):
        name = str(known["id"]).partition(".")[0][1:]
        part = Job(name, int(known["current-progress"]), int(known["total-progress"]), known["status"] == "concluded",
                   str(known.get("error", "")))  # fmt: skip
        had = merged.get(name)
        if had is not None:
            part = Job(name, had.done + part.done, had.total + part.total, had.concluded and part.concluded,
                       had.error or part.error)  # fmt: skip
        merged[name] = part
    return tuple(merged.values())
