"""Clients on few objects: through both doors, with conditions, copies, uploads in parts, metadata and listings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from tests.campaign.history_models import ANY
from tests.campaign.history_round import Client, Round, Timed, expect
from tests.support.workers import Answer

SIZES = (24, 24, 3_000, 70_000)
SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
KEYS, STILL = 4, 11
"""Objects that are changed, and objects that stay as they are: every listing must show these."""


def bytes_of(value: str, size: int) -> bytes:
    """A body that names its value."""
    piece = f"{value};".encode()
    return (piece * (size // len(piece) + 1))[:size]


def tag_of(data: bytes) -> str:
    """The entity tag of bytes that came in one piece."""
    return hashlib.md5(data).hexdigest()


def tag_of_part(data: bytes) -> str:
    """The entity tag of an upload of one part."""
    return hashlib.md5(hashlib.md5(data).digest()).hexdigest() + "-1"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A container with its objects. Entity tags stand for bytes: no two writes have the same, but for copies."""

    path: str
    account: str
    keys: tuple[str, ...] = tuple(f"key-{number}" for number in range(KEYS))
    still: tuple[str, ...] = tuple(f"{first}-still-{number}" for number in range(STILL) for first in "az")


Row = tuple[str, str]
"""(key, entity tag)."""


def s3_page(answer: Answer) -> tuple[list[Row], str | None]:
    """Rows of a page of an S3 listing, and where the next one begins."""
    tree = ElementTree.fromstring(answer.body)
    rows = [(row.findtext(f"{SPACE}Key") or "", (row.findtext(f"{SPACE}ETag") or "").strip('"'))
            for row in tree.iter(f"{SPACE}Contents")]  # fmt: skip
    more = tree.findtext(f"{SPACE}IsTruncated") == "true"
    token = tree.findtext(f"{SPACE}NextContinuationToken")
    return rows, (token or rows[-1][0]) if more else None


class ObjectClient(Client):
    """See the module."""

    def __init__(self, round: Round, name: str, shelf: Shelf) -> None:
        super().__init__(round, name)
        self.shelf = shelf
        self.last: dict[str, str] = {}

    def acts(self) -> Sequence[tuple[int, Callable[[], None]]]:
        return (
            (14, self.get), (5, self.swift_get), (8, self.head), (7, self.listing), (14, self.put), (7, self.swift_put),
            (5, self.delete), (4, self.swift_delete), (6, self.post), (8, self.create), (10, self.replace),
            (4, self.discard), (5, self.copy), (3, self.parts),
        )  # fmt: skip

    def key(self) -> str:
        return self.chance.choice(self.shelf.keys)

    def at(self, key: str) -> str:
        return f"{self.shelf.path}/{key}"

    def swift_at(self, key: str) -> str:
        return f"{self.shelf.account}{self.shelf.path}/{key}"

    def new(self) -> tuple[str, bytes]:
        value = self.fresh()
        return value, bytes_of(value, self.chance.choice(SIZES))

    # --- reads

    def seen(self, key: str, answer: Answer, name: str, whole: bool) -> tuple[str, str | None] | None:
        """What an answer shows; its bytes must be those of its tag."""
        if answer.status == 404:
            self.last.pop(key, None)
            return None
        tag = answer.headers["etag"].strip('"')
        if whole:
            really = tag_of_part(answer.body) if "-" in tag else tag_of(answer.body)
            assert really == tag, f"{key}: {len(answer.body)} bytes {answer.body[:40]!r} under the tag of others"
        self.last[key] = tag
        return tag, answer.headers.get(name)

    def read(self, method: str, swift: bool) -> None:
        key = self.key()
        sign, target = (self.scene.owner.swift, self.swift_at(key)) if swift else (self.scene.owner.s3, self.at(key))
        timed = self.ask(sign, method, target)
        answer = expect(timed, f"{method} {target}", 200, 404)
        if answer is not None:
            name = "x-object-meta-serial" if swift else "x-amz-meta-serial"
            self.note(key, timed, "get", seen=self.seen(key, answer, name, method == "GET"))

    def get(self) -> None:
        self.read("GET", swift=False)

    def swift_get(self) -> None:
        self.read("GET", swift=True)

    def head(self) -> None:
        self.read("HEAD", swift=self.chance.random() < 0.4)

    def listing(self) -> None:
        """All pages of a listing; each page is a read of every key that would stand on it."""
        kind, limit = self.chance.choice(("v1", "v2", "swift")), self.chance.choice((3, 7, 1000))
        after, token, names = "", "", []
        while True:
            timed, rows, more = self.page(kind, limit, token)
            if rows is None:
                return
            listed = dict(rows)
            until = rows[-1][0] if more is not None else "\uffff"
            for key in self.shelf.keys:
                if after < key <= until:
                    seen = (listed[key], ANY) if key in listed else None
                    self.note(key, timed, "get", seen=seen)
            names += [key for key, _ in rows]
            if more is None:
                break
            after, token = until, more
        assert names == sorted(set(names)), f"a listing out of order or with doubles: {names}"
        missing = set(self.shelf.still) - set(names)
        assert not missing, f"a {kind} listing by {limit} misses what was there throughout: {sorted(missing)}"

    def page(self, kind: str, limit: int, token: str) -> tuple[Timed, list[Row] | None, str | None]:
        """One page: (its request, rows or None when it was lost, the token of the next one or None)."""
        path, owner = self.shelf.path, self.scene.owner
        if kind == "swift":
            target = f"{self.shelf.account}{path}?format=json&limit={limit}&marker={token}"
            timed = self.ask(owner.swift, "GET", target)
            answer = expect(timed, target, 200)
            if answer is None:
                return timed, None, None
            rows = [(row["name"], row["hash"]) for row in json.loads(answer.body)]
            return timed, rows, rows[-1][0] if len(rows) == limit else None
        start = {"v1": "marker=", "v2": "continuation-token=" if token else "start-after="}[kind] + token
        target = f"{path}?max-keys={limit}&{start}" + ("&list-type=2" if kind == "v2" else "")
        timed = self.ask(owner.s3, "GET", target)
        answer = expect(timed, target, 200)
        return (timed, None, None) if answer is None else (timed, *s3_page(answer))

    # --- changes

    def put(self) -> None:
        key, (value, body) = self.key(), self.new()
        timed = self.ask(self.scene.owner.s3, "PUT", self.at(key), body, {"x-amz-meta-serial": value})
        expect(timed, f"PUT {key}", 200)
        self.note(key, timed, "put", value=(tag_of(body), value))

    def swift_put(self) -> None:
        key, (value, body) = self.key(), self.new()
        timed = self.ask(self.scene.owner.swift, "PUT", self.swift_at(key), body, {"X-Object-Meta-Serial": value})
        expect(timed, f"Swift PUT {key}", 201)
        self.note(key, timed, "put", value=(tag_of(body), value))

    def delete(self) -> None:
        key = self.key()
        timed = self.ask(self.scene.owner.s3, "DELETE", self.at(key))
        expect(timed, f"DELETE {key}", 204)
        self.note(key, timed, "delete")

    def swift_delete(self) -> None:
        key = self.key()
        timed = self.ask(self.scene.owner.swift, "DELETE", self.swift_at(key))
        answer = expect(timed, f"Swift DELETE {key}", 204, 404)
        self.note(key, timed, "remove", seen=answer and answer.status == 204)

    def post(self) -> None:
        key, value = self.key(), self.fresh()
        timed = self.ask(self.scene.owner.swift, "POST", self.swift_at(key), b"", {"X-Object-Meta-Serial": value})
        answer = expect(timed, f"Swift POST {key}", 202, 404)
        self.note(key, timed, "post", value=value, seen=answer and answer.status == 202)

    def create(self) -> None:
        key, (value, body) = self.key(), self.new()
        swift, none = self.chance.random() < 0.3, {"If-None-Match": "*"}
        owner = self.scene.owner
        if swift:
            timed = self.ask(owner.swift, "PUT", self.swift_at(key), body, {**none, "X-Object-Meta-Serial": value})
        else:
            timed = self.ask(owner.s3, "PUT", self.at(key), body, {**none, "x-amz-meta-serial": value})
        answer = expect(timed, f"creation of {key}", 200, 201, 412)
        self.note(key, timed, "create", value=(tag_of(body), value), seen=answer and answer.status < 300)

    def known(self, key: str) -> str:
        """The entity tag that this client saw last, or one that nothing has."""
        return self.last.get(key, "00000000000000000000000000000000")

    def replace(self) -> None:
        key, (value, body) = self.key(), self.new()
        was = self.known(key)
        condition = {"If-Match": f'"{was}"', "x-amz-meta-serial": value}
        timed = self.ask(self.scene.owner.s3, "PUT", self.at(key), body, condition)
        answer = expect(timed, f"replacement of {key}", 200, 404, 412)
        new = (tag_of(body), value)
        self.note(key, timed, "replace", value=new, expect=was, seen=answer and answer.status == 200)
        if answer is not None and answer.status == 200:
            self.last[key] = new[0]

    def discard(self) -> None:
        key = self.key()
        was = self.known(key)
        timed = self.ask(self.scene.owner.s3, "DELETE", self.at(key), b"", {"If-Match": f'"{was}"'})
        answer = expect(timed, f"conditional DELETE of {key}", 204, 404, 412)
        self.note(key, timed, "discard", expect=was, seen=answer and answer.status == 204)

    def copy(self) -> None:
        source, key = self.chance.sample(self.shelf.keys, 2)
        was, serial = self.known(source), self.fresh()
        if "-" in was:
            return  # whether a copy keeps the tag of an upload in parts is not promised
        timed = self.ask(self.scene.owner.s3, "PUT", self.at(key), b"", {
            "x-amz-copy-source": self.at(source), "x-amz-copy-source-if-match": f'"{was}"',
            "x-amz-metadata-directive": "REPLACE", "x-amz-meta-serial": serial,
        })  # fmt: skip
        answer = expect(timed, f"copy of {source} to {key}", 200, 404, 412)
        if answer is None or answer.status == 200:
            self.note(key, timed, "put", value=(was, serial))
        if answer is not None and answer.status == 200:
            self.note(source, timed, "get", seen=(was, ANY))
        elif answer is not None:
            self.note(source, timed, "unlike", expect=was)

    def parts(self) -> None:
        key, (value, body) = self.key(), self.new()
        owner, target = self.scene.owner.s3, self.at(key)
        begun = self.ask(owner, "POST", f"{target}?uploads=", b"", {"x-amz-meta-serial": value}).answer
        if begun is None or begun.status != 200:
            return
        upload = begun.body.decode().partition("<UploadId>")[2].partition("</UploadId>")[0]
        part = self.ask(owner, "PUT", f"{target}?partNumber=1&uploadId={upload}", body).answer
        if part is None or part.status != 200:
            return
        listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
        whole = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        timed = self.ask(owner, "POST", f"{target}?uploadId={upload}", whole)
        expect(timed, f"completion of {key}", 200)
        self.note(key, timed, "put", value=(tag_of_part(body), value))
