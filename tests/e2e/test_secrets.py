"""Canaries in every secret place: the support bundle, the log and the answers to failed requests hold none of them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.installation import Installation
from tests.support.keystone import Keystone

pytestmark = pytest.mark.timeout(300)
MARK = "canary7f3e"  # in everything that a tenant may keep private, names included
SECRET = "Sec7f3eret"  # in everything that opens something


def leaves(name: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The members of an archive, compressed ones opened as well."""
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    try:
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            for member in archive:
                yield f"{name}/{member.name}", member.name.encode()
                if member.isfile():
                    file = archive.extractfile(member)
                    assert file is not None
                    yield from leaves(f"{name}/{member.name}", file.read())
    except tarfile.ReadError:
        yield name, raw


def key_material(data: Path) -> set[str]:
    """Every long word of the files of keys, and the lines of private TLS keys."""
    found: set[str] = set()
    for path in [*data.glob("keys/*"), *data.glob("keys/*/*"), *data.glob("tls/*key*")]:
        if path.is_file():
            found |= set(re.findall(r"[A-Za-z0-9+/_=-]{32,}", path.read_text("latin-1")))
    return found


class Provocation:
    """Uses and misuses every kind of secret; `answers` is what came back."""

    def __init__(self, own: Installation) -> None:
        self.own = own
        self.answers: list[str] = []
        self.secrets = {own.s3["AWS_SECRET_ACCESS_KEY"], *key_material(own.data)}
        self.secrets |= {cloud["auth"]["password"] for cloud in own.clouds.values()}
        self.http = httpx.Client(verify=ssl.create_default_context(cafile=own.ca), trust_env=False)
        self.user = Keystone.log_in(own, own.clouds["andromede"]["auth"])
        self.admin = Keystone.admin(own)
        self.secrets |= {self.user.token, self.admin.token}
        self.own_words: set[str] = set()  # what S3 repeats to who sent it (SignatureProvided)

    def note(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code < 500, f"{answer.request.url}: {answer.status_code} {answer.text}"
        if answer.status_code >= 400:
            self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    def s3(self) -> None:
        own, bucket = self.own, f"{MARK}-bucket"
        client = boto3.client(
            "s3", endpoint_url=own.objects_url, region_name=own.s3["AWS_REGION"], verify=own.ca,
            aws_access_key_id=own.s3["AWS_ACCESS_KEY_ID"], aws_secret_access_key=own.s3["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )  # fmt: skip
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key=f"{MARK}-key", Body=f"{MARK} body", Metadata={"note": MARK})
        key, other = (f"{SECRET}-{n}".encode().ljust(32, b"k") for n in "12")
        customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
        client.put_object(Bucket=bucket, Key="sse", Body=b"x", **customer)
        self.secrets |= {base64.b64encode(each).decode() for each in (key, other)}
        for wrong in ({}, {**customer, "SSECustomerKey": other}):
            with pytest.raises(ClientError) as caught:
                client.get_object(Bucket=bucket, Key="sse", **wrong)
            self.answers.append(repr(caught.value.response))
        signed = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": f"{MARK}-key"})
        assert self.http.get(signed).status_code == 200
        self.own_words.add(signed.rpartition("Signature=")[2].partition("&")[0])
        self.note(self.http.get(signed.replace("X-Amz-Expires=3600", "X-Amz-Expires=1")))
        self.note(self.http.get(signed.replace(f"{MARK}-key", f"{MARK}-other")))
        for header in (f"AWS4-HMAC-SHA256 {SECRET}", f"Bearer {SECRET}", f"AWS {SECRET}:{SECRET}"):
            self.note(self.http.get(f"{own.objects_url}/{bucket}", headers={"authorization": header}))
        self.note(self.http.put(f"{own.objects_url}/{bucket}?policy", content=f"<{SECRET}".encode()))
        customer_header = {"x-amz-server-side-encryption-customer-key": SECRET}
        self.note(self.http.put(f"{own.objects_url}/{bucket}/x", headers=customer_header, content=b"x"))

    def swift(self) -> None:
        account = self.user.endpoint("object-store")
        head = {"x-auth-token": self.user.token}
        name = f"{MARK}-container"
        self.http.put(f"{account}/{name}", headers=head).raise_for_status()
        self.http.put(f"{account}/{name}/{MARK}", headers=head, content=f"{MARK}".encode()).raise_for_status()
        tempurl = {"x-account-meta-temp-url-key": f"{SECRET}-tempurl"}
        self.http.post(account, headers={**head, **tempurl}).raise_for_status()
        signature = hashlib.sha256(SECRET.encode()).hexdigest()
        self.secrets.add(signature)
        path = urlsplit(account).path
        self.note(self.http.get(f"{self.own.objects_url}{path}/{name}/{MARK}",
                                params={"temp_url_sig": signature, "temp_url_expires": "1999999999"}))  # fmt: skip
        self.note(self.http.get(f"{account}/{name}/{MARK}", headers={"x-auth-token": f"{SECRET}-token"}))
        self.note(self.http.get(f"{account}/{name}/{MARK}"))

    def identity(self) -> None:
        tenant = self.admin.tenant("told", roles=("member",))
        self.secrets |= {tenant.password, tenant.secret}
        self.admin.user("canary", f"{SECRET}-password")
        url = f"{self.own.identity_url}/v3"
        for password in (f"{SECRET}-guess", f"{SECRET}-password"):
            person = {"name": "canary", "domain": {"id": "default"}, "password": password, "extra": SECRET}
            body = {"auth": {"identity": {"methods": ["password"], "password": {"user": person}}}}
            self.note(self.http.post(f"{url}/auth/tokens", json=body))
        token = {"x-auth-token": self.user.token}
        made = self.note(self.http.post(
            f"{url}/users/{self._me()}/application_credentials", headers=token,
            json={"application_credential": {"name": "bot", "secret": f"{SECRET}-app"}},
        ))  # fmt: skip
        assert made.status_code == 201, made.text
        self.note(self.http.post(f"{url}/users", headers=token, json={"user": {"name": 7, "password": SECRET}}))
        self.note(self.http.post(f"{url}/auth/tokens", content=f'{{"auth": "{SECRET}'.encode()))
        self.note(self.http.get(f"{url}/auth/tokens", headers={**token, "x-subject-token": f"{SECRET}-token"}))
        self.note(self.http.get(f"{url}/projects", headers={"x-auth-token": f"gAAAAAB{SECRET}"}))
        totp = {"blob": base64.b32encode(SECRET.encode()).decode(), "type": "totp", "user_id": self._me()}
        self.secrets.add(totp["blob"])
        self.note(self.http.post(f"{url}/credentials", headers=token, json={"credential": totp}))

    def _me(self) -> str:
        answer = self.http.get(
            f"{self.own.identity_url}/v3/auth/tokens",
            headers={"x-auth-token": self.user.token, "x-subject-token": self.user.token},
        )
        return str(answer.json()["token"]["user"]["id"])

    def close(self) -> None:
        for client in (self.http, self.user.http, self.admin.http):
            client.close()


def test_canaries_stay_where_they_were_put(own: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROMEDE_PASSPHRASE", f"{SECRET} phrase")
    monkeypatch.setenv("ANDROMEDE_TEST_UNRELATED", f"{SECRET} environment")
    monkeypatch.setenv("ANDROMEDE_SERVER_LOG_LEVEL", "debug")
    monkeypatch.setenv("ANDROMEDE_SERVER_PUBLIC_OBJECTS_URL", "")
    own.tls = True
    own.start()
    with contextlib.closing(Provocation(own)) as provoke:
        provoke.s3()
        provoke.swift()
        provoke.identity()
        secrets, answers, own_words = provoke.secrets, provoke.answers, provoke.own_words
    os.kill(json.loads(own.run("status", "--json").stdout)["roles"][1]["pid"], 9)  # a death and a restart in the log
    own.run("restart", check=False)
    own.run("support-bundle", "-o", str(tmp_path / "bundle"))
    monkeypatch.setenv("ANDROMEDE_STORAGE_S3_ENDPOINT", f"https://user:{SECRET}@store.example")
    monkeypatch.setenv("ANDROMEDE_STORAGE_DATABASE", f"postgresql://andromede:{SECRET}@127.0.0.1:1/x")
    shown = own.run("check-config").stdout
    monkeypatch.setenv("ANDROMEDE_STORAGE_DATABASE", f"postgres user=andromede password={SECRET}")
    own.run("support-bundle", "-o", str(tmp_path / "malformed"))
    monkeypatch.delenv("ANDROMEDE_STORAGE_DATABASE")

    assert len(secrets) > 15 and len(answers) > 12
    private = {*secrets, *own_words, SECRET, MARK}
    for name in ("bundle", "malformed"):
        members = dict(leaves(name, (tmp_path / name).read_bytes()))
        assert len(members) >= 6
        assert b'"platform"' in b"".join(members.values())
        found = [(where, word[:12]) for where, raw in members.items() for word in private if word.encode() in raw]
        assert found == []
    log = own.log_text()
    assert "role.died" in log
    assert [word[:12] for word in {*secrets, *own_words, SECRET} if word in log] == []
    told = "\n".join(answers)
    assert [word[:12] for word in {*secrets, SECRET} if word in told.replace(f"AWS {SECRET}", "")] == []
    assert SECRET not in shown
