"""The S3 actions that this system knows, and what the roles and ACL permissions give.

Source: "Actions, resources, and condition keys for Amazon S3" (Service Authorization Reference), less
what is not offered here. Swift verbs are mapped to the same names by their door.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


def _named(*names: str) -> frozenset[str]:
    return frozenset(f"s3:{name}" for name in names)


OBJECT_READS = _named(
    "GetObject", "GetObjectVersion", "GetObjectAcl", "GetObjectVersionAcl", "GetObjectAttributes",
    "GetObjectVersionAttributes", "GetObjectTagging", "GetObjectVersionTagging", "GetObjectRetention",
    "GetObjectLegalHold", "GetObjectTorrent", "GetObjectVersionTorrent", "ListMultipartUploadParts",
)  # fmt: skip
OBJECT_WRITES = _named(
    "PutObject", "PutObjectAcl", "PutObjectVersionAcl", "PutObjectTagging", "PutObjectVersionTagging",
    "PutObjectRetention", "PutObjectLegalHold", "DeleteObject", "DeleteObjectVersion", "DeleteObjectTagging",
    "DeleteObjectVersionTagging", "AbortMultipartUpload", "RestoreObject", "BypassGovernanceRetention",
)  # fmt: skip
BUCKET_READS = _named(
    "ListBucket", "ListBucketVersions", "ListBucketMultipartUploads", "GetAccelerateConfiguration", "GetBucketAcl",
    "GetBucketCORS", "GetBucketLocation", "GetBucketLogging", "GetBucketNotification",
    "GetBucketObjectLockConfiguration", "GetBucketOwnershipControls", "GetBucketPolicy", "GetBucketPolicyStatus",
    "GetBucketPublicAccessBlock", "GetBucketRequestPayment", "GetBucketTagging", "GetBucketVersioning",
    "GetBucketWebsite", "GetEncryptionConfiguration", "GetInventoryConfiguration", "GetLifecycleConfiguration",
    "GetReplicationConfiguration", "GetAnalyticsConfiguration", "GetMetricsConfiguration",
    "GetIntelligentTieringConfiguration",
)  # fmt: skip
BUCKET_WRITES = _named(
    "CreateBucket", "DeleteBucket", "DeleteBucketPolicy", "DeleteBucketWebsite", "PutAccelerateConfiguration",
    "PutBucketAcl", "PutBucketCORS", "PutBucketLogging", "PutBucketNotification",
    "PutBucketObjectLockConfiguration", "PutBucketOwnershipControls", "PutBucketPolicy",
    "PutBucketPublicAccessBlock", "PutBucketRequestPayment", "PutBucketTagging", "PutBucketVersioning",
    "PutBucketWebsite", "PutEncryptionConfiguration", "PutInventoryConfiguration", "PutLifecycleConfiguration",
    "PutReplicationConfiguration", "PutAnalyticsConfiguration", "PutMetricsConfiguration",
    "PutIntelligentTieringConfiguration",
)  # fmt: skip
KNOWN = OBJECT_READS | OBJECT_WRITES | BUCKET_READS | BUCKET_WRITES | {"s3:ListAllMyBuckets"}
READS = OBJECT_READS | BUCKET_READS | {"s3:ListAllMyBuckets"}

POLICY_ACTIONS = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
"""What a Deny cannot take from the managers of the owner project, who would lock themselves out for good."""

OWNED_BY_WRITER = _named(
    "GetObject", "GetObjectVersion", "GetObjectAcl", "GetObjectVersionAcl", "GetObjectAttributes",
    "GetObjectVersionAttributes", "PutObjectAcl", "PutObjectVersionAcl",
)  # fmt: skip
"""Rights on an existing object that belong to the object's owner, not to the bucket's."""

BUCKET_ACL = {
    "READ": frozenset({"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}),
    "WRITE": frozenset(
        {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"}
        | {"s3:ListMultipartUploadParts"}
    ),
    "READ_ACP": frozenset({"s3:GetBucketAcl"}),
    "WRITE_ACP": frozenset({"s3:PutBucketAcl"}),
}
OBJECT_ACL = {
    "READ": frozenset(
        {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"}
        | {"s3:GetObjectTorrent"}
    ),
    "WRITE": frozenset[str](),
    "READ_ACP": frozenset({"s3:GetObjectAcl", "s3:GetObjectVersionAcl"}),
    "WRITE_ACP": frozenset({"s3:PutObjectAcl", "s3:PutObjectVersionAcl"}),
}
SWIFT_READ = frozenset({"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes"})
SWIFT_LIST = frozenset({"s3:ListBucket", "s3:ListBucketVersions"})
SWIFT_WRITE = frozenset({"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging"})


class Powers(NamedTuple):
    """What a set of roles gives in its own project: `member` and above everything, `reader` reads, any other
    nothing; `ResellerAdmin` everything in every project."""

    reads: bool
    writes: bool
    manages: bool
    everywhere: bool

    def allow(self, action: str) -> bool:
        """May this be done in the own project?"""
        return self.writes or (self.reads and action in READS)


@lru_cache(maxsize=1024)
def powers(roles: frozenset[str]) -> Powers:
    """The powers of a set of roles, whatever their letter case."""
    held = {role.lower() for role in roles}
    manages = not held.isdisjoint(("admin", "manager"))
    writes = manages or "member" in held
    return Powers(writes or "reader" in held, writes, manages, "reselleradmin" in held)


def role_allows(roles: frozenset[str], action: str) -> bool:
    """May a holder of these roles do this in the own project?"""
    return powers(roles).allow(action)
