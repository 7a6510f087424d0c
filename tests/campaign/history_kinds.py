"""The kinds of rounds: objects, versions, buckets, facts; the first two also while roles are killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from tests.campaign.history_check import Model
from tests.campaign.history_models import ANY
from tests.campaign.history_objects import SPACE, ObjectClient, Shelf, tag_of
from tests.campaign.history_round import Client, Round, Timed, expect, now
from tests.support.facts import FACTS, Fact
from tests.support.facts.buckets import versioning
from tests.support.workers import Answer, Line, Unknown, Workers

CLIENTS = 8
BUCKETS = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of round and the clients of one."""

    name: str
    model: Model
    initial: object
    clients: Callable[[Round], Sequence[Client]]
    kills: bool = False


# --- objects


def shelf(round: Round) -> Shelf:
    """A new container with the objects that stay."""
    scene, line = round.scene, round.scene.workers.line()
    made = Shelf(f"/{scene.name('shelf')}", scene.owner.account)
    scene.s3(line, "PUT", made.path)
    for key in made.still:
        scene.s3(line, "PUT", f"{made.path}/{key}", b"still")
    line.close()
    return made


def objects(round: Round) -> Sequence[Client]:
    made = shelf(round)
    return [ObjectClient(round, f"c{number}", made) for number in range(CLIENTS)]


# --- versions


class VersionClient(Client):
    """On few objects of a versioned container."""

    def __init__(self, round: Round, name: str, path: str) -> None:
        super().__init__(round, name)
        self.path = path
        self.known: dict[str, list[tuple[str, str | None]]] = {}

    def acts(self) -> Sequence[tuple[int, Callable[[], None]]]:
        return (
            (12, self.get), (6, self.swift_get), (7, self.versions), (8, self.put), (4, self.swift_put),
            (5, self.delete), (16, self.delete_version), (5, self.get_version), (4, self.create), (6, self.replace),
        )  # fmt: skip

    def key(self) -> str:
        return f"key-{self.chance.randrange(3)}"

    def at(self, key: str) -> str:
        return f"{self.path}/{key}"

    def learn(self, key: str, version: str | None, value: str | None) -> None:
        if version is not None:
            found = self.known.setdefault(key, [])
            found.append((version, value))
            del found[:-12]

    def one(self, key: str) -> tuple[str, str | None] | None:
        """An entry that this client has seen."""
        return self.chance.choice(self.known[key]) if self.known.get(key) else None

    def new(self) -> tuple[bytes, str]:
        body = f"{self.fresh()};".encode() * 3
        return body, tag_of(body)

    def get(self) -> None:
        key = self.key()
        timed = self.ask(self.scene.owner.s3, "GET", self.at(key))
        answer = expect(timed, f"GET {key}", 200, 404)
        if answer is not None:
            self.note(key, timed, "get", seen=self.shown(key, answer))

    def shown(self, key: str, answer: Answer) -> tuple[str | None, str] | None:
        """The version that an answer shows; its bytes must be those of its tag."""
        if answer.status == 404:
            return None
        tag = answer.headers["etag"].strip('"')
        assert tag == tag_of(answer.body), f"{key}: {answer.body[:60]!r} under the tag of others"
        version = answer.headers.get("x-amz-version-id")
        self.learn(key, version, tag)
        return version, tag

    def swift_get(self) -> None:
        key = self.key()
        timed = self.ask(self.scene.owner.swift, "GET", f"{self.scene.owner.account}{self.at(key)}")
        answer = expect(timed, f"Swift GET {key}", 200, 404)
        if answer is not None:
            self.note(key, timed, "get", seen=self.shown(key, answer))

    def versions(self) -> None:
        key = self.key()
        timed = self.ask(self.scene.owner.s3, "GET", f"{self.path}?versions=&prefix={key}")
        answer = expect(timed, f"versions of {key}", 200)
        if answer is None:
            return
        rows = []
        for row in ElementTree.fromstring(answer.body):
            if row.tag in (f"{SPACE}Version", f"{SPACE}DeleteMarker"):
                tag = row.findtext(f"{SPACE}ETag")
                rows.append((row.findtext(f"{SPACE}VersionId"), tag.strip('"') if tag else None))
                if tag:
                    self.learn(key, *rows[-1])
        self.note(key, timed, "versions", seen=tuple(rows))

    def written(self, timed: Timed, key: str, do: str, tag: str, was: str | None = None) -> None:
        answer = expect(timed, f"{do} {key}", 200, 201, *((404, 412) if do in ("create", "replace") else ()))
        made = None if answer is None else answer.headers.get("x-amz-version-id") or answer.headers.get(
            "x-object-version-id")  # fmt: skip
        if answer is not None and answer.status < 300:
            assert made not in (None, "null"), f"{do} {key} made no version: {answer.headers}"
            self.learn(key, made, tag)
        seen = False if answer is not None and answer.status >= 300 else made
        self.note(key, timed, do, value=tag, expect=was, seen=seen)

    def put(self) -> None:
        key, (body, tag) = self.key(), self.new()
        self.written(self.ask(self.scene.owner.s3, "PUT", self.at(key), body), key, "put", tag)

    def swift_put(self) -> None:
        key, (body, tag) = self.key(), self.new()
        target = f"{self.scene.owner.account}{self.at(key)}"
        self.written(self.ask(self.scene.owner.swift, "PUT", target, body), key, "put", tag)

    def create(self) -> None:
        key, (body, tag) = self.key(), self.new()
        timed = self.ask(self.scene.owner.s3, "PUT", self.at(key), body, {"If-None-Match": "*"})
        self.written(timed, key, "create", tag)

    def replace(self) -> None:
        key, (body, tag) = self.key(), self.new()
        entry = self.known[key][-1] if self.known.get(key) else None
        was = entry[1] if entry is not None and entry[1] is not None else "0" * 32
        timed = self.ask(self.scene.owner.s3, "PUT", self.at(key), body, {"If-Match": f'"{was}"'})
        self.written(timed, key, "replace", tag, was)

    def delete(self) -> None:
        key = self.key()
        timed = self.ask(self.scene.owner.s3, "DELETE", self.at(key))
        answer = expect(timed, f"DELETE {key}", 204)
        marker = answer and answer.headers.get("x-amz-version-id")
        assert answer is None or marker, f"DELETE of {key} made no marker: {answer.headers}"
        self.learn(key, marker, None)
        self.note(key, timed, "delete", seen=marker)

    def delete_version(self) -> None:
        key = self.key()
        if (entry := self.one(key)) is not None:
            timed = self.ask(self.scene.owner.s3, "DELETE", f"{self.at(key)}?versionId={entry[0]}")
            expect(timed, f"DELETE of a version of {key}", 204)
            self.note(key, timed, "delete_version", expect=entry)

    def get_version(self) -> None:
        key = self.key()
        entry = self.one(key)
        if entry is None or entry[1] is None:
            return
        timed = self.ask(self.scene.owner.s3, "GET", f"{self.at(key)}?versionId={entry[0]}")
        answer = expect(timed, f"GET of a version of {key}", 200, 404)
        if answer is not None:
            there = answer.status == 200
            assert not there or tag_of(answer.body) == entry[1], f"{key} {entry}: other bytes, {answer.body[:60]!r}"
            self.note(key, timed, "get_version", expect=entry, seen=there)


def versions(round: Round) -> Sequence[Client]:
    scene, line = round.scene, round.scene.workers.line()
    path = f"/{scene.name('versions')}"
    scene.s3(line, "PUT", path)
    versioning(scene, path, "Enabled", line)
    line.close()
    return [VersionClient(round, f"c{number}", path) for number in range(CLIENTS)]


# --- buckets


class BucketClient(Client):
    """Makes, drops and looks for few buckets."""

    def __init__(self, round: Round, name: str, stem: str) -> None:
        super().__init__(round, name)
        self.stem = stem

    def acts(self) -> Sequence[tuple[int, Callable[[], None]]]:
        return ((4, self.make), (4, self.swift_make), (4, self.drop), (4, self.swift_drop), (8, self.head),
                (4, self.swift_head), (4, self.listing), (3, self.swift_listing))  # fmt: skip

    def name_of(self) -> str:
        return f"{self.stem}-{self.chance.randrange(BUCKETS)}"

    def simple(self, swift: bool, method: str, do: str, seen: dict[int, object]) -> None:
        """A request whose status tells all."""
        name, owner = self.name_of(), self.scene.owner
        sign, target = (owner.swift, f"{owner.account}/{name}") if swift else (owner.s3, f"/{name}")
        timed = self.ask(sign, method, target)
        answer = expect(timed, f"{method} {target}", *seen)
        if answer is not None or do != "look":
            self.note(name, timed, do, seen=None if answer is None else seen[answer.status])  # type: ignore[arg-type]

    def make(self) -> None:
        self.simple(False, "PUT", "make", {200: ANY})

    def swift_make(self) -> None:
        self.simple(True, "PUT", "make", {201: True, 202: False})

    def drop(self) -> None:
        self.simple(False, "DELETE", "drop", {204: True, 404: False})

    def swift_drop(self) -> None:
        self.simple(True, "DELETE", "drop", {204: True, 404: False})

    def head(self) -> None:
        self.simple(False, "HEAD", "look", {200: True, 404: False})

    def swift_head(self) -> None:
        self.simple(True, "HEAD", "look", {204: True, 404: False})

    def listing(self) -> None:
        self.listed(self.ask(self.scene.owner.s3, "GET", f"/?prefix={self.stem}"), "<Name>{}</Name>")

    def swift_listing(self) -> None:
        owner = self.scene.owner
        self.listed(self.ask(owner.swift, "GET", f"{owner.account}?prefix={self.stem}"), "{}\n")

    def listed(self, timed: Timed, form: str) -> None:
        answer = expect(timed, "listing of buckets", 200, 204)
        if answer is not None:
            for number in range(BUCKETS):
                name = f"{self.stem}-{number}"
                self.note(name, timed, "look", seen=form.format(name).encode() in answer.body)


def buckets(round: Round) -> Sequence[Client]:
    stem = round.scene.name("stem")
    return [BucketClient(round, f"c{number}", stem) for number in range(CLIENTS)]


# --- facts


class Changer(Client):
    """Makes the changes of a fact in turn, each through any worker."""

    def __init__(self, round: Round, name: str, fact: Fact, thing: str) -> None:
        super().__init__(round, name)
        self.fact, self.thing, self.turn = fact, thing, 0

    def acts(self) -> Sequence[tuple[int, Callable[[], None]]]:
        return ((1, self.change),)

    def change(self) -> None:
        if self.turn >= len(self.fact.steps) and not self.fact.again:
            time.sleep(0.01)
            return
        change, value = self.fact.steps[self.turn % len(self.fact.steps)]
        self.turn += 1
        call = now()
        change(self.line())
        self.note(self.thing, Timed(call, now(), None), "write", value=value)
        self.round.ending.wait(self.chance.random() * 0.05)


class Prober(Changer):
    """Looks at a fact through one worker, as fast as it answers."""

    def __init__(self, round: Round, name: str, fact: Fact, thing: str, pinned: Line) -> None:
        super().__init__(round, name, fact, thing)
        self.lines = [pinned]
        self.pinned = pinned

    def change(self) -> None:
        call = now()
        try:
            seen = self.fact.probe(self.pinned)
        except Unknown as lost:
            self.round.problem(f"{self.name}: {lost}")
            return
        self.note(self.thing, Timed(call, now(), None), "read", seen=seen)
        time.sleep(0.002)


def facts(names: Sequence[str], round: Round) -> Sequence[Client]:
    """One changer and one prober per worker for each fact, which is made known before they begin."""
    clients: list[Client] = []
    for name in names:
        mine = Workers(round.scene.installation)
        lines = mine.each()
        fact = FACTS[name](round.scene, lines[0])
        if not fact.whole:
            mine.close()
            continue
        changer = Changer(round, f"{name}-changer", fact, name)
        changer.change()
        clients += [changer, *(Prober(round, f"{name}-{at}", fact, name, line) for at, line in enumerate(lines))]
    return clients
