"""Blobs in any S3 store, through botocore (extra `s3`).

Names are the disk engine's: each group of small records becomes one object `log/<source>-<id>`, each body
one object `file/<id>`, uploaded in parts of 8 MiB. The store is trusted with sealed bytes only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from andromede.clock import SystemClock
from andromede.errors import Error, Fatal, Invalid, Unavailable
from andromede.ids import Ids
from andromede.objects.blobs import BlobInfo, BlobReader, BlobWriter, Extent

_PART = 8 << 20
SILENT_SECONDS, REST_SECONDS = 10, 2.0
"""How long the store may be silent; and how long calls are refused at once after it was: they would queue behind one
another, and the writes of everybody with them."""
_FAILURES = (BotoCoreError, ClientError, HTTPClientError, OSError)


@dataclass(frozen=True, slots=True)
class S3Target:
    """Where the blobs go. `credentials`: a file of two lines, access key id and secret access key."""

    endpoint: str
    bucket: str
    region: str
    credentials: Path
    ca: Path | None = None


def _failure(error: BaseException, what: str, name: str) -> Error:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if code in ("NoSuchKey", "404", "NotFound"):
        return Fatal(f"the stored bytes {name} are missing; restore them from a copy", "missing", blob=name)
    return Unavailable(
        f"the blob store failed while {what}; the call may be repeated", "blob_store", cause=f"{name}: {error}"
    )


def _client(target: S3Target) -> Any:
    try:
        access, secret = target.credentials.read_text().split()
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{target.credentials} must hold two lines, the access key id and the secret access key", "config"
        ) from error
    return botocore.session.Session().create_client(
        "s3",
        region_name=target.region,
        endpoint_url=target.endpoint,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        verify=str(target.ca) if target.ca else None,
        config=ClientConfig(
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=SILENT_SECONDS,
            retries={"max_attempts": 2, "mode": "standard"},
            max_pool_connections=32,
        ),
    )


class _Reader:
    """An extent read in order over one streaming answer; a jump starts another."""

    def __init__(self, engine: S3Engine, extent: Extent) -> None:
        self._engine = engine
        self._extent = extent
        self._stream: Any = None
        self._at = -1

    def readinto(self, view: memoryview, offset: int) -> int:
        view = view[: max(0, self._extent.length - offset)]
        if not view:
            return 0
        try:
            if offset != self._at:
                self.close()
                self._stream = self._engine.stream(self._extent, offset)
                self._at = offset
            got = 0
            while got < len(view):
                data = self._stream.read(len(view) - got)
                if not data:
                    break
                view[got : got + len(data)] = data
                got += len(data)
            self._at += got
            return got
        except _FAILURES as error:
            self.close()
            raise _failure(error, "bytes were read", self._extent.name) from error

    def close(self) -> None:
        stream, self._stream, self._at = self._stream, None, -1
        if stream is not None:
            with contextlib.suppress(*_FAILURES):
                stream.close()


class _Writer:
    """A body on its way: one PUT when it fits a part, a multipart upload otherwise."""

    def __init__(self, client: Any, bucket: str, name: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "Key": name}
        self._name = name
        self._held = bytearray()
        self._size = 0
        self._upload = ""
        self._parts: list[dict[str, Any]] = []

    def write(self, view: memoryview) -> None:
        self._held += view
        self._size += len(view)
        if len(self._held) >= _PART:
            try:
                self._send()
            except _FAILURES as error:
                raise _failure(error, "a body was written", self._name) from error

    def _send(self) -> None:
        if not self._upload:
            self._upload = self._client.create_multipart_upload(**self._where)["UploadId"]
        number = len(self._parts) + 1
        answer = self._client.upload_part(
            **self._where, UploadId=self._upload, PartNumber=number, Body=bytes(self._held)
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._held.clear()

    def seal(self) -> Extent:
        try:
            if not self._upload:
                self._client.put_object(**self._where, Body=bytes(self._held))
            else:
                if self._held:
                    self._send()
                self._client.complete_multipart_upload(
                    **self._where, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
                )
        except _FAILURES as error:
            raise _failure(error, "a body was made durable", self._name) from error
        self._upload = ""
        self._held.clear()
        return Extent(self._name, 0, self._size)

    def discard(self) -> None:
        self._held.clear()
        upload, self._upload = self._upload, ""
        if upload:
            with contextlib.suppress(*_FAILURES):
                self._client.abort_multipart_upload(**self._where, UploadId=upload)


class S3Engine:
    """One bucket of an S3 store. `source` names the process in the names of its logs."""

    def __init__(self, target: S3Target, source: str, ids: Ids) -> None:
        self._client = _client(target)
        self._clock = SystemClock()
        self._away_until = 0.0
        self._client.meta.events.register("before-call.s3", self._refuse_away)
        self._client.meta.events.register("after-call-error.s3", self._found_away)
        self._bucket = target.bucket
        self._source = source
        self._ids = ids

    def _refuse_away(self, **_: Any) -> None:
        if self._clock.monotonic() < self._away_until:
            raise Unavailable("the blob store does not answer; the call may be repeated", "blob_store")

    def _found_away(self, **_: Any) -> None:
        self._away_until = self._clock.monotonic() + REST_SECONDS

    def append(self, records: Sequence[Sequence[bytes]]) -> list[Extent]:
        name = f"log/{self._source}-{self._ids.hex()}"
        extents = []
        at = 0
        for pieces in records:
            size = sum(map(len, pieces))
            extents.append(Extent(name, at, size))
            at += size
        body = b"".join(piece for pieces in records for piece in pieces)
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=body)
        except _FAILURES as error:
            raise _failure(error, "records were written", name) from error
        return extents

    def writer(self, blob_id: str, size: int | None) -> BlobWriter:
        return _Writer(self._client, self._bucket, f"file/{blob_id}")

    def stream(self, extent: Extent, offset: int) -> Any:
        """An open answer with the bytes of the extent from `offset` on."""
        first, last = extent.offset + offset, extent.offset + extent.length - 1
        answer = self._client.get_object(Bucket=self._bucket, Key=extent.name, Range=f"bytes={first}-{last}")
        return answer["Body"]

    def open(self, extent: Extent) -> BlobReader:
        try:
            self._client.head_object(Bucket=self._bucket, Key=extent.name)
        except _FAILURES as error:
            raise _failure(error, "a blob was opened", extent.name) from error
        return _Reader(self, extent)

    def read(self, extent: Extent) -> bytes:
        reader = _Reader(self, extent)
        data = bytearray(extent.length)
        try:
            got = reader.readinto(memoryview(data), 0)
        finally:
            reader.close()
        if got != extent.length:
            raise Fatal(f"the stored bytes {extent.name} end too early; restore them from a copy", "damage")
        return bytes(data)

    def remove(self, name: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=name)
        except _FAILURES as error:
            raise _failure(error, "a blob was removed", name) from error

    def listing(self, logs_only: bool = False) -> Iterator[BlobInfo]:
        within = "log/" if logs_only else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=within)
        try:
            for page in pages:
                for item in page.get("Contents", ()):
                    name = item["Key"]
                    if name.startswith(("log/", "file/")):
                        modified = int(item["LastModified"].timestamp() * 1_000_000)
                        yield BlobInfo(name, item["Size"], modified, name.startswith("log/"), True)
        except _FAILURES as error:
            raise _failure(error, "its blobs were listed", self._bucket) from error

    def close(self) -> None:
        self._client.close()
