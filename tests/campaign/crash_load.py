"""The mixed load over both doors: objects of all kinds and all the ways to change them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.campaign.crash_doors import Answer, Doors, Lost, seen_s3, seen_swift, text_of
from tests.campaign.crash_model import ABSENT, MARKER, State, Version
from tests.campaign.crash_worker import Fleet, Worker

PLAIN, VERSIONED, LARGE, FADING = "plain", "versioned", "large", "fading"
TYPES = ("text/plain", "application/json", "image/png", "application/x-andromede")
PART_LEAST = 5 << 20
KEYS = 18
MOST_VERSIONS = 4
MOST_UPLOADS = 3


def tree(raw: bytes) -> ElementTree.Element:
    """A document without its namespaces."""
    root = ElementTree.fromstring(raw)
    for part in root.iter():
        part.tag = part.tag.rpartition("}")[2]
    return root


def made_of(data: bytes, about: Version, vid: str = "", etag: str = "") -> Version:
    """The version that a body and a description make."""
    etag = etag or hashlib.md5(data).hexdigest()
    return replace(about, sha=hashlib.sha256(data).hexdigest(), size=len(data), etag=etag, vid=vid)


class ObjectWorker(Worker):
    """Makes bodies and descriptions."""

    bucket = PLAIN

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self.fresh = itertools.count()

    def data(self) -> bytes:
        """A body of one of the sizes that take different ways through the program."""
        size = self.chance.choices(
            (0, 1, 4096, 4097, 40_000, 66_000, 70_000, 300_000, self.chance.randrange(1 << 20, 5 << 20)),
            (4, 2, 30, 4, 10, 5, 10, 6, 3),
        )[0]
        return self.chance.randbytes(size)

    def description(self) -> Version:
        names = self.chance.sample(("colour", "mtime", "owner", "kind"), self.chance.randrange(3))
        meta = tuple(sorted((name, f"v{self.chance.randrange(10**6)}") for name in names))
        return Version("", 0, "", self.chance.choice(TYPES), meta, (), False)

    def key(self) -> str:
        keys = [f"{self.bucket}/{self.name}/{number:02d}" for number in range(KEYS)]
        return self.chance.choice([key for key in keys if self.usable(key)])

    def there(self) -> str | None:
        """A key that holds an object now."""
        keys = [key for key, state in self.states.items() if state and self.usable(key) and self.ours(key)]
        return self.chance.choice(keys) if keys else None

    def ours(self, key: str) -> bool:
        return isinstance(self.states[key], tuple) and key.startswith(f"{self.bucket}/{self.name}/")

    def tagged(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((name, str(self.chance.randrange(99))) for name in ("a", "b")[: self.chance.randrange(3)]))


def s3_headers(about: Version) -> dict[str, str]:
    headers = {"content-type": about.ctype, **{f"x-amz-meta-{name}": value for name, value in about.meta}}
    if about.tags:
        headers["x-amz-tagging"] = "&".join(f"{name}={value}" for name, value in about.tags)
    return headers


def swift_headers(about: Version) -> dict[str, str]:
    return {"Content-Type": about.ctype, **{f"X-Object-Meta-{name}": value for name, value in about.meta}}


def vid_of(answer: Answer) -> str:
    return answer.headers.get("x-amz-version-id", "")


def tags_of(doors: Doors, path: str, answer: Answer, query: str = "") -> tuple[tuple[str, str], ...]:
    """The tags of an object whose GET counted them."""
    if answer.headers.get("x-amz-tagging-count", "0") == "0":
        return ()
    found = doors.s3("GET", path, query="tagging=" + (f"&{query}" if query else ""))
    assert found.status == 200, text_of(found)
    pairs = ((tag.findtext("Key"), tag.findtext("Value")) for tag in tree(found.body).iter("Tag"))
    return tuple(sorted((str(key), str(value)) for key, value in pairs))


@dataclass(slots=True)
class Upload:
    """A multipart upload that was acknowledged and not finished."""

    key: str
    upload_id: str
    about: Version
    parts: dict[int, bytes] = field(default_factory=dict)

    def listed(self) -> bytes:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{hashlib.md5(data).hexdigest()}</ETag></Part>"
            for number, data in sorted(self.parts.items())
        )
        return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()

    def whole(self) -> Version:
        digests = b"".join(hashlib.md5(data).digest() for _, data in sorted(self.parts.items()))
        etag = f"{hashlib.md5(digests).hexdigest()}-{len(self.parts)}"
        return made_of(b"".join(data for _, data in sorted(self.parts.items())), self.about, "", etag)


class Plain(ObjectWorker):
    """One bucket without versions, written through both doors: a bucket is a container."""

    kind = "plain"

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self.uploads: list[Upload] = []
        self.other = Doors(fleet.installation, fleet.user, fleet.violations, self.doors.promises)

    def close(self) -> None:
        super().close()
        self.other.close()

    def step(self) -> None:
        steps = (
            self.put_s3, self.put_swift, self.delete_s3, self.delete_swift, self.post_swift, self.tag, self.share,
            self.copy_s3, self.copy_swift, self.begin, self.go_on, self.race_new, self.race_match, self.delete_many,
            self.refused,
        )  # fmt: skip
        self.chance.choices(steps, (30, 20, 6, 4, 6, 6, 3, 6, 4, 4, 8, 5, 5, 3, 3))[0]()

    def observe(self, key: str) -> State:
        expected = self.candidates(key)
        one = expected[0][0] if len(expected) == 1 and expected[0] else None
        if one is not None and not one.tags and "-" not in one.etag and self.chance.random() < 0.3:
            answer = self.doors.swift("GET", key)
            if answer.status == 404:
                return ABSENT
            assert answer.status == 200, f"GET {key}: {text_of(answer)}"
            return (seen_swift(answer, one),)
        answer = self.doors.s3("GET", key)
        if answer.status == 404:
            return ABSENT
        assert answer.status == 200, f"GET {key}: {text_of(answer)}"
        public = None
        if any(version.public for state in expected for version in state) or self.chance.random() < 0.1:
            public = self.doors.anonymous(key)
        return (seen_s3(answer, tags_of(self.doors, key, answer), public),)

    # --- one request each

    def put_s3(self) -> None:
        key, data = self.key(), self.data()
        about = replace(self.description(), tags=self.tagged())
        after = (made_of(data, about),)
        self.change(key, "PUT", after, lambda: self.doors.s3("PUT", key, data, headers=s3_headers(about)))

    def put_swift(self) -> None:
        key, data, about = self.key(), self.data(), self.description()
        after = (made_of(data, about),)
        self.change(key, "Swift PUT", after, lambda: self.doors.swift("PUT", key, data, headers=swift_headers(about)))

    def delete_s3(self) -> None:
        key = self.key()
        self.change(key, "DELETE", ABSENT, lambda: self.doors.s3("DELETE", key))

    def delete_swift(self) -> None:
        key = self.key()
        self.change(key, "Swift DELETE", ABSENT, lambda: self.doors.swift("DELETE", key), refusals=(404,))

    def delete_many(self) -> None:
        """One request over several keys: each of them is deleted or not."""
        keys = sorted({self.key() for _ in range(4)})
        names = "".join(f"<Object><Key>{escape(key.partition('/')[2])}</Key></Object>" for key in keys)
        body = f"<Delete>{names}</Delete>".encode()
        changes = [self.fleet.journal.intend(key, "multi-object DELETE", [ABSENT]) for key in keys]
        self.touched.update(keys)
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        try:
            answer = self.doors.s3("POST", self.bucket, body, "delete=", {"content-md5": digest})
        except Lost as failure:
            self.lose(changes, failure)
            return
        assert answer.status == 200, text_of(answer)
        gone = {f"{self.bucket}/{part.findtext('Key')}" for part in tree(answer.body).iter("Deleted")}
        for change in changes:
            if change.key in gone:
                self.settle_change(change, ABSENT, answer)
            else:
                self.fleet.journal.outcome(change, "refused")

    def post_swift(self) -> None:
        if (key := self.there()) is None or "-" in self.state(key)[0].etag:
            return
        old, new = self.state(key)[0], self.description()
        after = (replace(old, meta=new.meta),)
        headers = {name: value for name, value in swift_headers(new).items() if name != "Content-Type"}
        self.change(key, "Swift POST", after, lambda: self.doors.swift("POST", key, headers=headers))

    def tag(self) -> None:
        if (key := self.there()) is None:
            return
        tags = self.tagged()
        after = (replace(self.state(key)[0], tags=tags),)
        if not tags:
            self.change(key, "DELETE tagging", after, lambda: self.doors.s3("DELETE", key, query="tagging="))
            return
        pairs = "".join(f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in tags)
        body = f"<Tagging><TagSet>{pairs}</TagSet></Tagging>".encode()
        self.change(key, "PUT tagging", after, lambda: self.doors.s3("PUT", key, body, "tagging="))

    def share(self) -> None:
        if (key := self.there()) is None:
            return
        public = self.chance.random() < 0.6
        after = (replace(self.state(key)[0], public=public),)
        headers = {"x-amz-acl": "public-read" if public else "private"}
        self.change(key, "PUT acl", after, lambda: self.doors.s3("PUT", key, query="acl=", headers=headers))

    def copy_s3(self) -> None:
        source, key = self.there(), self.key()
        if source is None or source == key:
            return
        old = self.state(source)[0]
        headers = {"x-amz-copy-source": f"/{source}"}
        new = replace(old, public=False)
        if self.chance.random() < 0.5:
            about = self.description()
            headers |= {"x-amz-metadata-directive": "REPLACE", **s3_headers(about)}
            new = replace(new, ctype=about.ctype, meta=about.meta)
        new = replace(new, etag="" if "-" in old.etag else old.etag)

        def finish(answer: Answer) -> State:
            return (replace(new, etag=str(tree(answer.body).findtext("ETag")).strip('"')),)

        self.change(key, "copy", (new,), lambda: self.doors.s3("PUT", key, headers=headers), finish)

    def copy_swift(self) -> None:
        source, key = self.there(), self.key()
        if source is None or source == key or self.state(source)[0].tags or "-" in self.state(source)[0].etag:
            return
        new = replace(self.state(source)[0], public=False)
        self.change(
            key, "Swift COPY", (new,), lambda: self.doors.swift("COPY", source, headers={"Destination": f"/{key}"})
        )

    # --- multipart uploads, which outlive kills

    def begin(self) -> None:
        if len(self.uploads) >= MOST_UPLOADS:
            return
        key, about = self.key(), self.description()
        answer = self.doors.s3("POST", key, query="uploads=", headers=s3_headers(about))
        assert answer.status == 200, text_of(answer)
        upload = Upload(key, str(tree(answer.body).findtext("UploadId")), about)
        self.fleet.journal.line("upload", key=key, upload=upload.upload_id)
        self.uploads.append(upload)

    def go_on(self) -> None:
        """The next step of an upload: a part, its end, or its being given up."""
        if not self.uploads:
            return
        upload = self.chance.choice(self.uploads)
        if not self.usable(upload.key):
            return
        if not upload.parts or (len(upload.parts) < 3 and self.chance.random() < 0.4):
            self.part(upload)
        elif self.chance.random() < 0.25:
            self.abandon(upload)
        else:
            self.complete(upload)

    def part(self, upload: Upload) -> None:
        if upload.parts and len(upload.parts[max(upload.parts)]) < PART_LEAST:
            number = max(upload.parts)  # only the last may be small: this one is replaced
        else:
            number = len(upload.parts) + 1
        data = self.chance.randbytes(PART_LEAST) if self.chance.random() < 0.15 else self.data() or b"x"
        query = f"partNumber={number}&uploadId={upload.upload_id}"
        before = upload.parts.pop(number, None)  # until it is acknowledged either may be there
        answer = self.doors.s3("PUT", upload.key, data, query)
        assert answer.status == 200, f"part {number} of {upload.key}, {before is not None}: {text_of(answer)}"
        upload.parts[number] = data

    def complete(self, upload: Upload) -> None:
        self.uploads.remove(upload)
        after = (upload.whole(),)
        query = f"uploadId={upload.upload_id}"
        answer = self.change(
            upload.key, "complete", after, lambda: self.doors.s3("POST", upload.key, upload.listed(), query)
        )
        assert answer is None or tree(answer.body).tag != "Error", text_of(answer)
        if answer is None and self.usable(upload.key):
            self.settle()
            if not self.open and self.state(upload.key) != after:
                self.uploads.append(upload)  # it was not completed: all its parts must still be there

    def abandon(self, upload: Upload) -> None:
        self.uploads.remove(upload)
        try:
            answer = self.doors.s3("DELETE", upload.key, query=f"uploadId={upload.upload_id}")
        except Lost:
            return
        assert answer.status == 204, text_of(answer)
        answer = self.doors.s3("GET", upload.key, query=f"uploadId={upload.upload_id}")
        assert answer.status == 404, f"an aborted upload is still there: {text_of(answer)}"

    def extra_checks(self) -> None:
        """Every part that was acknowledged is still listed in its unfinished upload."""
        for upload in self.uploads:
            answer = self.doors.s3("GET", upload.key, query=f"uploadId={upload.upload_id}")
            there: dict[int, str] = {}
            if answer.status == 200:
                for part in tree(answer.body).iter("Part"):
                    there[int(str(part.findtext("PartNumber")))] = str(part.findtext("ETag")).strip('"')
            wanted = {number: hashlib.md5(data).hexdigest() for number, data in upload.parts.items()}
            self.fleet.checks += 1
            if answer.status != 200 or any(there.get(number) != etag for number, etag in wanted.items()):
                self.fleet.violations.add("upload", upload.key, f"parts {wanted} were acknowledged, there are {there}")

    # --- conditional writes

    def race_new(self) -> None:
        """Two writers want to be the first on a new key."""
        self.race(f"{self.bucket}/{self.name}/race-{next(self.fresh)}", {"if-none-match": "*"})

    def race_match(self) -> None:
        """Two writers want to replace the same version."""
        if (key := self.there()) is not None:
            self.race(key, {"if-match": f'"{self.state(key)[0].etag}"'})

    def race(self, key: str, condition: dict[str, str]) -> None:
        """One winner at most; a loser that was told so means that there is one."""
        bodies = [self.data() + self.chance.randbytes(8) for _ in range(2)]  # never the ETag that is there
        abouts = [self.description() for _ in range(2)]
        states = [(made_of(body, about),) for body, about in zip(bodies, abouts, strict=True)]
        changes = [self.fleet.journal.intend(key, f"race {condition}", [state]) for state in states]
        self.touched.add(key)
        answers: list[Answer | Lost] = [Lost("not sent")] * 2

        def send(number: int, doors: Doors) -> None:
            headers = {**s3_headers(abouts[number]), **condition}
            try:
                answers[number] = doors.s3("PUT", key, bodies[number], headers=headers)
            except Lost as failure:
                answers[number] = failure

        rival = threading.Thread(target=send, args=(1, self.other), daemon=True)
        rival.start()
        send(0, self.doors)
        rival.join()
        self.judge(key, changes, states, answers)

    def judge(self, key: str, changes: list[Any], states: list[State], answers: list[Answer | Lost]) -> None:
        before = self.state(key)
        wins = [n for n, answer in enumerate(answers) if isinstance(answer, Answer) and answer.done]
        lost = [n for n, answer in enumerate(answers) if isinstance(answer, Lost)]
        told = [n for n, answer in enumerate(answers) if isinstance(answer, Answer) and answer.status == 412]
        for number, answer in enumerate(answers):
            if isinstance(answer, Answer) and not answer.done:
                self.fleet.journal.outcome(changes[number], "refused", status=answer.status)
                if answer.status not in (409, 412):
                    self.fleet.violations.add("refusal", key, f"a conditional write: {text_of(answer)}")
        late = next((a for a in answers if isinstance(a, Lost) and a.late), Lost("lost"))
        if len(wins) == 2:
            self.fleet.violations.add("race", key, "two conditional writes were both acknowledged")
        if wins:
            answer = answers[wins[0]]
            assert isinstance(answer, Answer)
            self.settle_change(changes[wins[0]], states[wins[0]], answer)
            for number in lost:  # it came too late to win
                changes[number].after = [states[wins[0]]]
                self.fleet.journal.outcome(changes[number], "lost")
            if lost and late.late:
                self.late[key] = [states[wins[0]]]
        elif lost:
            self.lose([changes[number] for number in lost], late)
            if told:  # somebody was told that another had won
                self.open[key] = [state for state in self.open[key] if state is not before]
        if not wins and not lost and len(told) == 2:
            self.fleet.violations.add("race", key, "two conditional writes were refused and nobody had won")

    def refused(self) -> None:
        """A condition that does not hold: nothing may change."""
        if (key := self.there()) is None:
            return
        data, state = self.data(), self.state(key)
        headers = {"if-none-match": "*"} if self.chance.random() < 0.5 else {"if-match": '"' + "0" * 32 + '"'}
        answer = self.change(
            key, "PUT that must be refused", state, lambda: self.doors.s3("PUT", key, data, headers=headers),
            refusals=(412,),
        )  # fmt: skip
        if answer is not None and answer.done:
            self.fleet.violations.add("race", key, f"a write against its condition {headers} was acknowledged")

    def tidy(self) -> None:
        """Keys of races that are over go away, so that the bucket stays small."""
        for key in [key for key, state in self.states.items() if "/race-" in key and self.usable(key)]:
            if self.state(key):
                self.change(key, "DELETE", ABSENT, partial(self.doors.s3, "DELETE", key))
            if self.state(key) == ABSENT and key not in self.open:
                self.states.pop(key, None)
                self.touched.discard(key)


class Versioned(ObjectWorker):
    """A bucket that keeps versions."""

    kind = "versioned"
    bucket = VERSIONED

    def step(self) -> None:
        self.chance.choices((self.put, self.delete, self.delete_version, self.restore), (50, 12, 25, 8))[0]()

    def key(self) -> str:
        keys = [f"{self.bucket}/{self.name}/{number:02d}" for number in range(KEYS // 2)]
        return self.chance.choice([key for key in keys if self.usable(key)])

    def put(self) -> None:
        key = self.key()
        state = self.state(key)
        if len(state) >= MOST_VERSIONS:
            self.delete_one(key, self.chance.randrange(len(state)))
            return
        data, about = self.data(), replace(self.description(), tags=self.tagged())
        new = made_of(data, about)
        self.change(
            key, "PUT version", (new, *state), lambda: self.doors.s3("PUT", key, data, headers=s3_headers(about)),
            lambda answer: (replace(new, vid=vid_of(answer)), *state),
        )  # fmt: skip

    def delete(self) -> None:
        key = self.key()
        state = self.state(key)
        marker = Version(MARKER, 0)
        self.change(
            key, "DELETE (marker)", (marker, *state), lambda: self.doors.s3("DELETE", key),
            lambda answer: (replace(marker, vid=vid_of(answer)), *state),
        )  # fmt: skip

    def delete_version(self) -> None:
        key = self.key()
        if state := self.state(key):
            self.delete_one(key, self.chance.randrange(len(state)))

    def delete_one(self, key: str, number: int) -> None:
        state = self.state(key)
        after = (*state[:number], *state[number + 1 :])
        query = f"versionId={state[number].vid}"
        self.change(key, "DELETE version", after, lambda: self.doors.s3("DELETE", key, query=query))

    def restore(self) -> None:
        """An old version is copied over the newest."""
        key = self.key()
        state = self.state(key)
        old = [version for version in state[1:] if version.sha != MARKER]
        if not old or len(state) >= MOST_VERSIONS:
            return
        source = self.chance.choice(old)
        new = replace(source, vid="", public=False)
        headers = {"x-amz-copy-source": f"/{key}?versionId={source.vid}"}
        self.change(
            key, "copy of a version", (new, *state), lambda: self.doors.s3("PUT", key, headers=headers),
            lambda answer: (replace(new, vid=vid_of(answer)), *state),
        )  # fmt: skip

    def observe(self, key: str) -> State:
        name = key.partition("/")[2]
        listed = self.doors.s3("GET", self.bucket, query=f"prefix={name.replace('/', '%2F')}&versions=")
        assert listed.status == 200, text_of(listed)
        found: list[Version] = []
        for part in tree(listed.body):
            if part.tag == "DeleteMarker":
                found.append(Version(MARKER, 0, vid=str(part.findtext("VersionId"))))
            elif part.tag == "Version":
                query = f"versionId={part.findtext('VersionId')}"
                answer = self.doors.s3("GET", key, query=query)
                assert answer.status == 200, f"GET {key}?{query}: {text_of(answer)}"
                found.append(seen_s3(answer, tags_of(self.doors, key, answer, query), None))
        return tuple(found)


class Large(ObjectWorker):
    """Static large objects of Swift: a manifest over segments."""

    kind = "large"
    bucket = LARGE

    def step(self) -> None:
        if self.chance.random() < 0.7:
            self.build()
        elif (key := self.there()) is not None:
            self.remove(key)

    def ours(self, key: str) -> bool:
        return "/segments/" not in key and super().ours(key)

    def build(self) -> None:
        key = f"{self.bucket}/{self.name}/{self.chance.randrange(4)}"
        if not self.usable(key):
            return
        if self.state(key):
            self.remove(key)
            return
        segments = []
        for _ in range(self.chance.randrange(1, 4)):
            name = f"{self.bucket}/{self.name}/segments/{next(self.fresh)}"
            data = self.data() or b"x"
            after = (made_of(data, replace(self.description(), meta=())),)
            headers = swift_headers(after[0])
            put = partial(self.doors.swift, "PUT", name, data, headers=headers)
            if self.change(name, "Swift PUT", after, put) is None:
                return
            segments.append((name, data))
        about = self.description()
        body = json.dumps([{"path": f"/{name}", "size_bytes": len(data)} for name, data in segments]).encode()
        whole = b"".join(data for _, data in segments)
        etag = hashlib.md5("".join(hashlib.md5(data).hexdigest() for _, data in segments).encode()).hexdigest()
        headers = swift_headers(about)
        self.change(
            key, "SLO", (made_of(whole, about, "", etag),),
            lambda: self.doors.swift("PUT", key, body, "multipart-manifest=put", headers),
        )  # fmt: skip

    def remove(self, key: str) -> None:
        """The manifest with a plain DELETE; its segments stay, and then go one by one."""
        self.change(key, "Swift DELETE", ABSENT, lambda: self.doors.swift("DELETE", key))
        used = [name for name, state in self.states.items() if "/segments/" in name and state and self.usable(name)]
        if any(self.state(k) for k in self.states if self.ours(k)) or key in self.open:
            return
        for name in used:
            self.change(name, "Swift DELETE", ABSENT, partial(self.doors.swift, "DELETE", name))
            if self.state(name) == ABSENT and name not in self.open:
                self.states.pop(name)
                self.touched.discard(name)

    def observe(self, key: str) -> State:
        answer = self.doors.swift("GET", key)
        if answer.status == 404:
            return ABSENT
        assert answer.status == 200, f"GET {key}: {text_of(answer)}"
        about = next((version for state in self.candidates(key) for version in state), Version("", 0))
        return (seen_swift(answer, about),)


class Fading(ObjectWorker):
    """A bucket whose lifecycle rule removes what is older than a day; a day lasts `day` seconds here.

    Before its time an object must be there, a while after it it must be gone; in between both are right."""

    kind = "fading"
    bucket = FADING
    day = 6

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self.born: dict[str, float] = {}

    def step(self) -> None:
        if len(self.born) > 40:
            time.sleep(0.2)
            self.settle_old()
            return
        key = f"{self.bucket}/gone/{self.name}-{next(self.fresh)}"
        data, about = self.data(), self.description()
        self.born[key] = time.time()
        after = (made_of(data, about),)
        self.change(key, "PUT that expires", after, lambda: self.doors.s3("PUT", key, data, headers=s3_headers(about)))
        self.fleet.stopping.wait(0.3)
        self.settle_old()

    def settle_old(self) -> None:
        """Forget what has gone."""
        for key in [key for key, born in self.born.items() if time.time() > born + self.day + 3]:
            self.verify(key)

    def candidates(self, key: str) -> list[Any]:
        old = time.time() > self.born[key] + self.day
        return [*super().candidates(key), *([ABSENT] if old else [])]

    def verify(self, key: str) -> bool:
        super().verify(key)
        if self.state(key) == ABSENT and time.time() > self.born[key] + self.day:
            for known in (self.states, self.born, self.shadow, self.fleet.journal.history):
                known.pop(key, None)
            self.touched.discard(key)
        return True

    def observe(self, key: str) -> State:
        answer = self.doors.s3("GET", key)
        if answer.status == 404:
            return ABSENT
        assert answer.status == 200, f"GET {key}: {text_of(answer)}"
        return (seen_s3(answer, (), None),)

    def overdue(self) -> list[str]:
        """Keys whose objects are still there a good while after their day."""
        names: list[str] = []
        answer = self.doors.s3("GET", self.bucket, query="list-type=2&prefix=gone%2F")
        assert answer.status == 200, text_of(answer)
        there = {f"{self.bucket}/{part.findtext('Key')}" for part in tree(answer.body).iter("Contents")}
        for key in there:
            born = self.born.get(key)
            if born is None or time.time() > born + self.day:
                names.append(key)
        return names

    def extra_checks(self) -> None:
        end = time.monotonic() + 60
        while overdue := self.overdue():
            if time.monotonic() > end:
                self.fleet.violations.add("lifecycle", overdue[0], f"{overdue} should have expired a minute ago")
                return
            time.sleep(0.1)
        for key in [key for key, born in self.born.items() if time.time() > born + self.day]:
            self.verify(key)
