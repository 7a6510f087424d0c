"""The operations on a bucket's documents, ACLs and websites; importing them fills the table."""

from andromede.objects.s3 import (
    acl,
    cors,
    encryption,
    lifecycle,
    logging,
    misc_config,
    ownership,
    policy,
    public_access,
    tagging_bucket,
    website,
)

__all__ = [
    "acl",
    "cors",
    "encryption",
    "lifecycle",
    "logging",
    "misc_config",
    "ownership",
    "policy",
    "public_access",
    "tagging_bucket",
    "website",
]
