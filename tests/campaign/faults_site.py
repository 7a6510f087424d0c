"""An installation under faults, and what clients do to it: each operation knows what it must have left behind."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from tests.support import postgres
from tests.support.faultshim import Shim
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.processes import processes
from tests.support.sigv4 import Signer

SMALL, LARGE = 3_000, 1_500_000
SECONDS = 45.0
"""How long a client waits for an answer before it calls the request hung."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Status 0: nothing did, `text` says why."""

    status: int
    text: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def word(self) -> str:
        """The outcome in a table: `200`, `503 ServiceUnavailable`, `no answer`."""
        if not self.status:
            return "no answer"
        code = self.text.partition("<Code>")[2].partition("</Code>")[0]
        return f"{self.status} {code}".strip()

    def faults(self) -> list[str]:
        """What is wrong with it as an answer to a request that could not be done."""
        wrong = []
        if self.ok or self.status in (404, 409, 412):
            return wrong
        if self.status not in (503, 507):
            wrong.append(f"{self.word}: {self.text[:200]}")
        elif not any(name.endswith(("request-id", "trans-id")) for name in self.headers):
            wrong.append(f"{self.word} without a request id")
        elif self.status == 503 and "retry-after" not in self.headers:
            wrong.append(f"{self.word} without Retry-After")
        return wrong


@dataclass(slots=True)
class Connection:
    """One kept-alive connection; a broken one is made anew."""

    host: str
    seconds: float = SECONDS
    http: http.client.HTTPConnection | None = None

    def call(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        again = self.http is not None
        try:
            if self.http is None:
                self.http = http.client.HTTPConnection(self.host, timeout=self.seconds)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an early refusal can still be read
                self.http.request(method, target, body, dict(headers))
            answer = self.http.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as failure:
            self.close()
            if again and isinstance(failure, http.client.RemoteDisconnected):  # it had been idle for too long
                return self.call(method, target, body, headers)
            return Answer(0, repr(failure), {})
        found = {name.lower(): value for name, value in answer.getheaders()}
        if found.get("connection", "").lower() == "close":
            self.close()
        return Answer(answer.status, data[:2000].decode("utf-8", "replace"), found, data)

    def close(self) -> None:
        if self.http is not None:
            self.http.close()
            self.http = None


@dataclass(slots=True)
class Faulty(Installation):
    """An installation that a shim reaches into."""

    shim: Shim | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        more = self.shim.environment if self.shim is not None else {}
        return {**Installation.environment.fget(self), **more, **self.extra}  # type: ignore[attr-defined]

    @property
    def dsn(self) -> str:
        """The address of its database."""
        return str(self.settings.get("storage.database") or f"sqlite:///{self.data}/andromede.db")

    @property
    def log_size(self) -> int:
        """Where the next line of its log goes."""
        return (self.data / "log" / "andromede.log").stat().st_size

    def pids(self, role: str) -> list[int]:
        return [pid for pid, found in processes(self.data).items() if found == role]


class Site:
    """Clients of one running installation."""

    def __init__(self, installation: Faulty, seconds: float = SECONDS) -> None:
        self.installation = installation
        self.signer = Signer.of(installation.s3)
        host = urlsplit(installation.objects_url).netloc
        self.objects = Connection(host, seconds)
        self.demo = Keystone.log_in(installation, installation.clouds["andromede"]["auth"])
        self.admin = Keystone.admin(installation)
        self.account = urlsplit(self.demo.endpoint("object-store")).path.rstrip("/")
        self.api = Connection(urlsplit(installation.identity_url).netloc, seconds)
        self.host = host
        self.user = json.loads(self.identity("GET", "/auth/tokens", subject=self.demo.token).body)["token"]["user"][
            "id"
        ]

    def s3(self, method: str, target: str, body: bytes = b"", **more: str) -> Answer:
        payload = hashlib.sha256(body).hexdigest()
        sent = {
            "host": self.host,
            "content-length": str(len(body)),
            **{k.replace("_", "-"): v for k, v in more.items()},
        }
        return self.objects.call(method, target, body, self.signer.headers(method, target, sent, payload))

    def swift(self, method: str, path: str, body: bytes = b"", **more: str) -> Answer:
        sent = {"X-Auth-Token": self.demo.token, **{k.replace("_", "-"): v for k, v in more.items()}}
        return self.objects.call(method, self.account + quote(path), body, sent)

    def identity(
        self, method: str, path: str, body: Any = None, who: Keystone | None = None, subject: str = ""
    ) -> Answer:
        raw = b"" if body is None else json.dumps(body).encode()
        sent = {"X-Auth-Token": (who or self.demo).token, "Content-Type": "application/json"}
        sent |= {"X-Subject-Token": subject} if subject else {}
        return self.api.call(method, "/identity/v3" + path, raw, sent)

    def prepare(self) -> None:
        """Buckets, containers and objects that operations stand on."""
        lock = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        for done in (
            self.s3("PUT", "/box"),
            self.s3("PUT", "/ver"),
            self.s3("PUT", "/ver?versioning=", lock),
            self.swift("PUT", "/crate"),
            self.s3("PUT", "/box/source", content("source", LARGE)),
            self.s3("PUT", "/box/little", content("little", SMALL)),
            self.swift("PUT", "/crate/source", content("source", LARGE)),
        ):
            assert done.ok, f"{done.status} {done.text}"

    def close(self) -> None:
        self.objects.close()
        self.api.close()
        self.demo.http.close()
        self.admin.http.close()


def md5_of(body: bytes) -> str:
    """The value of Content-MD5."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def content(name: str, size: int) -> bytes:
    """Bytes of their own for every name."""
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * (size // 32 + 1))[:size]


@dataclass(frozen=True, slots=True)
class Operation:
    """`run` does it with a name of its own; `seen` tells afterwards: True as done, False as not done; anything else
    raises AssertionError. `before` makes what it needs."""

    name: str
    run: Callable[[Site, str], Answer]
    seen: Callable[[Site, str], bool]
    before: Callable[[Site, str], Answer] | None = None


def _there(answer: Answer, body: bytes) -> bool:
    if answer.status == 404:
        return False
    assert answer.status == 200, f"{answer.word}: {answer.text[:300]}"
    assert answer.body == body, f"{len(answer.body)} bytes that nobody wrote instead of {len(body)}"
    return True


def _multipart(site: Site, name: str) -> Answer:
    begun = site.s3("POST", f"/box/{name}?uploads=")
    if not begun.ok:
        return begun
    upload = next(e.text for e in ElementTree.fromstring(begun.body).iter() if e.tag.endswith("UploadId"))
    part = site.s3("PUT", f"/box/{name}?partNumber=1&uploadId={upload}", content(name, LARGE))
    if not part.ok:
        return part
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    whole = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    done = site.s3("POST", f"/box/{name}?uploadId={upload}", whole)
    if done.status == 200 and b"<Error>" in done.body:
        return Answer(503, done.text, {**done.headers, "retry-after": "-"}, done.body)
    return done


def _bulk(site: Site, name: str) -> Answer:
    keys = "".join(f"<Object><Key>{name}-{n}</Key></Object>" for n in range(3))
    body = f"<Delete>{keys}</Delete>".encode()
    done = site.s3("POST", "/box?delete=", body, content_md5=md5_of(body))
    if done.status == 200 and b"<Error>" in done.body:
        return Answer(503, done.text, {**done.headers, "retry-after": "-"}, done.body)
    return done


def _three(site: Site, name: str) -> Answer:
    return [site.s3("PUT", f"/box/{name}-{n}", content(name, SMALL)) for n in range(3)][-1]


def _none_of_three(site: Site, name: str) -> bool:
    left = [_there(site.s3("GET", f"/box/{name}-{n}"), content(name, SMALL)) for n in range(3)]
    return not any(left)


def _put(where: str, size: int) -> Callable[[Site, str], Answer]:
    return lambda site, name: site.s3("PUT", f"/{where}/{name}", content(name, size))


def _got(where: str, size: int, source: str = "") -> Callable[[Site, str], bool]:
    return lambda site, name: _there(site.s3("GET", f"/{where}/{name}"), content(source or name, size))


def _gone(where: str, size: int) -> Callable[[Site, str], bool]:
    return lambda site, name: not _there(site.s3("GET", f"/{where}/{name}"), content(name, size))


def _tagged(site: Site, name: str) -> bool:
    found = site.s3("GET", "/box?tagging=")
    assert found.status in (200, 404), found.text
    return name in found.text


def _has_credential(site: Site, name: str) -> bool:
    found = site.identity("GET", f"/users/{site.user}/application_credentials?name={name}")
    assert found.status == 200, f"{found.word}: {found.text[:300]}"
    return bool(json.loads(found.body)["application_credentials"])


def _credential(site: Site, name: str) -> Answer:
    body = {"application_credential": {"name": name}}
    return site.identity("POST", f"/users/{site.user}/application_credentials", body)


def _has_project(site: Site, name: str) -> bool:
    found = site.identity("GET", f"/projects?name={name}", who=site.admin)
    assert found.status == 200, f"{found.word}: {found.text[:300]}"
    return bool(json.loads(found.body)["projects"])


def _project(site: Site, name: str) -> Answer:
    return site.identity("POST", "/projects", {"project": {"name": name, "domain_id": "default"}}, site.admin)


def _tag(site: Site, name: str) -> Answer:
    tags = f"<Tagging><TagSet><Tag><Key>k</Key><Value>{name}</Value></Tag></TagSet></Tagging>".encode()
    return site.s3("PUT", "/box?tagging=", tags)


CHANGES = (
    Operation("S3 PUT small", _put("box", SMALL), _got("box", SMALL)),
    Operation("S3 PUT large", _put("box", LARGE), _got("box", LARGE)),
    Operation("S3 multipart", _multipart, _got("box", LARGE)),
    Operation(
        "S3 copy",
        lambda site, name: site.s3("PUT", f"/box/{name}", x_amz_copy_source="/box/source"),
        _got("box", LARGE, "source"),
    ),
    Operation(
        "S3 DELETE", lambda site, name: site.s3("DELETE", f"/box/{name}"), _gone("box", SMALL), _put("box", SMALL)
    ),
    Operation("S3 bulk delete", _bulk, _none_of_three, _three),
    Operation("S3 PUT versioned", _put("ver", SMALL), _got("ver", SMALL)),
    Operation(
        "S3 DELETE versioned",
        lambda site, name: site.s3("DELETE", f"/ver/{name}"),
        _gone("ver", LARGE),
        _put("ver", LARGE),
    ),
    Operation(
        "S3 make bucket",
        lambda site, name: site.s3("PUT", f"/{name}"),
        lambda site, name: site.s3("HEAD", f"/{name}").status == 200,
    ),
    Operation("S3 bucket tags", _tag, _tagged),
    Operation(
        "Swift PUT small",
        lambda site, name: site.swift("PUT", f"/crate/{name}", content(name, SMALL)),
        _got("crate", SMALL),
    ),
    Operation(
        "Swift PUT large",
        lambda site, name: site.swift("PUT", f"/crate/{name}", content(name, LARGE)),
        _got("crate", LARGE),
    ),
    Operation(
        "Swift COPY",
        lambda site, name: site.swift("PUT", f"/crate/{name}", X_Copy_From="/crate/source"),
        _got("crate", LARGE, "source"),
    ),
    Operation(
        "Swift DELETE",
        lambda site, name: site.swift("DELETE", f"/crate/{name}"),
        _gone("crate", LARGE),
        _put("crate", LARGE),
    ),
    Operation(
        "Swift container",
        lambda site, name: site.swift("PUT", f"/{name}"),
        lambda site, name: site.swift("HEAD", f"/{name}").status == 204,
    ),
    Operation("Keystone credential", _credential, _has_credential),
    Operation("Keystone project", _project, _has_project),
)


def _read(source: str, size: int) -> Callable[[Site, str], Answer]:
    return lambda site, name: site.s3("GET", f"/box/{source}")


READS = (
    Operation("S3 GET small", _read("little", SMALL), lambda site, name: True),
    Operation("S3 GET large", _read("source", LARGE), lambda site, name: True),
    Operation("S3 HEAD", lambda site, name: site.s3("HEAD", "/box/little"), lambda site, name: True),
    Operation("S3 list", lambda site, name: site.s3("GET", "/box?list-type=2&max-keys=10"), lambda site, name: True),
    Operation("Swift GET", lambda site, name: site.swift("GET", "/crate/source"), lambda site, name: True),
    Operation("Swift list", lambda site, name: site.swift("GET", "/crate"), lambda site, name: True),
    Operation("Keystone read", lambda site, name: site.identity("GET", "/auth/projects"), lambda site, name: True),
)


@contextlib.contextmanager
def running(
    settings: Mapping[str, object] | None = None, data: Path | None = None, with_shim: bool = True
) -> Iterator[Site]:
    """A prepared site on a fresh installation (in `data`, else in a new folder), taken away at the end."""
    folder = data or Path(tempfile.mkdtemp(prefix="faults-"))
    shim = Shim(folder) if with_shim else None
    chosen = dict(settings or {})
    if data is None and "storage.database" not in chosen and (dsn := postgres.address(folder.name)):
        chosen["storage.database"] = dsn
    installation = Faulty(folder, settings=chosen, shim=shim)
    try:
        with installation:
            site = Site(installation)
            try:
                site.prepare()
                yield site
            finally:
                site.close()
                if shim is not None:
                    shim.clear()
    finally:
        if shim is not None:
            shim.close()
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


def alerts(installation: Installation, since: int = 0) -> list[dict[str, Any]]:
    """The alert lines of the installation's log behind an offset."""
    found = []
    with (installation.data / "log" / "andromede.log").open("rb") as file:
        file.seek(since)
        for line in file.read().decode("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and record.get("alert"):
                    found.append(record)
    return found


def fsck(installation: Installation, deep: bool = True) -> list[dict[str, Any]]:
    """What `andromede fsck` finds wrong (errors only)."""
    done = installation.run("fsck", *(["--deep"] if deep else []), "--json", check=False)
    text = done.stdout[done.stdout.find("{\n") :]
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except ValueError as failure:
        raise AssertionError(f"fsck ended with {done.returncode}: {done.stdout[-3000:]}") from failure
    return [problem for problem in found["problems"] if problem["severity"] == "error"]
