"""The operations on a bucket's documents and on ACLs; importing them fills the table."""

from andromede.objects.s3 import (
    acl,
    cors,
    lifecycle,
    ownership,
    policy,
    public_access,
    tagging_bucket,
)

__all__ = ["acl", "cors", "lifecycle", "ownership", "policy", "public_access", "tagging_bucket"]
