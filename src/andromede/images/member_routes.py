"""Sharing: the projects that may use an image, and their answers."""

from __future__ import annotations

from typing import Any

from andromede.errors import Conflict, Denied, Invalid, NotFound, TooLarge
from andromede.images import store, views
from andromede.images.model import MEMBER_STATUSES, MEMBERS, Image, Member
from andromede.images.service import MOST_MEMBERS, Images, answered, with_member
from andromede.images.targets import ImageCall, member, owned, seen
from andromede.web.access import is_cloud_admin
from andromede.web.routes import Routes

routes: Routes[Images] = Routes()
PATH = "/v2/images/{image_id}/members"
ONE = PATH + "/{member_id}"


def _shared(call: ImageCall) -> Image:
    image = call.services.seen(call)
    if image.visibility != "shared":
        raise Denied(f"Only shared images have members; image {image.id} is {image.visibility}.", "members")
    return image


def _mine(call: ImageCall, image: Image) -> bool:
    return image.project_id == call.who.project_id or is_cloud_admin(call.who)


def _found(call: ImageCall, image: Image, member_id: str) -> Member:
    found = MEMBERS.find(call.services.desk.db, image_id=image.id, member_id=member_id)
    if found is None or not (_mine(call, image) or member_id == call.who.project_id):
        raise NotFound(f"{member_id} not found in the member list of the image {image.id}.", "member")
    return found


@routes.add("GET", PATH, "image:get_members", target=seen)
def list_members(call: ImageCall) -> dict[str, Any]:
    """The members of a shared image; who is one sees itself only."""
    image = _shared(call)
    found = [entry for entry in call.services.members(image.id) if _mine(call, image) or _own(call, entry)]
    return {"members": [views.member(entry) for entry in found], "schema": "/v2/schemas/members"}


def _own(call: ImageCall, entry: Member) -> bool:
    return entry.member_id == call.who.project_id


@routes.add("GET", ONE, "image:get_member", target=seen)
def show_member(call: ImageCall) -> dict[str, Any]:
    """One member."""
    return views.member(_found(call, _shared(call), call.params["member_id"]))


@routes.add("POST", PATH, "image:add_member", body=dict[str, Any], target=owned)
def add_member(call: ImageCall, body: dict[str, Any]) -> dict[str, Any]:
    """Share an image with a project, which then may accept it."""
    image, wanted = _shared(call), body.get("member")
    if not isinstance(wanted, str) or not wanted or len(wanted) > 255:
        raise Invalid(f"member must be the id of a project, not {wanted!r:.80}", "schema")
    with call.services.changing(call, image) as (change, _):
        if len(MEMBERS.select(change.tx, {"image_id": image.id})) >= MOST_MEMBERS:
            raise TooLarge(f"an image has at most {MOST_MEMBERS} members", "members")
        if MEMBERS.find(change.tx, image_id=image.id, member_id=wanted) is not None:
            raise Conflict(f"Image {image.id} is shared with {wanted} already.", "member")
        made = MEMBERS.insert(change.tx, with_member(image, wanted, change.now_us))
    return views.member(made)


@routes.add("PUT", ONE, "image:modify_member", body=dict[str, Any], target=member)
def change_member(call: ImageCall, body: dict[str, Any]) -> dict[str, Any]:
    """The answer of the project with which an image is shared: accepted, rejected or pending."""
    image, status = _shared(call), body.get("status")
    if status not in MEMBER_STATUSES:
        raise Invalid(f"status must be one of {', '.join(MEMBER_STATUSES)}, not {status!r:.80}", "schema")
    found = _found(call, image, call.params["member_id"])
    with call.services.changing(call, image) as (change, _):
        now = answered(found, str(status), change.now_us)
        store.set_member(change.tx, now)
    return views.member(now)


@routes.add("DELETE", ONE, "image:delete_member", status=204, target=owned)
def remove_member(call: ImageCall) -> None:
    """Share it no longer."""
    image = _shared(call)
    found = _found(call, image, call.params["member_id"])
    with call.services.changing(call, image) as (change, _):
        MEMBERS.remove(change.tx, image_id=image.id, member_id=found.member_id)
