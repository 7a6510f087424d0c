"""Sub-resources of buckets whose feature is not offered: they say so, or show that it is off.

API reference, "GetBucketAccelerateConfiguration", "GetBucketRequestPayment",
"GetBucketNotificationConfiguration", "GetBucketReplication".
"""

from __future__ import annotations

from andromede.errors import NotFound, Unsupported
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import element
from andromede.web.stream.message import Response


def _not_offered(what: str) -> Unsupported:
    return Unsupported(f"{what} is not offered by this installation; nothing was changed", "operation")


@operation("GetBucketAccelerate", "GET", on="bucket", query="accelerate", action="s3:GetAccelerateConfiguration")
def get_accelerate(call: S3Call) -> Response:
    """Never on."""
    call.require()
    return call.xml("AccelerateConfiguration", "")


@operation("PutBucketAccelerate", "PUT", on="bucket", query="accelerate", action="s3:PutAccelerateConfiguration")
def put_accelerate(call: S3Call) -> Response:
    """`Suspended` is what it is already; `Enabled` is refused."""
    call.require()
    root = call.read_xml("AccelerateConfiguration").only("Status")
    if root.value("Status") != "Suspended":
        raise _not_offered("transfer acceleration")
    return call.empty()


@operation("GetBucketRequestPayment", "GET", on="bucket", query="requestPayment", action="s3:GetBucketRequestPayment")
def get_request_payment(call: S3Call) -> Response:
    """The owner pays."""
    call.require()
    return call.xml("RequestPaymentConfiguration", element("Payer", "BucketOwner"))


@operation("PutBucketRequestPayment", "PUT", on="bucket", query="requestPayment", action="s3:PutBucketRequestPayment")
def put_request_payment(call: S3Call) -> Response:
    """`BucketOwner` is what it is already; `Requester` is refused."""
    call.require()
    root = call.read_xml("RequestPaymentConfiguration").only("Payer")
    if root.value("Payer") != "BucketOwner":
        raise _not_offered("payment by the requester")
    return call.empty()


@operation("GetBucketNotification", "GET", on="bucket", query="notification", action="s3:GetBucketNotification")
def get_notification(call: S3Call) -> Response:
    """No events are sent anywhere."""
    call.require()
    return call.xml("NotificationConfiguration", "")


@operation("PutBucketNotification", "PUT", on="bucket", query="notification", action="s3:PutBucketNotification")
def put_notification(call: S3Call) -> Response:
    """An empty configuration, which switches events off, is accepted; any other is refused."""
    call.require()
    if call.read_xml("NotificationConfiguration").children:
        raise _not_offered("event notification")
    return call.empty()


@operation("GetBucketReplication", "GET", on="bucket", query="replication", action="s3:GetReplicationConfiguration")
def get_replication(call: S3Call) -> Response:
    """There is none."""
    call.require()
    raise NotFound(f"bucket {call.bucket.name} has no replication configuration", "replication")


@operation("PutBucketReplication", "PUT", on="bucket", query="replication", action="s3:PutReplicationConfiguration")
def put_replication(call: S3Call) -> Response:
    """Refused."""
    call.require()
    raise _not_offered("replication")


@operation(
    "DeleteBucketReplication", "DELETE", on="bucket", query="replication", action="s3:PutReplicationConfiguration"
)
def delete_replication(call: S3Call) -> Response:
    """Nothing to remove: 204."""
    call.require()
    return call.empty(204)
