"""The S3 door of the object port: route, authenticate, open the bucket, call the handler."""

from __future__ import annotations

from typing import Any

from andromede.errors import Denied, Error
from andromede.objects.context import Context
from andromede.objects.s3 import bucket_operations, cors, errors, object_operations, operations, place
from andromede.objects.s3.auth import Authentication
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.opening import open_bucket
from andromede.web.stream.message import Commit, Request, Response

QUICK_BODY = 64 * 1024


class S3Door:
    """One per process. `handle` answers or asks for a commit; every refusal is an `errors.Error` that the
    edge hands to `error`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._authentication = Authentication(context)

    def quick(self, request: Request) -> bool:
        """Whether `handle` never waits: a plain object request with its small body in memory. Buckets are not
        plain: a listing may hold 1,000 rows."""
        path = request.path
        if request.query or not 0 < path.find(b"/", 1) < len(path) - 1:
            return False
        if not request.body.buffered or (request.body.length or 0) > QUICK_BODY:
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
            return cors.decorated(call, self._perform(call))
        except Error as error:
            cors.refused(call, error)
            raise

    def _perform(self, call: S3Call) -> Response | Commit[Any]:
        request = call.request
        call.operation = operations.find(
            request.method, call.place.on, call.query, "x-amz-copy-source" in request.headers
        )
        try:
            if call.operation.opens and call.place.bucket is not None:
                open_bucket(call)
            answer = call.operation.handler(call)
        except Denied as refusal:
            self._note_refusal(call, refusal)
            raise
        if isinstance(answer, Response) and not call.recorded and call.container is not None:
            call.objects.touch_read(call.container, call.trace(), call.label())
        return answer

    @staticmethod
    def _note_refusal(call: S3Call, refusal: Error) -> None:
        if call.container is not None:
            call.objects.touch_read(call.container, call.trace(), call.label(), outcome="denied")

    def error(self, request: Request | None, error: BaseException) -> Response:
        """Render a failure."""
        return errors.render(request, error)


__all__ = ["S3Door", "bucket_operations", "object_operations"]
