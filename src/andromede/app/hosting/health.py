"""How hosting stands on this machine, for `up`, `status` and `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from andromede.config import Config
from andromede.db import Database
from andromede.errors import Unavailable
from andromede.ops import hosting, machine
from andromede.ops.doctor import Finding, Patient
from andromede.ops.layout import Layout
from andromede.ops.machine import Accelerated, Machine

COUNTED = {
    "servers": "compute_server",
    "devices": "compute_device",
    "networks": "network_part",
    "volumes": "volume",
    "snapshots": "volume_snapshot",
    "backups": "volume_backup",
    "images": "image",
    "balancers": "balancer",
}
"""What `status` counts by state: everything that a worker works on, with the table of each."""
MOST_STUCK = 20


def remembered(config: Config) -> Path:
    """The file that keeps what the probe of the accelerator found."""
    return Layout(config.data).run / "accelerator.json"


def accelerated(config: Config) -> Accelerated:
    """What guests of this machine run with, by a probe that boots one."""
    from andromede.engines.qemu import accelerator

    try:
        found = accelerator.choose(config.hosting.accelerator, remembered(config))
    except Unavailable as error:
        return Accelerated("none", "", error=error.public)
    return Accelerated(found.name, found.why, 0 if found.name == "kvm" else accelerator.TB_SIZE)


def checks(config: Config) -> list[Callable[[Patient], Iterator[Finding]]]:
    """The checks of `doctor` that need to know engines."""

    def hosting_checks(patient: Patient) -> Iterator[Finding]:
        able = config.hosting.enabled != "off" and bool(hosting.able())
        yield from machine.examine(patient, Machine(), accelerated(config) if able else None)

    return [hosting_checks]


def board(config: Config) -> dict[str, Any]:
    """What `up` tells: whether this installation hosts (`enabled`), and with which accelerator, or why not."""
    if config.hosting.enabled != "on":
        found = hosting.able()
        if found:
            return {"enabled": False, "accelerator": None, "why": "hosting.enabled = off", "mend": ""}
        why = f"this machine lacks {', '.join(found.missing)}"
        return {"enabled": False, "accelerator": None, "why": why, "mend": found.mend}
    found_accelerator = accelerated(config)
    return {
        "enabled": True,
        "accelerator": found_accelerator.name,
        "why": found_accelerator.error or found_accelerator.why,
        "mend": "",
    }


def state(db: Database, now_us: int) -> dict[str, Any]:
    """Resources by kind and state, and the rows whose work was tried again, or has gone on for long."""
    from andromede.work import lifecycle_store

    counts: dict[str, dict[str, int]] = {}
    stuck: list[dict[str, Any]] = []
    for kind, table in COUNTED.items():
        counts[kind] = lifecycle_store.counts(db, table)
        found = lifecycle_store.stuck(db, table, now_us, MOST_STUCK - len(stuck))
        stuck += [{"kind": kind, **row} for row in found]
    return {"counts": counts, "stuck": stuck}
