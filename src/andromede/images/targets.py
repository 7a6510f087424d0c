"""What access rules compare with the caller of a request about one image."""

from __future__ import annotations

from typing import Any

from andromede.images.service import Images
from andromede.web.call import Call
from andromede.web.routes import Target

ImageCall = Call[Images]


def own(call: ImageCall, body: Any) -> Target:
    """The caller's own project."""
    return Target(project_id=call.who.project_id)


def seen(call: ImageCall, body: Any) -> Target:
    """Of an image that the caller sees: the caller's own project. NotFound for any other."""
    call.services.seen(call)
    return Target(project_id=call.who.project_id)


def owned(call: ImageCall, body: Any) -> Target:
    """The owner of an image that the caller sees. NotFound for any other."""
    return Target(project_id=call.services.seen(call).project_id)


def member(call: ImageCall, body: Any) -> Target:
    """The project with which an image is shared."""
    call.services.seen(call)
    return Target(project_id=call.params["member_id"])
