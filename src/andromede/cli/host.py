"""host: this machine as a host of guests."""

from __future__ import annotations

import argparse
import os

from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.ops import running


def clear(args: argparse.Namespace, out: Output) -> int:
    """`andromede host clear`: what an installation has in this machine's kernel is ended and removed."""
    from andromede import app
    from andromede.app.hosting import clearing

    place, config = common.installed(args)
    if not args.yes:
        out.note("This ends every guest of this installation on this machine as a loss of power would.")
        if input("Go on? (yes) ") != "yes":
            return table.FAILED
    lock = running.acquire(place)
    try:
        base = app.Base.open(config, "operator")
        app.note_operation(base, "operator:host_clear", str(place.data), "OPERATOR_SYSTEM")
        found = clearing.clear(base)
        base.db.close()
    finally:
        os.close(lock)
    out.say("\n".join([*found, f"removed {len(found)} things"] if found else ["nothing was there"]))
    out.result({"removed": found})
    return table.OK
