"""The Swift door of the object port: place, caller, signed URLs and forms, then the handler."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from andromede.audit import Draft
from andromede.errors import Denied, Error, Unauthenticated, Unsupported
from andromede.objects import trail
from andromede.objects.intake import SMALL
from andromede.objects.model import Container, ListQuery
from andromede.objects.swift import (
    access,
    account,
    bulk_delete,
    bulk_upload,
    container,
    contents,
    copying,
    cors,
    errors,
    formpost,
    info,
    reading,
    slo,
    staticweb,
    symlink,
    tempurl,
    writing,
)
from andromede.objects.swift.answers import dressed
from andromede.objects.swift.call import Call
from andromede.objects.swift.place import parse_path
from andromede.web.stream.message import Commit, Request, Response

if TYPE_CHECKING:
    from andromede.objects.context import Context

Handler = Callable[[Call], "Response | Commit[Any]"]
_CONTAINER_SLASHES = 3


def put_object(call: Call) -> Response | Commit[Any]:
    """PUT of an object: what its headers and query make of it."""
    if call.params.get("multipart-manifest") == "put":
        return slo.put(call)
    if call.version_id is not None:
        return writing.restore(call)
    if call.header("x-symlink-target") is not None:
        return symlink.put(call)
    if call.header("x-copy-from"):
        return copying.put(call)
    return writing.put(call)


def delete_object(call: Call) -> Response | Commit[Any]:
    """DELETE of an object, or of a large object with its segments."""
    if call.params.get("multipart-manifest") == "delete":
        return slo.delete(call)
    return writing.delete(call)


ROUTES: dict[tuple[str, str], Handler] = {
    ("account", "GET"): account.read,
    ("account", "HEAD"): account.read,
    ("account", "POST"): account.change,
    ("account", "DELETE"): account.remove,
    ("container", "GET"): contents.read,
    ("container", "HEAD"): container.head,
    ("container", "PUT"): container.put,
    ("container", "POST"): container.post,
    ("container", "DELETE"): container.delete,
    ("object", "GET"): reading.read,
    ("object", "HEAD"): reading.read,
    ("object", "PUT"): put_object,
    ("object", "POST"): writing.post,
    ("object", "DELETE"): delete_object,
    ("object", "COPY"): copying.copy,
}


def methods(level: str) -> list[str]:
    """What OPTIONS and 405 name."""
    return [method for found, method in ROUTES if found == level] + ["OPTIONS"]


def _event(call: Call, container: Container | None, outcome: str) -> Draft:
    """The event of a read or a refusal: of a container or object, else of the account."""
    trace = call.trace(f"swift:{call.method.title()}{call.place.level.title()}")
    if container is None:
        return trail.account_event(call.place.project_id, trace, outcome)
    label = f"{container.name}/{call.place.key}" if call.place.key else container.name
    return trail.read_event(container, trace, label, outcome)


def _holds_something(call: Call) -> bool:
    """Whether the account of the path has metadata or containers, and so a log."""
    found = call.objects.list_containers(call.place.project_id, ListQuery(limit=1))
    return bool(found.entries) or call.account().exists


class SwiftDoor:
    """One per process. Refusals are `errors.Error`, which the edge hands to `error`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def express(self, request: Request) -> None:
        """There is no short way through this door."""

    def quick(self, request: Request) -> bool:
        """Whether `handle` never waits: a plain request with its small body in memory."""
        if not request.body.buffered or (request.body.length or 0) > SMALL or request.query:
            return False
        if request.method in ("GET", "HEAD", "DELETE"):
            # a listing, of a website too, may hold 10,000 rows
            return request.path.count(b"/") > _CONTAINER_SLASHES and not request.path.endswith(b"/")
        if request.method == "POST":
            return not (request.headers.get("content-type") or "").lower().startswith("multipart/")
        return request.method == "PUT" and "x-copy-from" not in request.headers

    def handle(self, request: Request) -> Response | Commit[Any]:
        """Answer one request."""
        open_answer = info.answer(request.path, request.method, self._context.config)
        if open_answer is not None:
            return dressed(request, open_answer, None, self._context.clock.now_us())
        call = Call(self._context, request, parse_path(request.path))
        if request.method == "OPTIONS":
            place = self._container(call)
            answer = cors.preflight(request, place, methods(call.place.level))
            return dressed(request, answer, None, call.now_us)
        try:
            answered = self._perform(call)
        except (Denied, Unauthenticated) as error:
            return self._refused(call, error)
        if isinstance(answered, Commit):
            render = answered.render
            return dataclasses.replace(answered, render=lambda result: self._dress(call, render(result)))
        return self._accounted(call, self._dress(call, answered))

    def _perform(self, call: Call) -> Response | Commit[Any]:
        signed = None
        access.identify(call)
        if tempurl.present(call):
            signed = tempurl.admit(call)
        elif formpost.present(call):
            return formpost.handle(call)
        answer = self._route(call, signed is not None)
        if signed is not None and isinstance(answer, Response):
            return tempurl.dress(call, signed, answer)
        return answer

    @staticmethod
    def _route(call: Call, signed: bool) -> Response | Commit[Any]:
        if "bulk-delete" in call.params and call.method in ("POST", "DELETE"):
            return bulk_delete.handle(call)
        if "extract-archive" in call.params and call.method == "PUT":
            return bulk_upload.handle(call)
        handler = ROUTES.get((call.place.level, call.method))
        if handler is None:
            allow = [("Allow", ", ".join(methods(call.place.level)))]
            raise Unsupported(f"{call.method} is not allowed here", "method", headers=allow)
        if not signed and staticweb.concerns(call):
            return staticweb.serve(call, handler)
        return handler(call)

    @staticmethod
    def _accounted(call: Call, answer: Response) -> Response | Commit[Any]:
        """The answer with the place of its event, which is left now unless its commits left one."""
        if call.footprint.position is not None:
            return trail.named(call.footprint, answer)
        if call.container is None and not call.at_home:
            return answer
        outcome = "success" if answer.status < 400 else "denied" if answer.status in (401, 403) else "failure"
        return trail.answered(call.objects, _event(call, call.container, outcome), answer)

    @staticmethod
    def _refused(call: Call, error: Error) -> Commit[Any]:
        """Raise the refusal, or commit its event first where something of a tenant was asked for. What was asked
        wrongly leaves none, nor what was asked of an account that holds nothing: a made-up one must not begin a log.
        In one that holds something a container leaves it whether or not it exists, so that the header tells nobody."""
        if call.container is None and not _holds_something(call):
            raise error
        return trail.refused(call.objects, _event(call, call.container, "denied"), error)

    def _dress(self, call: Call, response: Response) -> Response:
        return dressed(call.request, response, call.container, call.now_us)

    def _container(self, call: Call) -> Container | None:
        try:
            return self._context.objects.container(call.place.project_id, call.name) if call.name else None
        except Error:
            return None

    def error(self, request: Request | None, error: BaseException) -> Response:
        """Render a failure; cross-origin readers may see it too."""
        now_us = self._context.clock.now_us()
        if request is None:
            return errors.render(error, "GET", "")
        name, found = "", None
        try:
            place = parse_path(request.path)
            name = place.account
            if request.headers.get("origin"):
                found = self._container(Call(self._context, request, place))
        except Error:
            pass
        return dressed(request, errors.render(error, request.method, name), found, now_us)
