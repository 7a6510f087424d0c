"""Audit events of the object service, and how answers come to name the places of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from andromede.audit import HEADER, Draft
from andromede.db import Reach, Tx
from andromede.errors import Error
from andromede.objects.batch import Batch
from andromede.objects.model import Container, Trace, Version
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.commit import Footprint
    from andromede.objects.service import Objects


def label(container: Container, key: str | None = None, shown: str | None = None) -> str:
    """What an event names: `container`, `container/key` or `container/key?v=<shown id>`."""
    if key is None:
        return container.name
    return f"{container.name}/{key}" if shown is None else f"{container.name}/{key}?v={shown}"


def event(container: Container, trace: Trace, what: str, **detail: str | int) -> Draft:
    """A successful write."""
    detail["door"] = trace.door
    return Draft(
        container.project_id, trace.actor_label, trace.action, what, trace.request_id, "success", trace.purpose, detail
    )


def version_event(container: Container, trace: Trace, version: Version, **detail: str | int) -> Draft:
    """A successful write of one version."""
    return event(container, trace, label(container, version.key, version.shown_id), **detail)


def read_event(container: Container, trace: Trace, what: str, outcome: str = "success") -> Draft:
    """A read of a container or an object in it, or the refusal of anything."""
    return Draft(
        container.project_id, trace.actor_label, trace.action, what, trace.request_id, outcome, trace.purpose,
        {"door": trace.door},
    )  # fmt: skip


def reached(objects: Objects, footprint: Footprint, home: Container, read: tuple[Container, str], trace: Trace) -> None:
    """An object was read for a request whose own event goes to the tenant of `home`: when it belongs to another
    tenant, that one gets an event too."""
    container, key = read
    if container.project_id == home.project_id or (container.id, key) in footprint.others:
        return
    footprint.others.add((container.id, key))
    objects.touch_read(container, trace, label(container, key))


def account_event(project_id: str, trace: Trace, outcome: str = "success") -> Draft:
    """An account was read or changed."""
    return Draft(
        project_id, trace.actor_label, trace.action, f"account:{project_id}", trace.request_id, outcome,
        trace.purpose, {"door": trace.door},
    )  # fmt: skip


def answered(objects: Objects, draft: Draft, response: Response) -> Response | Commit[Any]:
    """The answer to a read, naming the place of its event: now, or after the commit that it must wait for."""
    place = objects.place(draft)
    if place is None:
        return Commit(_recording(draft), lambda _: response, reach=Reach.EVENTS)
    response.headers.append((HEADER, place))
    return response


def refused(objects: Objects, draft: Draft, error: Error) -> Commit[Any]:
    """The same for a refusal. Raises it when there is a place in stock."""
    place = objects.place(draft)
    if place is None:

        def render(_: Any) -> NoReturn:
            raise error

        return Commit(_recording(draft), render, reach=Reach.EVENTS)
    error.detail["headers"] = [*error.detail.get("headers", ()), (HEADER, place)]
    raise error


def named(footprint: Footprint, response: Response) -> Response:
    """The answer of a request that has committed already, naming its first event."""
    response.headers.append((HEADER, str(footprint.position)))
    return response


def _recording(draft: Draft) -> Any:
    def work(tx: Tx) -> None:
        Batch.of(tx).drafts.append(draft)

    return work
