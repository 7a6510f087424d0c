"""Containers, their consumers and access lists."""

from __future__ import annotations

from typing import Any

from andromede.errors import NotFound
from andromede.keymanager import reading, views
from andromede.keymanager.bodies import AclRequest, ConsumerRequest, ContainerRequest, SecretRef
from andromede.keymanager.model import Container
from andromede.keymanager.secret_routes import EMPTY, consumers, own, text_of, wish
from andromede.keymanager.secrets import id_of
from andromede.keymanager.service import KeyManager
from andromede.keymanager.views import Json, KeyCall
from andromede.web.call import Reply
from andromede.web.routes import Routes, Target

routes: Routes[KeyManager] = Routes()


def found(call: KeyCall) -> Container:
    """The container of the path."""
    return call.services.containers.get(call.services.desk.db, call.params["container_id"])


def target(call: KeyCall, body: Any) -> Target:
    """Of the container of the path, with its access list."""
    return call.services.acls.target(call, found(call))


@routes.add("POST", "/v1/containers", "keymanager:create_container", body=ContainerRequest, status=201, target=own)
def create_container(call: KeyCall, body: ContainerRequest) -> Reply:
    """A group of secrets: generic, rsa or certificate."""
    members = [(text_of(one.name), id_of(one.secret_ref)) for one in body.secret_refs]
    made = call.services.containers.create(call, text_of(body.name), body.type, members)
    return _made(call, made.id)


def _made(call: KeyCall, container_id: str) -> Reply:
    url = views.ref(call, "containers", container_id)
    return Reply({"container_ref": url}, headers=(("Location", url),))


@routes.add("GET", "/v1/containers", "keymanager:list_containers", target=own)
def list_containers(call: KeyCall) -> Json:
    """Containers that the caller may read: filters name and type; limit and offset."""
    asked = reading.listing(call, {"name": "name", "type": "type"})
    asked.reader = "" if "admin" in call.who.roles else call.who.user_id
    rows, total = call.services.containers.page(asked)
    return views.listing(call, "containers", ([views.container(call, row) for row in rows], total), asked)


@routes.add("GET", "/v1/containers/{container_id}", "keymanager:get_container", target=target)
def show_container(call: KeyCall) -> Json:
    """A container with its secrets and consumers."""
    return views.container(call, found(call))


@routes.add("DELETE", "/v1/containers/{container_id}", "keymanager:delete_container", status=204, target=target)
def delete_container(call: KeyCall) -> None:
    """Remove a container; its secrets stay."""
    call.services.containers.remove(call, call.params["container_id"])


@routes.add(
    "POST", "/v1/containers/{container_id}/secrets", "keymanager:add_member", body=SecretRef, status=201, target=target
)
def add_member(call: KeyCall, body: SecretRef) -> Reply:
    """One more secret in a generic container."""
    container_id = call.params["container_id"]
    call.services.containers.add_member(call, container_id, text_of(body.name), id_of(body.secret_ref))
    return _made(call, container_id)


@routes.add(
    "DELETE", "/v1/containers/{container_id}/secrets", "keymanager:remove_member", body=SecretRef, status=204,
    target=target,
)  # fmt: skip
def remove_member(call: KeyCall, body: SecretRef) -> None:
    """Take a secret out of a generic container."""
    container_id = call.params["container_id"]
    call.services.containers.remove_member(call, container_id, text_of(body.name), id_of(body.secret_ref))


@routes.add("GET", "/v1/containers/{container_id}/consumers", "keymanager:list_consumers", target=target)
def list_consumers(call: KeyCall) -> Json:
    """Who told that they use the container; limit and offset."""
    return consumers(call, call.params["container_id"])


@routes.add("GET", "/v1/containers/{container_id}/consumers/{consumer_id}", "keymanager:get_consumer", target=target)
def show_consumer(call: KeyCall) -> Json:
    """One consumer of the container."""
    known = call.services.secrets.consumers(call.params["container_id"])
    for one in known:
        if one.id == call.params["consumer_id"]:
            return views.consumer(one)
    raise NotFound(f"there is no consumer {call.params['consumer_id']}", "consumer")


@routes.add(
    "POST", "/v1/containers/{container_id}/consumers", "keymanager:add_consumer", body=ConsumerRequest, target=target
)
def add_consumer(call: KeyCall, body: ConsumerRequest) -> Json:
    """Tell that something uses the container; the container with its consumers."""
    container = found(call)
    facts = {"name": body.name, "URL": body.url}
    call.services.secrets.add_consumer(call, (container.id, container.project_id), facts)
    return views.container(call, container)


@routes.add(
    "DELETE", "/v1/containers/{container_id}/consumers", "keymanager:remove_consumer", body=ConsumerRequest,
    target=target,
)  # fmt: skip
def remove_consumer(call: KeyCall, body: ConsumerRequest) -> Json:
    """Tell that something does not use the container any more."""
    container = found(call)
    facts = {"name": body.name, "URL": body.url}
    call.services.secrets.remove_consumer(call, (container.id, container.project_id), facts)
    return views.container(call, container)


@routes.add("GET", "/v1/containers/{container_id}/acl", "keymanager:get_container_acl", target=target)
def get_container_acl(call: KeyCall) -> Json:
    """Who may read the container besides its creator and administrators."""
    return views.acl(call.services.acls.find(call.services.desk.db, call.params["container_id"]))


@routes.add("PUT", "/v1/containers/{container_id}/acl", "keymanager:set_container_acl", body=AclRequest, target=target)
def put_container_acl(call: KeyCall, body: AclRequest) -> Json:
    """Replace the access list; what is absent has its default."""
    return _set_acl(call, body, True)


@routes.add(
    "PATCH", "/v1/containers/{container_id}/acl", "keymanager:set_container_acl", body=AclRequest, target=target
)
def patch_container_acl(call: KeyCall, body: AclRequest) -> Json:
    """Change parts of the access list."""
    return _set_acl(call, body, False)


def _set_acl(call: KeyCall, body: AclRequest, whole: bool) -> Json:
    call.services.acls.set(call, found(call), wish(body), whole)
    return {"acl_ref": views.ref(call, "containers", call.params["container_id"]) + "/acl"}


@routes.add("DELETE", "/v1/containers/{container_id}/acl", "keymanager:delete_container_acl", target=target)
def delete_container_acl(call: KeyCall) -> Reply:
    """Take the access list away."""
    call.services.acls.remove(call, found(call))
    return EMPTY
