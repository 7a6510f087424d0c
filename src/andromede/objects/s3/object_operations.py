"""The operations on buckets as wholes and on objects; importing them fills the table."""

from andromede.objects.s3 import (
    buckets,
    cold,
    copying,
    deleting,
    listing,
    locks,
    post,
    reading,
    tagging,
    uploads,
    uploads_read,
    writing,
)

__all__ = [
    "buckets",
    "cold",
    "copying",
    "deleting",
    "listing",
    "locks",
    "post",
    "reading",
    "tagging",
    "uploads",
    "uploads_read",
    "writing",
]
