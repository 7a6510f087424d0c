"""Load beside the objects: buckets and their documents, projects of the identity service, keys that are destroyed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
from dataclasses import replace
from typing import Any

from tests.campaign.crash_doors import Answer, Api, Doors, Lost, seen_s3, text_of
from tests.campaign.crash_load import ObjectWorker, made_of, s3_headers, tree
from tests.campaign.crash_model import ABSENT, State
from tests.campaign.crash_worker import Fleet, Worker
from tests.support.installation import COMMAND
from tests.support.keystone import Tenant
from tests.support.sigv4 import Signer

SEALED = "sealed"
GONE = ("absent",)


class Buckets(Worker):
    """Makes buckets, gives them tags, policies and versioning, and deletes them.

    The state of a bucket: absent, or ("there", tags, policy, versioning)."""

    kind = "buckets"

    def __init__(self, fleet: Fleet, number: int) -> None:
        super().__init__(fleet, number)
        self.fresh = itertools.count()

    def step(self) -> None:
        names = [name for name, state in self.states.items() if state != GONE and self.usable(name)]
        if len(names) < 3:
            name = f"b-{self.name}-{next(self.fresh)}"
            self.change(name, "make bucket", ("there", "", "", ""), lambda: self.doors.s3("PUT", name))
        else:
            name = self.chance.choice(names)
            self.chance.choice((self.tags, self.policy, self.versioning, self.delete))(name)
        self.fleet.stopping.wait(0.05)

    def tags(self, name: str) -> None:
        _, _, policy, versioning = self.state(name)
        value = str(self.chance.randrange(1000))
        body = f"<Tagging><TagSet><Tag><Key>k</Key><Value>{value}</Value></Tag></TagSet></Tagging>".encode()
        after = ("there", value, policy, versioning)
        self.change(name, "bucket tagging", after, lambda: self.doors.s3("PUT", name, body, "tagging="))

    def policy(self, name: str) -> None:
        _, tags, _, versioning = self.state(name)
        sid = f"s{self.chance.randrange(1000)}"
        statement = {
            "Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{name}/never",
        }  # fmt: skip
        body = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
        after = ("there", tags, sid, versioning)
        self.change(name, "bucket policy", after, lambda: self.doors.s3("PUT", name, body, "policy="))

    def versioning(self, name: str) -> None:
        _, tags, policy, _ = self.state(name)
        status = self.chance.choice(("Enabled", "Suspended"))
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
        after = ("there", tags, policy, status)
        self.change(name, "bucket versioning", after, lambda: self.doors.s3("PUT", name, body, "versioning="))

    def delete(self, name: str) -> None:
        self.change(name, "delete bucket", GONE, lambda: self.doors.s3("DELETE", name))
        for old in [name for name, state in self.states.items() if state == GONE and name not in self.open][:-6]:
            self.states.pop(old)
            self.touched.discard(old)

    def state(self, key: str) -> Any:
        return self.states.get(key, GONE)

    def observe(self, key: str) -> Any:
        versioning = self.doors.s3("GET", key, query="versioning=")
        if versioning.status == 404:
            return GONE
        tagging, policy = (self.doors.s3("GET", key, query=query) for query in ("tagging=", "policy="))
        assert versioning.status == 200, text_of(versioning)
        assert {tagging.status, policy.status} <= {200, 404}, f"{text_of(tagging)} {text_of(policy)}"
        sid = json.loads(policy.body)["Statement"][0]["Sid"] if policy.status == 200 else ""
        value = tree(tagging.body).findtext(".//Value") if tagging.status == 200 else ""
        return ("there", str(value), sid, tree(versioning.body).findtext("Status") or "")


class Projects(Worker):
    """Makes, changes and deletes projects over the API port. The state: absent, or ("there", description)."""

    kind = "projects"

    def __init__(self, fleet: Fleet, number: int, admin_token: str) -> None:
        super().__init__(fleet, number)
        self.api = Api(fleet.installation, admin_token, fleet.violations)
        self.fresh = itertools.count()
        self.ids: dict[str, str] = {}

    def state(self, key: str) -> Any:
        return self.states.get(key, GONE)

    def step(self) -> None:
        names = [name for name in self.ids if self.state(name) != GONE and self.usable(name)]
        if len(names) < 3:
            self.make()
        else:
            name = self.chance.choice(names)
            if self.chance.random() < 0.75:
                text = f"text {self.chance.randrange(10**6)}"
                body = {"project": {"description": text}}
                path = f"/identity/v3/projects/{self.ids[name]}"
                self.change(name, "change project", ("there", text), lambda: self.api.call("PATCH", path, body))
            else:
                path = f"/identity/v3/projects/{self.ids[name]}"
                self.change(name, "delete project", GONE, lambda: self.api.call("DELETE", path))
        self.fleet.stopping.wait(self.chance.random())
        for old in [name for name, state in self.states.items() if state == GONE and name not in self.open][:-6]:
            self.states.pop(old)
            self.ids.pop(old, None)
            self.touched.discard(old)

    def make(self) -> None:
        name = f"p-{self.name}-{self.fleet.seed}-{next(self.fresh)}"
        text = f"text {self.chance.randrange(10**6)}"
        body = {"project": {"name": name, "description": text, "domain_id": "default"}}
        answer = self.change(
            name, "make project", ("there", text), lambda: self.api.call("POST", "/identity/v3/projects", body)
        )
        if answer is not None and answer.done:
            self.ids[name] = json.loads(answer.body)["project"]["id"]

    def observe(self, key: str) -> Any:
        answer = self.api.call("GET", f"/identity/v3/projects?name={key}")
        assert answer.status == 200, text_of(answer)
        rows = json.loads(answer.body)["projects"]
        if not rows:
            return GONE
        assert len(rows) == 1, f"{len(rows)} projects of one name"
        self.ids[key] = rows[0]["id"]
        return ("there", rows[0]["description"])


class Commands:
    """Commands of the program, which may be killed like everything else."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.killed = 0

    def run(self, words: list[str], kill_after: float | None = None) -> str:
        """Its output. Raises `Lost` when it was killed, or failed because something else was."""
        data = self.fleet.installation.data
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                [*COMMAND, *words, "--data", str(data)], env=self.fleet.installation.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
            if kill_after is not None:
                try:
                    process.wait(kill_after)
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                    self.killed += 1
            process.wait(120)
            out.seek(0)
            err.seek(0)
            text, said = out.read(), err.read()
        if process.returncode == -signal.SIGKILL:
            raise Lost("the command was killed")
        if process.returncode != 0:
            if "Traceback" in said:
                self.fleet.violations.add("command", " ".join(words), f"ended with {process.returncode}: {said[-800:]}")
            raise Lost(f"{' '.join(words)} ended with {process.returncode}: {said[-300:]}")
        return text


class Keys(ObjectWorker):
    """Named keys of a sacrificial project: made, used, rotated, destroyed. The bytes below a destroyed key must never
    open again, those below any other must."""

    kind = "keys"
    bucket = "sealed"

    def __init__(self, fleet: Fleet, number: int, tenant: Tenant) -> None:
        super().__init__(fleet, number)
        signer = Signer(tenant.access, tenant.secret, fleet.installation.s3["AWS_REGION"])
        self.doors = Doors(fleet.installation, fleet.user, fleet.violations, signer=signer)
        self.bucket = f"sealed-{number}-{tenant.project_id[:8]}"
        self.tenant = tenant
        self.commands = Commands(fleet)
        self.holds: dict[str, list[str]] = {}  # key name -> objects under it
        self.ids: dict[str, str] = {}  # a destroyed key has no name any more

    def prepare(self) -> None:
        answer = self.doors.s3("PUT", self.bucket)
        assert answer.status == 200, text_of(answer)

    def command(self, *words: str) -> Answer:
        """A command as an answer; now and then it is killed at a random moment."""
        kill_after = self.chance.random() * 0.5 if self.chance.random() < 0.25 else None
        return Answer(200, self.commands.run([*words], kill_after).encode(), {})

    def step(self) -> None:
        alive = [name for name in self.holds if self.state(f"key {name}") == ("active",)]
        if len(alive) < 2:
            self.make()
        else:
            name = self.chance.choice(alive)
            self.chance.choices((self.put, self.rotate, self.destroy), (6, 1, 1))[0](name)
        self.fleet.stopping.wait(0.15)

    def state(self, key: str) -> Any:
        return self.states.get(key, GONE if key.startswith("key ") else ABSENT)

    def make(self) -> None:
        name = f"k{next(self.fresh)}"
        self.holds[name] = []
        words = ("keys", "create", self.tenant.project_id, "--name", name)
        self.change(f"key {name}", "keys create", ("active",), lambda: self.command(*words))

    def put(self, name: str) -> None:
        key = f"{self.bucket}/{name}/{self.chance.randrange(3)}"
        if not self.usable(key):
            return
        data, about = self.data() or b"x", self.description()  # an empty body is under no key
        headers = {
            **s3_headers(about), "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": name,
        }  # fmt: skip
        if key not in self.holds[name]:
            self.holds[name].append(key)
        new = replace(made_of(data, about), etag="")
        self.change(key, "PUT under a key", (new,), lambda: self.doors.s3("PUT", key, data, headers=headers))

    def rotate(self, name: str) -> None:
        key_id = self.key_id(name)
        self.change(f"key {name}", "keys rotate", ("active",), lambda: self.command("keys", "rotate", key_id))

    def destroy(self, name: str) -> None:
        """The key and all that lies below it, in one act."""
        key_id = self.key_id(name)
        names = [f"key {name}", *self.holds[name]]
        sealed: list[Any] = [("destroyed",), *[SEALED if self.state(key) else ABSENT for key in self.holds[name]]]
        changes = [
            self.fleet.journal.intend(key, "keys destroy", [after]) for key, after in zip(names, sealed, strict=True)
        ]
        self.touched.update(names)
        try:
            answer = self.command("keys", "destroy", key_id, "--yes")
        except Lost as failure:
            self.lose(changes, failure)
            return
        for change, after in zip(changes, sealed, strict=True):
            self.settle_change(change, after, answer)

    def listed(self) -> list[dict[str, Any]]:
        text = self.commands.run(["keys", "list", "--project", self.tenant.project_id, "--level", "named", "--json"])
        rows: list[dict[str, Any]] = json.loads(text)["keys"]
        return rows

    def key_id(self, name: str) -> str:
        if name not in self.ids:
            self.ids[name] = str(next(row["id"] for row in self.listed() if row["name"] == name))
        return self.ids[name]

    def observe(self, key: str) -> Any:
        if key.startswith("key "):
            name, rows = key[4:], self.listed()
            by_id = [row for row in rows if row["id"] == self.ids.get(name)]
            found = by_id or [row for row in rows if row["name"] == name]
            if found:
                self.ids[name] = str(found[0]["id"])
            return (found[0]["state"],) if found else GONE
        return self.read(key)

    def read(self, key: str) -> Any:
        answer = self.doors.s3("GET", key)
        if answer.status == 404:
            return ABSENT
        if answer.status == 403 and b"was destroyed" in answer.body:
            return SEALED
        assert answer.status == 200, f"GET {key}: {text_of(answer)}"
        state: State = (seen_s3(answer, (), None),)
        return state

    def verify_all(self) -> None:
        """A destruction is whole: when the key is destroyed, nothing below it opens."""
        super().verify_all()
        for name, keys in list(self.holds.items()):
            destroyed = self.state(f"key {name}") == ("destroyed",)
            for key in keys:
                if (self.state(key) == SEALED) != destroyed and self.state(key) != ABSENT:
                    self.fleet.violations.add("keys", key, f"key {name} destroyed: {destroyed}; {self.state(key)}")
            if destroyed and len(self.holds) > 6:
                del self.holds[name]
                for key in (f"key {name}", *keys):
                    self.states.pop(key, None)
