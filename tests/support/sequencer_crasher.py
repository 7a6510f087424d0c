"""Records and sequences until it kills itself at a chosen step:
`python -m tests.support.sequencer_crasher DSN FOLDER STEP COUNT SEED`.

Every acknowledged event is a line `tenant position` in FOLDER/acknowledged, and every note that was signed, published
or not, a line of JSON in FOLDER/signed; both are flushed before anything else happens.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

from andromede.clock import SystemClock
from andromede.db import open_database
from andromede.ids import RandomIds
from andromede.sovereignty.logkeys import LogKeys
from tests.support.ledger import Bench, write_events

STEPS = ("read", "advanced", "tiles", "written", "committed", "signed", "publishing", "published")
TENANTS = ("", "p1", "p2")


def main() -> None:
    dsn, folder, step, count, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
    left = [count]

    def reached(name: str) -> None:
        if name == step:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    db = open_database(dsn)
    bench = Bench.open(db, SystemClock(), folder, RandomIds())
    bench.holder = f"host:{os.getpid()}"
    signed = os.open(folder / "signed", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sign = bench.keys.sign

    def noted(text: str) -> str:
        note = sign(text)
        os.write(signed, json.dumps(note).encode() + b"\n")
        return note

    def writer(tenant: str) -> None:
        chance = random.Random(f"{seed} {tenant}")
        while True:
            number = chance.choice((1, 2, 7, 120))
            first = write_events(db, tenant, number)
            lines = "".join(f"{tenant or '-'} {at}\n" for at in range(first, first + number))
            os.write(acknowledged, lines.encode())

    LogKeys.sign = lambda self, text: noted(text)  # type: ignore[method-assign]
    for tenant in TENANTS:
        threading.Thread(target=writer, args=(tenant,), daemon=True).start()
    with db.write() as tx:
        tx.run("UPDATE lease SET until = 0")  # the one before is dead: no need to wait for its lease
    sequencer = bench.sequencer(reached=reached)
    while True:
        sequencer.turn()


if __name__ == "__main__":
    main()
