"""Make the data directory of a release, for the tests of upgrades.

    git worktree add /tmp/former <commit>
    python -m tests.campaign.release --source /tmp/former/src --name vault-3e8cc9e

Starts the program of that source on a new directory, stores a little through both doors, stops it, and packs the
directory beside a list of what must be read from it. The credentials in it belong to nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from tests.support.installation import ROOT, Installation
from tests.support.keystone import Keystone
from tests.support.load import S3Door
from tests.support.swift import SwiftDoor

FOLDER = ROOT / "tests" / "data" / "releases"
BODIES = {"empty": b"", "small": b"a small body", "a name/with ä": b"\x00\xff" * 700, "large": bytes(range(256)) * 300}


def fill(installation: Installation) -> list[list[str]]:
    """Rows of (bucket, key, version id or "", SHA-256)."""
    expected: list[list[str]] = []
    door = S3Door(installation)

    def put(bucket: str, key: str, body: bytes) -> str:
        status, answer, headers = door.call("PUT", f"/{bucket}/{quote(key)}", body)
        assert status == 200, answer
        return headers.get("x-amz-version-id", "")

    for bucket in ("plain", "versioned"):
        assert door.call("PUT", f"/{bucket}")[0] == 200
    on = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert door.call("PUT", "/versioned?versioning=", on)[0] == 200
    for key, body in BODIES.items():
        put("plain", key, body)
        expected.append(["plain", key, "", hashlib.sha256(body).hexdigest()])
        for each in (body, body + b" again"):
            expected.append(["versioned", key, put("versioned", key, each), hashlib.sha256(each).hexdigest()])
    put("plain", "gone", b"deleted before the upgrade")
    assert door.call("DELETE", "/plain/gone")[0] == 204
    begun = ElementTree.fromstring(door.call("POST", "/plain/parts?uploads=")[1])
    upload = next(part.text for part in begun.iter() if part.tag.endswith("UploadId"))
    part = BODIES["large"]
    etag = door.call("PUT", f"/plain/parts?partNumber=1&uploadId={upload}", part)[2]["etag"]
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    done = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    assert door.call("POST", f"/plain/parts?uploadId={upload}", done)[0] == 200
    expected.append(["plain", "parts", "", hashlib.sha256(part).hexdigest()])
    user = Keystone.log_in(installation, installation.clouds["andromede"]["auth"])
    with SwiftDoor(user) as swift:
        swift.expect("PUT", "/swift", 201)
        swift.expect("PUT", "/swift/object", 201, b"through the other door")
    user.http.close()
    expected.append(["swift", "object", "", hashlib.sha256(b"through the other door").hexdigest()])
    door.close()
    return expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--name", required=True)
    args = parser.parse_args()
    installation = Installation.fresh()
    installation.source = args.source.absolute()
    with installation:
        expected = fill(installation)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("log", "run"):
        for path in (installation.data / name).iterdir():
            path.unlink()
    with tarfile.open(FOLDER / f"{args.name}.tar.xz", "w:xz") as archive:
        archive.add(
            installation.data, "data", filter=lambda entry: entry.replace(uname="", gname="", uid=0, gid=0, deep=False)
        )
    (FOLDER / f"{args.name}.json").write_text(json.dumps(expected, indent=0, ensure_ascii=False) + "\n")
    shutil.rmtree(installation.data)
    print(f"{FOLDER / args.name}.tar.xz: {(FOLDER / f'{args.name}.tar.xz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
