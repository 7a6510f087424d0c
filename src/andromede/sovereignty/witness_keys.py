"""The keys of a witness: a file of mode 0600 with two seeds, for Ed25519 and ML-DSA-44 cosignatures.

A witness is its keys *and* its memory: with the keys but without the memory it would cosign a fork of what it
cosigned before. So the memory names the keys that it belongs to, and a witness whose memory is gone does not start.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

from andromede.db import Database
from andromede.errors import Conflict, Fatal, Invalid
from andromede.ids import Ids
from andromede.keys.custody import write_once
from andromede.ledger.note import COSIGNATURE, MLDSA44, Signer
from andromede.sovereignty import witness_store as store

SEED = 32
KINDS = ("ed25519", "mldsa44")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """The signers of one witness."""

    name: str
    signers: tuple[Signer, Signer]

    @property
    def vkeys(self) -> list[str]:
        """The verifier keys to publish: Ed25519, then ML-DSA-44."""
        return [str(signer.verifier) for signer in self.signers]


def _keys(name: str, seeds: dict[str, bytes]) -> WitnessKeys:
    return WitnessKeys(name, (Signer(name, COSIGNATURE, seeds["ed25519"]), Signer(name, MLDSA44, seeds["mldsa44"])))


def read(path: Path) -> WitnessKeys:
    """The keys in a file. Raises `Fatal` when it holds none."""
    try:
        document = json.loads(path.read_bytes())
        name = str(document["name"])
        seeds = {word: base64.b64decode(document[word], validate=True) for word in KINDS}
        if any(len(seed) != SEED for seed in seeds.values()):
            raise ValueError("a seed has the wrong size")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fatal(f"{path} does not hold a witness's keys: restore it", "witness", cause=repr(error)) from error
    return _keys(name, seeds)


def _create(path: Path, name: str, db: Database, ids: Ids, now_us: int) -> None:
    """New keys, unless another process was faster: one at a time, by the writer gate. A crash between file and commit
    leaves keys without a memory, which refuse to start."""
    seeds = {word: ids.secret(SEED) for word in KINDS}
    document = {"v": 1, "name": name, **{word: base64.b64encode(seed).decode() for word, seed in seeds.items()}}
    with db.write() as tx:
        if not path.exists():
            store.put_own(tx, name, "\n".join(_keys(name, seeds).vkeys), now_us)
            write_once(path, document)


def ensure(path: Path, name: str, db: Database, ids: Ids, now_us: int) -> WitnessKeys:
    """The witness's keys, made at its first start and bound to its memory. What an earlier witness of the same
    memory cosigned binds a new one as well. Raises `Conflict` when keys and memory do not belong together.
    """
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name for a witness: letters, digits and . _ - / only", "witness")
    if not path.exists():
        _create(path, name, db, ids, now_us)
    keys, bound = read(path), store.own(db)
    if not bound:
        raise Conflict(
            f"{path} holds the keys of {keys.name}, and its memory is gone: it could cosign a fork of what it cosigned "
            f"before. Restore the memory, or move {path} away to begin a new witness with new keys",
            "witness",
        )
    if bound[0][1] != "\n".join(keys.vkeys):
        raise Conflict(
            f"the memory of this witness belongs to {bound[0][0]}, whose keys are not those in {path}; put the right "
            f"file back, or move {path} away to begin a new witness with new keys",
            "witness",
        )
    return keys
