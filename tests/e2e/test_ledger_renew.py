"""ledger renew on a real installation, whose log a witness has seen further than it is."""

from __future__ import annotations

import json

from andromede.db import open_database
from andromede.sovereignty import witness_store
from tests.support.installation import Installation, wait_until
from tests.support.load import S3Door


def put(own: Installation, key: str) -> tuple[str, str]:
    door = S3Door(own)
    door.call("PUT", "/box")
    assert door.call("PUT", f"/box/{key}", b"x")[0] == 200
    door.close()
    origin, index = door.places[-1][0].split()
    return origin, index


def halt(own: Installation, origin: str) -> None:
    """As when a witness showed that it had seen more."""
    db = open_database(str(own.settings.get("storage.database") or f"sqlite:///{own.data}/andromede.db"))
    with db.write() as tx:
        witness_store.put_halt(tx, origin, "https://w.test", "it has seen 999 entries", "", 1)
    db.close()


def test_L4_a_halted_log_is_renewed_by_one_command(own: Installation) -> None:
    own.start()
    old, _ = put(own, "before")
    refused = own.run("ledger", "renew", "nothing", "--yes", check=False)
    assert refused.returncode != 0 and "andromede down" in refused.stdout
    own.stop()
    assert "nothing to renew" in own.run("ledger", "renew", "nothing", "--yes").stdout
    halt(own, old)
    own.start()
    put(own, "meanwhile")
    wait_until("the refusal", lambda: "REFUSED TO SIGN" in own.run("status").stdout)
    own.stop()
    assert own.run("ledger", "renew", " ", "--yes", check=False).returncode != 0
    assert "goes on" in own.run("ledger", "renew", "x", "--project", "installation", "--yes", check=False).stdout
    told = own.run("ledger", "renew", "the newest database is lost", "--yes", "--json").stdout
    [made] = json.loads(told)["renewed"]
    assert made["old"] == old and made["new"] != old
    own.start()
    origin, index = put(own, "after")
    assert origin == made["new"]
    proof = own.data / "after.tlog-proof"
    own.run("ledger", "receipt", origin, index, "-o", str(proof), "--wait")
    assert "PROVEN" in own.run("ledger", "verify", str(proof)).stdout
    assert "ledger.renew" in own.run("ledger", "tail", "-n", "50").stdout
    assert "REFUSED" not in own.run("status").stdout
    assert own.run("fsck", check=False).returncode == 0
