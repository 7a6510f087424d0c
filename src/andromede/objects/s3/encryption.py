"""Default encryption of a bucket: what an upload without SSE headers gets (API reference, "PutBucketEncryption").

All bytes are sealed with or without such a rule; so a bucket that never got one has no configuration to show.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from andromede.errors import Invalid
from andromede.objects.model import Container, Encryption
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import Node, malformed, parse
from andromede.web.stream.message import Commit, Response

ROOT = "ServerSideEncryptionConfiguration"
_DEFAULT = "ApplyServerSideEncryptionByDefault"


def rule(root: Node) -> Encryption:
    """The rule of a configuration. Raises Invalid."""
    only = root.only("Rule").need("Rule").only(_DEFAULT, "BucketKeyEnabled", "BlockedEncryptionTypes")
    if (only.value("BucketKeyEnabled") or "false") not in ("true", "false"):
        raise malformed("<BucketKeyEnabled> must be true or false")
    chosen = only.need(_DEFAULT).only("SSEAlgorithm", "KMSMasterKeyID")
    algorithm, key_id = chosen.need("SSEAlgorithm").text, chosen.value("KMSMasterKeyID")
    if algorithm == "AES256":
        if key_id:
            raise Invalid("a KMSMasterKeyID belongs to the algorithm aws:kms only", "invalid_argument")
        return Encryption("AES256")
    if algorithm != "aws:kms":
        raise malformed("<SSEAlgorithm> must be AES256 or aws:kms")
    if not key_id:
        raise Invalid("the algorithm aws:kms needs a KMSMasterKeyID", "invalid_argument")
    return Encryption("aws:kms", key_id)


@lru_cache(maxsize=1024)
def _parsed(stored: bytes) -> Encryption:
    return rule(parse(stored, ROOT))


def default_encryption(container: Container) -> Encryption | None:
    """What an upload gets that asks for nothing; None when the bucket has no rule."""
    stored = container.documents.get("encryption")
    return _parsed(stored) if stored else None


@operation("PutBucketEncryption", "PUT", on="bucket", query="encryption", action="s3:PutEncryptionConfiguration")
def put_bucket_encryption(call: S3Call) -> Commit[Any]:
    """Check and store the rule."""
    call.require()
    data = call.read()
    rule(parse(data, ROOT))
    return documents.put(call, "encryption", data)


@operation("GetBucketEncryption", "GET", on="bucket", query="encryption", action="s3:GetEncryptionConfiguration")
def get_bucket_encryption(call: S3Call) -> Response:
    """The rule as it was put."""
    call.require()
    return documents.shown(call, "encryption", "encryption_configuration", "default encryption rule")


@operation("DeleteBucketEncryption", "DELETE", on="bucket", query="encryption", action="s3:PutEncryptionConfiguration")
def delete_bucket_encryption(call: S3Call) -> Commit[Any]:
    """Remove the rule."""
    call.require()
    return documents.remove(call, "encryption")
