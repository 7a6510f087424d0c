"""The streaming HTTP/1.1 edge of the object port.

One loop per worker process parses heads strictly, runs small requests in place and hands large
bodies to threads that use the socket themselves. Dialects see `Request`, and give `Response` or
`Commit`; they block freely (docs/decisions/0009).
"""

from andromede.web.stream.body import Body, BufferedBody, StreamBody
from andromede.web.stream.core import Counters, Parts
from andromede.web.stream.faults import BadRequest, Overloaded, ShortBody
from andromede.web.stream.limits import Limits
from andromede.web.stream.message import (
    Chunk,
    Commit,
    Headers,
    Outcome,
    Request,
    Response,
)
from andromede.web.stream.ports import (
    Access,
    AccessLog,
    Answerer,
    Committer,
    Done,
    done_many,
)
from andromede.web.stream.server import Edge, fast_loop, listen

__all__ = [
    "Access",
    "AccessLog",
    "Answerer",
    "BadRequest",
    "Body",
    "BufferedBody",
    "Chunk",
    "Commit",
    "Committer",
    "Counters",
    "Done",
    "Edge",
    "Headers",
    "Limits",
    "Outcome",
    "Overloaded",
    "Parts",
    "Request",
    "Response",
    "ShortBody",
    "StreamBody",
    "done_many",
    "fast_loop",
    "listen",
]
