"""Feeds our witness with the client of aics-witness; runs under a Python that has that package.

Usage: foreign_feeder.py URL VKEY PLAY.json; the play is a list of {"note", "proofs": {old size: [base64 hash]}}.
Prints one line a step: the cosignature's key, or the name of the error.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from aics_witness import FeederError, WitnessClient  # type: ignore[import-not-found]


def main(url: str, vkey: str, play: str) -> None:
    steps: list[dict[str, Any]] = json.loads(Path(play).read_text(encoding="utf-8"))
    with WitnessClient(url, vkey, max_attempts=1) as client:
        for step in steps:
            proofs = step["proofs"]

            def proof(old: int, new: int, proofs: dict[str, list[str]] = proofs) -> list[bytes]:
                return [base64.b64decode(node) for node in proofs[str(old)]]

            try:
                line = client.submit(step["note"], proof)
                print("cosigned", line.split()[1], flush=True)
            except FeederError as error:
                print(type(error).__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
