"""The S3 door of the object port: route, authenticate, open the bucket, call the handler."""

from __future__ import annotations

from typing import Any

from andromede.errors import Denied, Error
from andromede.ids import request_id
from andromede.objects import trail
from andromede.objects.context import Context
from andromede.objects.intake import SMALL
from andromede.objects.s3 import bucket_operations, cors, errors, object_operations, operations, place
from andromede.objects.s3.auth import Authentication
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.express import Express
from andromede.objects.s3.opening import open_bucket
from andromede.web.stream.message import Commit, Request, Response

UNTOUCHED = frozenset({"Preflight", "PreflightObject"})
"""Operations that show nothing of a tenant's data and leave no event: a browser asks, unsigned, what the bucket's
CORS rules allow its page. All others leave one; a test walks the table."""


class S3Door:
    """One per process. `handle` answers or asks for a commit; every refusal is an `errors.Error` that the
    edge hands to `error`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._authentication = Authentication(context)
        self._express = Express(context, self._authentication)

    def express(self, request: Request) -> Response | Commit[Any] | None:
        """The short way."""
        return self._express.answer(request)

    def quick(self, request: Request) -> bool:
        """Whether `handle` never waits: a plain object request with its small body in memory. Buckets are not
        plain: a listing may hold 1,000 rows."""
        path = request.path
        if request.query or not 0 < path.find(b"/", 1) < len(path) - 1:
            return False
        if not request.body.buffered or (request.body.length or 0) > SMALL:
            return False
        if request.method in ("GET", "HEAD", "DELETE"):
            return True
        return request.method == "PUT" and "x-amz-copy-source" not in request.headers

    def handle(self, request: Request) -> Response | Commit[Any]:
        """Answer one request."""
        where = place.locate(request, self._context.config)
        call = S3Call(self._context, request, where, place.parse_query(request.query))
        call.authentication = self._authentication
        try:
            if request.method != "OPTIONS":
                self._authentication.admit(call)
            answer = cors.decorated(call, self._perform(call))
        except Error as error:
            cors.refused(call, error)
            return self._refused(call, error)
        return answer if isinstance(answer, Commit) else self._accounted(call, answer)

    def _perform(self, call: S3Call) -> Response | Commit[Any]:
        request = call.request
        call.operation = operations.find(
            request.method, call.place.on, call.query, "x-amz-copy-source" in request.headers
        )
        if call.operation.opens and call.place.bucket is not None:
            open_bucket(call)
        return call.operation.handler(call)

    @staticmethod
    def _accounted(call: S3Call, answer: Response) -> Response | Commit[Any]:
        """The answer with the place of its event, which is left now unless its commits left one."""
        if call.footprint.position is not None:
            return trail.named(call.footprint, answer)
        if call.operation.name in UNTOUCHED:
            return answer
        if call.container is not None:
            draft = trail.read_event(call.container, call.trace(), call.label(), call.outcome)
        elif call.operation.on == "service":
            draft = trail.account_event(call.project_id, call.trace())
        else:
            return answer
        return trail.answered(call.objects, draft, answer)

    @staticmethod
    def _refused(call: S3Call, error: Error) -> Commit[Any]:
        """Raise the refusal, or commit its event first. What was asked wrongly, or of what is not there, leaves
        none."""
        known = isinstance(error, Denied) and hasattr(call, "operation") and call.operation.name not in UNTOUCHED
        if known and call.container is not None:
            draft = trail.read_event(call.container, call.trace(), call.label(), "denied")
        elif known and not call.operation.opens and call.actor is not None and call.actor.project_id is not None:
            draft = trail.account_event(call.actor.project_id, call.trace(), "denied")
        else:
            raise error
        return trail.refused(call.objects, draft, error)

    def error(self, request: Request | None, error: BaseException) -> Response:
        """Render a failure."""
        return errors.render(request, error, "" if request is not None else request_id(self._context.ids))


__all__ = ["S3Door", "bucket_operations", "object_operations"]
