"""docs/verify.md: the steps by hand run as they are printed, on a true and on forged receipts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from andromede.sovereignty.verifier.command import main
from tests.support.verifier import VECTORS, Book

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "verify.md").read_text(encoding="utf-8")
LEDGER = VECTORS["ledger"]


def by_hand(folder: Path, receipt: str, vkey: str) -> subprocess.CompletedProcess[str]:
    found = re.search(r"```python\n(.*?)```", DOCUMENT, re.S)
    assert found is not None
    (folder / "hand.py").write_text(found[1], encoding="utf-8")
    (folder / "event.tlog-proof").write_bytes(receipt.encode())
    command = [sys.executable, "-I", "hand.py", vkey]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_steps_by_hand(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed here")
    receipt, vkey = LEDGER["receipt_index2_size5"], LEDGER["keys"]["log_ed25519"]["vkey"]
    done = by_hand(tmp_path, receipt, vkey)
    assert done.returncode == 0, done.stderr
    assert "key.decrypt" in done.stdout
    for forged, word in (
        (receipt.replace("index 2", "index 3"), "does not lead"),
        (receipt.replace("extra YW5kcm9tZWRlL2V4dHJhL3YxCjnH", "extra YW5kcm9tZWRlL2V4dHJhL3YxCjnI"), "does not lead"),
        (receipt.replace("3V20Px56", "3V20Px57"), "does not verify"),
    ):
        assert forged != receipt
        done = by_hand(tmp_path, forged, vkey)
        assert done.returncode == 1
        assert word in done.stderr
    book = Book.of(300)
    for index in (0, 255, 256, 299):
        assert by_hand(tmp_path, book.receipt(index, 300), str(book.signers[0].verifier)).returncode == 0


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^andromede-verify (\w+)", DOCUMENT, re.M))))
def test_every_command_that_is_named_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert command in capsys.readouterr().out
