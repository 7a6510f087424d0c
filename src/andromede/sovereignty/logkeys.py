"""The key pair that signs every checkpoint of an installation: Ed25519 and ML-DSA-44, from a file of mode 0600.

The name of a signature is the origin of the log it stands under, so verifier keys of two logs differ by name only.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from andromede.errors import Fatal
from andromede.ids import Ids
from andromede.keys.custody import write_once
from andromede.ledger.note import ED25519, MLDSA44, Signer, Verifier

SEED_SIZE = 32
_KINDS = {"ed25519": ED25519, "mldsa44": MLDSA44}


class LogKeys:
    """Signs notes. Safe from many threads."""

    def __init__(self, seeds: dict[str, bytes]) -> None:
        self._signers = [Signer("log", kind, seeds[word]) for word, kind in _KINDS.items()]

    @classmethod
    def create(cls, path: Path, ids: Ids) -> LogKeys:
        """Draw new seeds into a new file. `Conflict` if it exists: other keys would orphan signed checkpoints."""
        seeds = {word: ids.secret(SEED_SIZE) for word in _KINDS}
        write_once(path, {"v": 1, **{word: base64.b64encode(seed).decode() for word, seed in seeds.items()}})
        return cls(seeds)

    @classmethod
    def open(cls, path: Path) -> LogKeys:
        """Read the seeds. `Fatal` when the file is missing or no key file."""
        try:
            document = json.loads(path.read_bytes())
            seeds = {word: base64.b64decode(document[word], validate=True) for word in _KINDS}
            if any(len(seed) != SEED_SIZE for seed in seeds.values()):
                raise ValueError("a seed has the wrong size")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Fatal(
                f"{path} does not hold the ledger's keys: put it back from a backup (andromede restore)",
                "ledger_keys",
                cause=repr(error),
            ) from error
        return cls(seeds)

    def verifiers(self, origin: str) -> tuple[Verifier, Verifier]:
        """The Ed25519 and the ML-DSA-44 verifier key of one log."""
        classic, lattice = (
            Verifier(origin, signer.verifier.kind, signer.verifier.public) for signer in self._signers
        )  # fmt: skip
        return classic, lattice

    def sign(self, text: str) -> str:
        """The note of a checkpoint's text: signed by both keys under the name of its origin."""
        origin = text.partition("\n")[0]
        return f"{text}\n" + "".join(signer.under(origin).line(text) for signer in self._signers)
