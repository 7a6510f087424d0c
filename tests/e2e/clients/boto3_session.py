"""Round trips with whatever boto3 runs this file: `python boto3_session.py NAMES.json BUCKET_OF_MANY SIZE_MIB`.

Credentials and endpoint come from the AWS_ variables. Any difference is an AssertionError; the last line says what ran.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError

Client = Any


def odd_names(s3: Client, bucket: str, names: list[str]) -> None:
    for number, name in enumerate(names):
        body = f"body of {number}".encode()
        s3.put_object(Bucket=bucket, Key=name, Body=body, Metadata={"number": str(number)}, ContentType="text/x-odd")
        got = s3.get_object(Bucket=bucket, Key=name)
        assert got["Body"].read() == body, name
        assert got["Metadata"] == {"number": str(number)}, name
        assert got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"', name
        assert s3.head_object(Bucket=bucket, Key=name)["ContentType"] == "text/x-odd"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
    listed = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert listed == sorted(names, key=str.encode), set(listed) ^ set(names)
    for name in names:
        s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": name})
        want = s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == want, name
    plain = [name for name in names if name.isprintable()]
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in plain]})
    assert {entry["Key"] for entry in gone["Deleted"]} == set(plain)
    for name in {*names, "copied"} - set(plain):
        s3.delete_object(Bucket=bucket, Key=name)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def empty_and_large(s3: Client, bucket: str, mebibytes: int) -> None:
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    got = s3.get_object(Bucket=bucket, Key="empty")
    assert got["ContentLength"] == 0
    assert got["Body"].read() == b""
    body = bytes(range(256)) * 4096 * mebibytes
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=config)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "large", back, Config=config)
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(body).digest()
    for first, last in ((0, 0), (1, 70_000), (len(body) - 5, len(body) - 1), (5 << 20, (5 << 20) + 9)):
        part = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={first}-{last}")
        assert part["Body"].read() == body[first : last + 1]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "large"}, {"Key": "empty"}]})


def refusals(s3: Client, bucket: str) -> None:
    def code(call: Any, **arguments: Any) -> str:
        try:
            call(Bucket=bucket, **arguments)
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])
        return "done"

    assert code(s3.get_object, Key="absent") == "NoSuchKey"
    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    if (
        hasattr(s3.meta, "service_model")
        and "IfNoneMatch" in s3.meta.service_model.operation_model("PutObject").input_shape.members
    ):
        assert code(s3.put_object, Key="one", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="one")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="one")


def versions(s3: Client, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="v", Body=b"first")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="v", Body=b"second")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="v")["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="v", VersionId=first)["Body"].read() == b"first"
    listed = s3.list_object_versions(Bucket=bucket)
    assert [entry["VersionId"] for entry in listed["Versions"]] == [second, first]
    assert [entry["VersionId"] for entry in listed["DeleteMarkers"]] == [marker]
    for version in (first, second, marker):
        s3.delete_object(Bucket=bucket, Key="v", VersionId=version)


def main(names_file: str, many: str, mebibytes: str) -> None:
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=config)
    names = json.loads(Path(names_file).read_text(encoding="utf-8"))
    bucket = f"boto3-{botocore.__version__.replace('.', '-')}-{os.getpid()}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]})
    odd_names(s3, bucket, names)
    empty_and_large(s3, bucket, int(mebibytes))
    refusals(s3, bucket)
    versions(s3, bucket)
    s3.delete_bucket(Bucket=bucket)
    if many:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=many)
        keys = [entry["Key"] for page in pages for entry in page["Contents"]]
        assert keys == [f"key-{number:05d}" for number in range(10_000)]
    print(f"boto3 {boto3.__version__}: {len(names)} names, {mebibytes} MiB, {'10,000 keys' if many else 'no listing'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
