"""Bodies of key manager requests (Key Manager API v1)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Short = Annotated[str, Meta(max_length=255)]
SecretType = Literal["symmetric", "public", "private", "passphrase", "certificate", "opaque"]
Bits = Annotated[int, Meta(ge=1, le=32767)]


class SecretRequest(Struct):
    """A new secret, with its payload or without."""

    name: Short | None = None
    secret_type: SecretType = "opaque"
    algorithm: Short | None = None
    bit_length: Bits | None = None
    mode: Short | None = None
    expiration: Short | None = None
    payload: str | None = None
    payload_content_type: Short | None = None
    payload_content_encoding: Literal["base64"] | None = None


class MetadataRequest(Struct):
    """All metadata of a secret."""

    metadata: Annotated[dict[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=128)]


class MetadatumRequest(Struct):
    """One key and its value."""

    key: Short
    value: Annotated[str, Meta(max_length=4096)]


class ReadAcl(Struct, rename={"project_access": "project-access"}):
    """Who may read."""

    users: Annotated[list[Annotated[str, Meta(min_length=1, max_length=255)]], Meta(max_length=1000)] | UnsetType = (
        UNSET
    )
    project_access: bool | UnsetType = UNSET


class AclRequest(Struct, forbid_unknown_fields=True):
    """An access list; `read` is the only operation there is."""

    read: ReadAcl


class SecretRef(Struct):
    """A secret in a container."""

    secret_ref: Short
    name: Short | None = None


class ContainerRequest(Struct):
    """A new container."""

    type: Short
    name: Short | None = None
    secret_refs: Annotated[list[SecretRef], Meta(max_length=1000)] = []


class ConsumerRequest(Struct, rename={"url": "URL"}):
    """A consumer of a container."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    url: Annotated[str, Meta(min_length=1, max_length=500)]


class SecretConsumerRequest(Struct):
    """A consumer of a secret."""

    service: Annotated[str, Meta(min_length=1, max_length=255)]
    resource_type: Annotated[str, Meta(min_length=1, max_length=255)]
    resource_id: Annotated[str, Meta(min_length=1, max_length=36)]


class OrderMeta(Struct):
    """What is ordered; the client's own members are kept as they came."""

    name: Short | None = None
    algorithm: Short | None = None
    bit_length: Bits | None = None
    mode: Short | None = None
    expiration: Short | None = None
    payload_content_type: Short | None = None
    passphrase: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class OrderRequest(Struct):
    """A new order."""

    type: Short
    meta: OrderMeta


class QuotaRequest(Struct):
    """A project's own limits; what is absent or null has the default."""

    project_quotas: dict[str, int | None]
