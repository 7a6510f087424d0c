"""The whole route table of the key manager: version documents, orders, quotas, and the parts in other files."""

from __future__ import annotations

from typing import Any

from andromede.errors import Error, NotFound, Unsupported
from andromede.keymanager import container_routes, reading, secret_routes, views
from andromede.keymanager.bodies import OrderRequest, QuotaRequest
from andromede.keymanager.model import RESOURCES, Quota
from andromede.keymanager.secret_routes import future, own, text_of
from andromede.keymanager.secrets import NewSecret
from andromede.keymanager.service import KeyManager
from andromede.keymanager.views import Json, KeyCall
from andromede.web.api import Mount
from andromede.web.call import Call, Reply
from andromede.web.dialect import Dialect, title_of
from andromede.web.microversions import Microversions, text
from andromede.web.routes import Routes, Target

LOW, HIGH = (1, 0), (1, 1)
MICROVERSIONS = Microversions("key-manager", LOW, HIGH)

routes: Routes[KeyManager] = Routes()
routes.merge(secret_routes.routes)
routes.merge(container_routes.routes)


def _version(call: KeyCall) -> Json:
    media = {"base": "application/json", "type": "application/vnd.openstack.key-manager-v1+json"}
    return {
        "id": "v1", "status": "CURRENT", "min_version": text(LOW), "max_version": text(HIGH),
        "updated": "2023-02-10T00:00:00Z", "links": [{"rel": "self", "href": f"{call.base}/v1/"}],
        "media-types": [media],
    }  # fmt: skip


@routes.add("GET", "/", "keymanager:discover", public=True, status=300)
def discover(call: KeyCall) -> Json:
    """The versions of the key manager."""
    return {"versions": [_version(call)]}


@routes.add("GET", "/v1", "keymanager:get_version", public=True)
def get_version(call: KeyCall) -> Json:
    """The one version that there is."""
    return {"version": _version(call)}


# --- orders


def _order_target(call: KeyCall, body: Any) -> Target:
    """An order of another project is not there, as in Barbican."""
    order = call.services.orders.get(call.services.desk.db, call.params["order_id"])
    if order.project_id != call.who.project_id:
        raise NotFound(f"there is no order {order.id}", "order")
    return Target(project_id=order.project_id)


@routes.add(
    "POST", "/v1/orders", "keymanager:create_order", body=OrderRequest, status=202, target=own, slow=True
)  # fmt: skip
def create_order(call: KeyCall, body: OrderRequest) -> Reply:
    """Have a key made: `key` for a symmetric one, `asymmetric` for an RSA pair in a container."""
    wanted = body.meta
    meta = {name: value for name, value in call.json["meta"].items() if name != "passphrase"}
    new = NewSecret(
        text_of(wanted.name), "opaque", wanted.algorithm, wanted.bit_length, wanted.mode,
        future(call, wanted.expiration),
    )  # fmt: skip
    order = call.services.orders.create(call, body.type, meta, new, wanted.passphrase)
    url = views.ref(call, "orders", order.id)
    return Reply({"order_ref": url}, headers=(("Location", url),))


@routes.add("GET", "/v1/orders", "keymanager:list_orders", target=own)
def list_orders(call: KeyCall) -> Json:
    """The project's orders; limit and offset."""
    asked = reading.listing(call, {})
    rows, total = call.services.orders.page(asked)
    return views.listing(call, "orders", ([views.order(call, row) for row in rows], total), asked)


@routes.add("GET", "/v1/orders/{order_id}", "keymanager:get_order", target=_order_target)
def show_order(call: KeyCall) -> Json:
    """An order and what it made."""
    return views.order(call, call.services.orders.get(call.services.desk.db, call.params["order_id"]))


@routes.add("DELETE", "/v1/orders/{order_id}", "keymanager:delete_order", status=204, target=_order_target)
def delete_order(call: KeyCall) -> None:
    """Forget an order; what it made stays."""
    call.services.orders.remove(call, call.params["order_id"])


# --- quotas


@routes.add("GET", "/v1/quotas", "keymanager:get_quotas", target=own)
def get_quotas(call: KeyCall) -> Json:
    """The limits of the caller's project; -1: none."""
    return {"quotas": call.services.quotas.effective(call.services.desk.db, str(call.who.project_id))}


def _limits(one: Quota) -> Json:
    return {name: one.limits.get(name) for name in RESOURCES}


@routes.add("GET", "/v1/project-quotas", "keymanager:list_project_quotas")
def list_project_quotas(call: KeyCall) -> Json:
    """Quotas that were set, for administrators; limit and offset."""
    asked = reading.listing(call, {})
    rows, total = call.services.quotas.all(asked.limit, asked.offset)
    shown = [{"project_id": row.project_id, "project_quotas": _limits(row)} for row in rows]
    return views.listing(call, "project_quotas", (shown, total), asked)


@routes.add("GET", "/v1/project-quotas/{project_id}", "keymanager:get_project_quotas")
def get_project_quotas(call: KeyCall) -> Json:
    """What was set for one project."""
    return {"project_quotas": _limits(call.services.quotas.own(call.params["project_id"]))}


@routes.add(
    "PUT", "/v1/project-quotas/{project_id}", "keymanager:set_project_quotas", body=QuotaRequest, status=204
)  # fmt: skip
def put_project_quotas(call: KeyCall, body: QuotaRequest) -> None:
    """Set the limits of a project; what is absent has the default, which is none."""
    call.services.quotas.set(call, call.params["project_id"], body.project_quotas)


@routes.add("DELETE", "/v1/project-quotas/{project_id}", "keymanager:delete_project_quotas", status=204)
def delete_project_quotas(call: KeyCall) -> None:
    """Give a project the defaults again."""
    call.services.quotas.remove(call, call.params["project_id"])


# --- transport keys


@routes.add("GET", "/v1/transport_keys", "keymanager:list_transport_keys", target=own)
def list_transport_keys(call: KeyCall) -> Json:
    """Keys to wrap payloads with on their way: there are none, TLS protects them."""
    asked = reading.listing(call, {"plugin_name": "plugin_name"})
    return views.listing(call, "transport_keys", ([], 0), asked)


@routes.add("POST", "/v1/transport_keys", "keymanager:create_transport_key")
def create_transport_key(call: KeyCall) -> None:
    """There are none to be made."""
    raise Unsupported("transport keys are not offered: payloads travel under TLS", "transport_key")


# --- the mount


def envelope(status: int, message: str, error: Error, request_id: str) -> Json:
    """`{"code", "title", "description"}`, as Barbican shows errors."""
    return {"code": status, "title": title_of(status), "description": message}


DIALECT = Dialect(
    "barbican",
    envelope,
    {("invalid", "media_type"): 415, ("invalid", "accept"): 406, ("denied", "kms_disabled"): 403},
)
UNTOUCHED = frozenset({"keymanager:get_quotas", "keymanager:list_transport_keys"})


def untouched(call: Call[Any]) -> bool:
    """Limits are the operator's, not a tenant's."""
    return call.action in UNTOUCHED


def mount(service: KeyManager) -> Mount:
    """Barbican under /key-manager."""
    return Mount("/key-manager", "key-manager", routes, service, DIALECT, MICROVERSIONS, untouched=untouched)
