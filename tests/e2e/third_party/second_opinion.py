"""Read a published log with other people's Python packages; runs in their virtual environment, knows nothing of ours.

usage: second_opinion.py notes|growth|receipt|tiles|mldsa|roots DIR. Exit 0: it holds, 1: it does not.
DIR holds policy, old, checkpoint, proof, receipt and the tiles of the checkpoint.
"""

import base64
import hashlib
import struct
import sys
from pathlib import Path


def lines_of(folder: Path, word: str) -> list[list[str]]:
    rows = [line.split() for line in (folder / "policy").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row and row[0] == word]


def kind_of(vkey: str) -> int:
    return base64.b64decode(vkey.split("+", 2)[2])[0]


def accepted(folder: Path, text: str):
    """(origin, size, root) by aics-tlog: the log signed and every witness of the policy with an Ed25519 key too."""
    import aics_tlog

    keys = [aics_tlog.parse_vkey(row[1]) for row in lines_of(folder, "log") if kind_of(row[1]) == 1]
    witnesses = [aics_tlog.parse_vkey(row[2]) for row in lines_of(folder, "witness") if kind_of(row[2]) == 4]
    note = aics_tlog.parse_note(text)
    result = aics_tlog.verify_checkpoint(note, keys[0], witnesses, len(witnesses), expected_origin=keys[0].name)
    if not (result.ok and result.log_ok):
        sys.exit(f"aics-tlog: {result.error or result}")
    print(f"aics-tlog: {result.size} entries, {result.cosignature_count} cosignatures")
    return result.origin, result.size, result.root


def notes(folder: Path) -> None:
    for name in ("old", "checkpoint"):
        accepted(folder, (folder / name).read_text(encoding="utf-8"))


def growth(folder: Path) -> None:
    import aics_tlog

    _, old, old_root = accepted(folder, (folder / "old").read_text(encoding="utf-8"))
    _, new, new_root = accepted(folder, (folder / "checkpoint").read_text(encoding="utf-8"))
    proof = [base64.b64decode(line) for line in (folder / "proof").read_text().split()]
    if not aics_tlog.verify_consistency(old, new, old_root, new_root, proof):
        sys.exit("aics-tlog: the proof of consistency does not hold")


def receipt(folder: Path) -> None:
    import aics_tlog

    head, note = (folder / "receipt").read_text(encoding="utf-8").split("\n\n", 1)
    first, extra, index, *path = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1":
        sys.exit("not a tlog-proof")
    _, size, root = accepted(folder, note)
    salted = base64.b64decode(extra.removeprefix("extra ")).removeprefix(b"andromede/extra/v1\n")
    entry = hashlib.sha256(b"andromede/event/v1\n" + salted).digest()
    steps = [base64.b64decode(line) for line in path]
    if not aics_tlog.verify_leaf_inclusion(entry, int(index.removeprefix("index ")), size, steps, root):
        sys.exit("aics-tlog: the proof of inclusion does not hold")


def tiles(folder: Path) -> None:
    import aics_tlog

    _, size, root = accepted(folder, (folder / "checkpoint").read_text(encoding="utf-8"))
    try:
        print(aics_tlog.audit_tiles(aics_tlog.FileSystemTileReader(folder), size, root))
    except Exception as error:
        sys.exit(f"aics-tlog: {type(error).__name__}: {error}")


def mldsa(folder: Path) -> None:
    """The ML-DSA-44 signature of the log by dilithium-py."""
    from dilithium_py.ml_dsa import ML_DSA_44

    vkey = next(row[1] for row in lines_of(folder, "log") if kind_of(row[1]) == 6)
    name, key_id, blob = vkey.split("+", 2)
    text, _, tail = (folder / "checkpoint").read_text(encoding="utf-8").rpartition("\n\n")
    origin, size, root = text.split("\n")
    found = [base64.b64decode(line.split(" ")[2]) for line in tail.splitlines() if line.split(" ")[1] == name]
    signature = next(raw[4:] for raw in found if raw[:4].hex() == key_id)
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + signature[:8]
    message += bytes([len(origin)]) + origin.encode() + struct.pack(">QQ", 0, int(size)) + base64.b64decode(root)
    if not ML_DSA_44.verify(base64.b64decode(blob)[1:], message, signature[8:]):
        sys.exit("dilithium-py: the signature does not verify")


def roots(folder: Path) -> None:
    """The root over the published entries by pymerkle."""
    from pymerkle import InmemoryTree

    size, root = (folder / "checkpoint").read_text(encoding="utf-8").split("\n")[1:3]
    tree = InmemoryTree(algorithm="sha256")
    for path in sorted((folder / "tile" / "entries").rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        for at in range(0, len(data), 34):
            tree.append_entry(data[at + 2 : at + 34])
    if tree.get_size() != int(size) or tree.get_root() != base64.b64decode(root):
        sys.exit(f"pymerkle: {tree.get_size()} entries do not give the signed root")


if __name__ == "__main__":
    {"notes": notes, "growth": growth, "receipt": receipt, "tiles": tiles, "mldsa": mldsa, "roots": roots}[sys.argv[1]](
        Path(sys.argv[2])
    )
