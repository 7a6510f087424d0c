"""Sequences that nobody planned: buckets, objects, versions and uploads through both doors against a model."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from andromede.clock import SystemClock
from andromede.db import open_database
from tests.support.doors import Answer, doors

KEYS = st.sampled_from(["a", "a/b", "a/c", "b", "\u00e9", "z z"])
BODIES = st.sampled_from([b"", b"1", b"22", b"x" * 5000])
DOORS = st.sampled_from(["s3", "swift"])
VERSIONING = "<VersioningConfiguration><Status>%s</Status></VersioningConfiguration>"


def text(answer: Answer, tag: str) -> str:
    """The text of the first element of this name."""
    found = (node.text for node in ElementTree.fromstring(answer.body).iter() if node.tag.rpartition("}")[2] == tag)
    return next(found) or ""


class BothDoors(RuleBasedStateMachine):
    """One bucket, seen from two sides. `current`: key -> body; `kept`: (key, version id) -> body, None for a marker."""

    uploads = Bundle("uploads")

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        database = open_database(f"sqlite:///{folder}/test.db")
        self.stack.callback(database.close)
        self.door = self.stack.enter_context(doors(database, folder, SystemClock()))
        assert self.door.swift("PUT", "box").status == 201
        self.current: dict[str, bytes] = {}
        self.kept: dict[tuple[str, str], bytes | None] = {}
        self.versioning = ""
        self.parts: dict[str, dict[int, tuple[str, bytes]]] = {}

    def teardown(self) -> None:
        self.stack.close()

    def _ask(self, door: str, method: str, key: str, body: bytes | None = None, **more: Any) -> Answer:
        answer = getattr(self.door, door)(method, f"box/{key}" if key else "box", body, **more)
        assert isinstance(answer, Answer)
        assert answer.status < 500, answer.body
        return answer

    def _wrote(self, key: str, body: bytes, shown: str | None) -> None:
        self.current[key] = body
        if self.versioning == "Enabled":
            assert shown
            self.kept[key, shown] = body
        else:
            self.kept[key, "null"] = body

    @rule(door=DOORS, key=KEYS, body=BODIES)
    def put(self, door: str, key: str, body: bytes) -> None:
        answer = self._ask(door, "PUT", key, body)
        assert answer.status in (200, 201), answer.body
        self._wrote(key, body, answer.headers.get("x-amz-version-id") or answer.headers.get("x-object-version-id"))

    @rule(door=DOORS, key=KEYS)
    def get(self, door: str, key: str) -> None:
        answer = self._ask(door, "GET", key)
        if key in self.current:
            assert (answer.status, answer.body) == (200, self.current[key])
        else:
            assert answer.status == 404

    @rule(door=DOORS, key=KEYS)
    def delete(self, door: str, key: str) -> None:
        answer = self._ask(door, "DELETE", key)
        there = key in self.current
        assert answer.status == 204 if there or door == "s3" else answer.status in (204, 404)
        if self.versioning == "":
            self.kept.pop((key, "null"), None)
        elif answer.status == 204:
            marker = (
                answer.headers.get("x-amz-version-id") or answer.headers.get("x-object-current-version-id") or "null"
            )
            if self.versioning == "Suspended":
                self.kept[key, "null"] = None
            elif door == "s3":
                self.kept[key, marker] = None
        self.current.pop(key, None)

    @rule(key=KEYS, status=st.sampled_from(["Enabled", "Suspended"]))
    def set_versioning(self, key: str, status: str) -> None:
        assert self._ask("s3", "PUT", "", (VERSIONING % status).encode(), query="versioning").status == 200
        self.versioning = status

    @rule(data=st.data())
    def read_a_version(self, data: st.DataObject) -> None:
        known = sorted(pair for pair, body in self.kept.items() if body is not None)
        if not known:
            return
        key, shown = data.draw(st.sampled_from(known))
        answer = self._ask("s3", "GET", key, query=f"versionId={shown}")
        assert (answer.status, answer.body) == (200, self.kept[key, shown])
        if shown != "null":
            assert self._ask("swift", "GET", key, query=f"version-id={shown}").body == self.kept[key, shown]

    @rule(door=DOORS, source=KEYS, key=KEYS)
    def copy(self, door: str, source: str, key: str) -> None:
        from urllib.parse import quote

        if door == "s3":
            more = {"REPLACE": "x"} if source == key else {}
            headers = {"x-amz-copy-source": f"/box/{quote(source)}"}
            headers |= {"x-amz-metadata-directive": "REPLACE"} if more else {}
            answer = self._ask("s3", "PUT", key, b"", headers=headers)
        else:
            answer = self._ask("swift", "COPY", source, headers={"Destination": f"box/{quote(key)}"})
        if source not in self.current:
            assert answer.status == 404
            return
        assert answer.status in (200, 201), answer.body
        self._wrote(key, self.current[source], answer.headers.get("x-amz-version-id") or self._newest(key))

    def _newest(self, key: str) -> str | None:
        return self._ask("s3", "HEAD", key).headers.get("x-amz-version-id")

    @rule(target=uploads, key=KEYS)
    def start_upload(self, key: str) -> tuple[str, str]:
        answer = self._ask("s3", "POST", key, b"", query="uploads")
        assert answer.status == 200
        upload = text(answer, "UploadId")
        self.parts[upload] = {}
        return key, upload

    @rule(upload=uploads, number=st.sampled_from([1, 2, 10_000]), body=BODIES)
    def send_part(self, upload: tuple[str, str], number: int, body: bytes) -> None:
        key, name = upload
        answer = self._ask("s3", "PUT", key, body, query=f"partNumber={number}&uploadId={name}")
        if name not in self.parts:
            assert answer.status == 404
            return
        assert answer.status == 200
        self.parts[name][number] = (answer.headers["etag"], body)

    @rule(upload=uploads)
    def complete(self, upload: tuple[str, str]) -> None:
        key, name = upload
        parts = sorted(self.parts.get(name, {}).items())
        inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, (etag, _) in parts)
        document = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()
        answer = self._ask("s3", "POST", key, document, query=f"uploadId={name}")
        if len(parts) == 1 and name in self.parts and b"<Error>" not in answer.body:
            assert answer.status == 200
            self._wrote(key, parts[0][1][1], answer.headers.get("x-amz-version-id"))
            del self.parts[name]
        elif name in self.parts:  # none, or more than one of less than 5 MiB
            assert answer.status == 400 or b"<Error>" in answer.body, answer.body

    @rule(upload=uploads)
    def abort(self, upload: tuple[str, str]) -> None:
        key, name = upload
        answer = self._ask("s3", "DELETE", key, query=f"uploadId={name}")
        assert answer.status == (204 if name in self.parts else 404) or name not in self.parts
        self.parts.pop(name, None)

    @rule()
    def remove_the_bucket(self) -> None:
        assert self._ask("s3", "DELETE", "").status == (
            409 if self.current or self.kept or self.parts else 204
        ) or not (self.current or self.kept)
        self.door.swift("PUT", "box")
        if not (self.current or self.kept):
            self.versioning = self._versioning()
            self.parts = {name: parts for name, parts in self.parts.items() if self._lists(name)}

    def _versioning(self) -> str:
        shown = self._ask("s3", "GET", "", query="versioning")
        return text(shown, "Status") if b"<Status>" in shown.body else ""

    def _lists(self, upload: str) -> bool:
        return upload.encode() in self._ask("s3", "GET", "", query="uploads").body

    @invariant()
    def both_doors_list_the_same(self) -> None:
        if not hasattr(self, "door"):
            return
        rows = json.loads(self._ask("swift", "GET", "", query="format=json").body)
        assert {row["name"]: row["bytes"] for row in rows} == {key: len(body) for key, body in self.current.items()}
        shown = ElementTree.fromstring(self._ask("s3", "GET", "", query="list-type=2").body)
        names = [node.text for node in shown.iter() if node.tag.rpartition("}")[2] == "Key"]
        assert sorted(name or "" for name in names) == sorted(self.current)


BothDoors.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBothDoors = BothDoors.TestCase
