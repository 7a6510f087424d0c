"""Creating, changing and deleting containers and accounts: works that run inside a commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from andromede.errors import Conflict
from andromede.objects import container_store, trail, upload_store, version_store
from andromede.objects.batch import Batch
from andromede.objects.model import Account, Container, ContainerChange, NewContainer, Trace, Versioning

V = TypeVar("V")
INDEX_AT_ONCE = 5000
"""Rows that a commit may put into the listing index; larger containers are prepared beforehand."""


def merged(old: Mapping[str, V], change: Mapping[str, V | None]) -> dict[str, V]:
    """`old` with the change's values; None removes."""
    out = dict(old)
    for name, value in change.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = value
    return out


def create(batch: Batch, new: NewContainer, trace: Trace) -> tuple[Container, bool]:
    """The new container and True, or the project's existing one and False.
    Conflict reason `bucket_taken` when the S3 name must be won and another project has it."""
    existing = container_store.named(batch, new.project_id, new.name)
    if existing is not None:
        return existing.container, False
    s3_name: str | None = new.name if new.want_s3_name != "no" else None
    if s3_name is not None and container_store.s3_named(batch, s3_name) is not None:
        if new.want_s3_name == "must":
            raise Conflict(f"the bucket name {new.name!r} belongs to another project", "bucket_taken", name=new.name)
        s3_name = None
    kek = batch.keys.create_container(batch, new.project_id)
    container = Container(
        batch.take("container"), new.project_id, new.name, s3_name, new.owner_id, batch.now_us, 1, new.versioning,
        new.lock_enabled, new.metadata, new.settings, new.documents,
    )  # fmt: skip
    container_store.insert(batch, container, kek.id)
    batch.drafts.append(trail.event(container, trace, trail.label(container)))
    return container, True


def change(batch: Batch, container_id: int, new: ContainerChange, trace: Trace, prepared: bool = False) -> Container:
    """Merge a change into a container and raise its generation. `prepared`: its rows are in the index."""
    state = batch.state(container_id)
    old = state.container
    versioning = old.versioning if new.versioning is None else new.versioning
    lock_enabled = old.lock_enabled if new.lock_enabled is None else new.lock_enabled
    if versioning is Versioning.OFF and old.versioning is not Versioning.OFF:
        versioning = Versioning.SUSPENDED
    if lock_enabled and versioning is not Versioning.ENABLED:
        raise Conflict("object lock needs versioning, which cannot be suspended with it", "bucket_state")
    if old.lock_enabled and not lock_enabled:
        raise Conflict("object lock cannot be taken off a container", "bucket_state")
    if versioning is not Versioning.OFF and not state.indexed:
        if not prepared:
            after: str | None = ""
            while after is not None:
                after = index_some(batch, container_id, after)
        container_store.set_indexed(batch, container_id, container_store.INDEXED)
    changed = dataclasses.replace(
        old,
        generation=old.generation + 2,
        versioning=versioning,
        lock_enabled=lock_enabled,
        owner_id=old.owner_id if new.owner_id is None else new.owner_id,
        metadata=merged(old.metadata, new.metadata),
        settings=merged(old.settings, new.settings),
        documents=merged(old.documents, new.documents),
    )
    container_store.update(batch, changed)
    batch.changed(container_id)
    batch.drafts.append(trail.event(changed, trace, trail.label(changed)))
    return changed


def begin_indexing(batch: Batch, container_id: int) -> None:
    """Rows written from now on go into the listing index at once."""
    container_store.set_indexed(batch, container_id, container_store.INDEXING)
    batch.changed(container_id)


def index_some(batch: Batch, container_id: int, after: str = "") -> str | None:
    """Put the next older rows into the listing index; where to go on, None at the end."""
    return version_store.index_rows(batch, container_id, after, INDEX_AT_ONCE)


def delete(batch: Batch, container_id: int, trace: Trace) -> None:
    """Remove an empty container with its key; its uploads are aborted. Conflict reason `bucket_not_empty`."""
    state = batch.state(container_id)
    container = state.container
    if version_store.any_row(batch, container_id):
        raise Conflict(
            f"{container.name!r} is not empty: delete every object, version and marker first", "bucket_not_empty"
        )
    for owner in upload_store.drop_container(batch, container_id):
        for part in version_store.parts(batch, owner):
            if part.body is not None:
                batch.drop(part.body.ref, part.body.blob_id)
        upload_store.delete_parts(batch, owner)
    container_store.delete(batch, container_id)
    batch.keys.destroy_container(batch, state.kek)
    batch.changed(container_id)
    batch.drafts.append(trail.event(container, trace, trail.label(container)))


def change_account(
    batch: Batch, project_id: str, metadata: Mapping[str, str | None], settings: Mapping[str, str | None]
) -> Account:
    """Merge a change into an account, which exists from then on."""
    old = container_store.account(batch, project_id)
    changed = Account(
        project_id, True, batch.take("account"), merged(old.metadata, metadata), merged(old.settings, settings)
    )
    container_store.put_account(batch, changed)
    batch.forget_states()
    return changed


def delete_account(batch: Batch, project_id: str) -> None:
    """Forget an account. Conflict reason `account_not_empty` while it holds containers."""
    if container_store.account_usage(batch, project_id).containers:
        raise Conflict("the account still holds containers: delete them first", "account_not_empty")
    container_store.delete_account(batch, project_id)
    batch.forget_states()
