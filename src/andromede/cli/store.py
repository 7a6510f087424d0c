"""fsck, backup, restore, migrate."""

from __future__ import annotations

import argparse
import contextlib
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from andromede import config as settings
from andromede.cli import common, table
from andromede.cli.output import Output, Progress, size
from andromede.clock import SystemClock
from andromede.errors import Conflict
from andromede.ids import RandomIds
from andromede.ops import backup as copies
from andromede.ops import beside, running
from andromede.ops.layout import Layout


def operator() -> str:
    """Who runs the command, for the audit trail."""
    from andromede import app

    return app.operator_name()


def backup(args: argparse.Namespace, out: Output) -> int:
    """`andromede backup DEST`."""
    from andromede import app

    place, config = common.installed(args)
    folder = Path(args.dest).absolute()
    key_file = Path(args.key_file).absolute() if args.key_file else folder.with_name(folder.name + ".key")
    if key_file.exists():
        raise Conflict(f"{key_file} exists; name another file with --key-file", "backup_key")
    if place.data in (folder, *folder.parents):
        raise Conflict(f"{folder} lies inside the installation; a backup belongs on another disk", "backup")
    base = app.Base.open(config, "operator")
    app.note_operation(base, "operator:backup", str(folder), "BACKUP")
    hosts = (place.data / beside.DISKS).is_dir() and not args.without_disks
    with (
        out.progress("blobs copied") as progress,
        out.progress("MiB of disks copied") as moving,
        app.disk_copies(base, _mib(moving)) if hosts else contextlib.nullcontext() as disks,
    ):
        moving.total = disks.room() >> 20 if disks else None
        job = copies.Job(place, config, folder, key_file, base.clock, base.ids, progress.step, disks=disks,
                         host=config.hosting.host or socket.gethostname())  # fmt: skip
        made = copies.take(job, base.db)
    base.db.close()
    out.result({**asdict(made), "folder": str(folder), "key_file": str(key_file)})
    out.say(f"backup {made.id} in {folder}: {made.blobs} blob files, {size(made.blob_bytes)}")
    if made.engine != "disk":
        out.say(f"The blobs lie in the {made.engine} store and were not copied: keep that store's own backups.")
    if made.disks:
        out.say(f"and {_disks(made)}; they are named in {copies.MANIFEST}")
    elif made.host:
        out.say("Disks of servers, volumes and snapshots were left out.")
    for lack in made.lacks:
        out.say(f"NOT copied: {lack.of}: {lack.why}")
    out.say(f"Its key is {key_file}. Without it the backup cannot be opened; keep it in another place.")
    return table.FINDINGS if made.lacks else table.OK


def _mib(progress: Progress) -> Callable[[int], None]:
    """Counts MiB as bytes come in."""
    moved = 0

    def step(count: int) -> None:
        nonlocal moved
        before, moved = moved >> 20, moved + count
        progress.step((moved >> 20) - before)

    return step


def _disks(made: copies.Manifest) -> str:
    live = sum(one.how == "running" for one in made.holds)
    while_running = f" ({live} while their server ran)" if live else ""
    return f"{len(made.holds)} files of disks{while_running}, {size(made.disk_bytes)}"


def restore(args: argparse.Namespace, out: Output) -> int:
    """`andromede restore SRC`: then checks the result."""
    from andromede import app

    place = common.layout(args)
    folder = Path(args.src).absolute()
    key_file = Path(args.key_file).absolute() if args.key_file else folder.with_name(folder.name + ".key")
    clock, ids = SystemClock(), RandomIds()
    with out.progress("blobs copied") as progress, out.progress("MiB of disks copied") as moving:
        job = copies.Job(
            place, settings.Config(place.data), folder, key_file, clock, ids, progress.step, _mib(moving)
        )  # fmt: skip
        made = copies.restore(job, args.database or "")
    config = common.load(args)
    base = app.Base.open(config, "operator")
    app.note_operation(base, "operator:restore", made.id, "BACKUP")
    lost, elsewhere = app.settle_disks(base) if made.host else ([], [])
    base.db.close()
    out.say(f"restored {made.blobs} blob files ({size(made.blob_bytes)}) of backup {made.id} into {place.data}")
    _tell_disks(made, place, elsewhere, out)
    with out.progress("objects checked") as progress:
        problems = [*app.check_store(config, False, progress.step), *lost]
    out.result({**asdict(made), "data": str(place.data), "problems": problems})
    return _problems(problems, out, f"start it with: andromede up --data {place.data}")


def _tell_disks(made: copies.Manifest, place: Layout, elsewhere: list[str], out: Output) -> None:
    if made.disks:
        out.say(f"and {_disks(made)}")
    for lack in made.lacks:
        out.say(f"not in this backup: {lack.of}: {lack.why}")
    if made.host and made.host != socket.gethostname():
        out.say(f"its servers lie on the host {made.host}, so this one goes by that name now (hosting.host)")
    if elsewhere:
        out.say(f"{len(elsewhere)} servers of this installation run on this machine on other disks than these. If it "
                "lives on in another directory, do not start this one here (or only with "
                "ANDROMEDE_HOSTING_ENABLED=off); if it is gone, first: "
                f"andromede host clear --data {place.data}")  # fmt: skip


def _problems(problems: list[dict[str, Any]], out: Output, good: str) -> int:
    for problem in problems:
        out.say(f"{problem['severity']:7} {problem['kind']:10} {problem['subject']}: {problem['text']}")
    errors = sum(problem["severity"] == "error" for problem in problems)
    if errors:
        out.say(f"{errors} errors. Keep this installation as it is, and restore the newest sound backup elsewhere.")
        return table.FINDINGS
    out.say("checked: no errors. " + good)
    return table.OK


def fsck(args: argparse.Namespace, out: Output) -> int:
    """`andromede fsck`: exit code 4 when something is wrong."""
    from andromede import app

    _, config = common.installed(args)
    base = app.Base.open(config, "operator")
    app.note_operation(base, "operator:fsck", "every byte" if args.deep else "rows and keys", "OPERATOR_REVIEW")
    base.db.close()
    with out.progress("objects checked") as progress:
        problems = app.check_store(config, args.deep, progress.step, args.host)
    out.result(
        {"ok": not any(problem["severity"] == "error" for problem in problems), "deep": args.deep, "problems": problems}
    )
    good = "Every stored byte was read and authenticated." if args.deep else "To read every byte too: --deep"
    return _problems(problems, out, good)


def migrate(args: argparse.Namespace, out: Output) -> int:
    """`andromede migrate`."""
    from andromede import app
    from andromede.ops import migration

    place, config = common.installed(args)
    if args.back is not None:
        return _back(place, config, args.back, out)
    missing = app.pending_migrations(config)
    if args.check:
        out.result({"pending": missing})
        for name in missing or ["the schema is current"]:
            out.say(name)
        return table.FINDINGS if missing else table.OK
    if missing:
        running.acquire(place)
    done = migration.upgrade(place, config.database_dsn, app.migrations(), SystemClock())
    if done.applied:
        base = app.Base.open(config, "operator")
        app.note_operation(base, "operator:migrate", ", ".join(done.applied), "OPERATOR_SYSTEM")
        base.db.close()
    out.result({"applied": done.applied, "snapshot": str(done.snapshot) if done.snapshot else None})
    for name in done.applied:
        out.say(f"applied {name}")
    out.say("the schema is current")
    if done.snapshot:
        out.say(f"snapshot from before: {done.snapshot}")
        out.say(f"to go back: andromede migrate --back --data {place.data}, then start the former release")
    elif done.applied and not config.database_dsn.startswith("sqlite:"):
        out.say("no snapshot is taken of a PostgreSQL database: the backup from before goes back")
    return table.OK


def _back(place: Layout, config: settings.Config, named: str, out: Output) -> int:
    from andromede.ops import migration

    running.acquire(place)
    snapshot, aside = migration.go_back(place, config.database_dsn, named, SystemClock())
    out.result({"snapshot": str(snapshot), "aside": str(aside)})
    out.say(f"the database is the one of {snapshot}; what it was until now is {aside}")
    out.say("Start the release that it belongs to. Its ledger is older than what witnesses may have signed: see "
            "After a restore in docs/ledger.md")  # fmt: skip
    return table.OK
