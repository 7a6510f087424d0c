"""Bucket policies at the S3 door (API reference, "PutBucketPolicy", "GetBucketPolicyStatus")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Denied
from andromede.objects.access import policy, public
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import element
from andromede.web.stream.message import Commit, Response


@operation("PutBucketPolicy", "PUT", on="bucket", query="policy", action="s3:PutBucketPolicy")
def put_bucket_policy(call: S3Call) -> Commit[Any]:
    """Check and store a policy; a public one is refused under BlockPublicPolicy."""
    call.require()
    data = call.read(policy.MAX_BYTES)
    parsed = policy.parse(data, call.bucket.name, call.bucket.project_id)
    block = public.load(call.bucket.documents.get("public_access_block"))
    if block.block_policy and public.policy_is_public(parsed):
        raise Denied("public policies are blocked by the bucket's BlockPublicPolicy setting", "access")
    return documents.put(call, "policy", data, 204)


@operation("GetBucketPolicy", "GET", on="bucket", query="policy", action="s3:GetBucketPolicy")
def get_bucket_policy(call: S3Call) -> Response:
    """The policy, byte for byte as it was put."""
    call.require()
    data = documents.stored(call, "policy", "policy", "policy")
    return Response(200, [*call.identified(), ("Content-Type", "application/json")], data)


@operation("DeleteBucketPolicy", "DELETE", on="bucket", query="policy", action="s3:DeleteBucketPolicy")
def delete_bucket_policy(call: S3Call) -> Commit[Any]:
    """Remove the policy."""
    call.require()
    return documents.remove(call, "policy")


@operation("GetBucketPolicyStatus", "GET", on="bucket", query="policyStatus", action="s3:GetBucketPolicyStatus")
def get_bucket_policy_status(call: S3Call) -> Response:
    """Is the bucket public by its policy or its ACL, the public access block taken into account?"""
    call.require()
    bucket = call.context.evaluator.bucket(call.bucket)
    by_policy = bucket.policy_is_public and not bucket.block.restrict_buckets
    by_acl = bucket.acl.public and not bucket.block.ignore_acls
    return call.xml("PolicyStatus", element("IsPublic", "true" if by_policy or by_acl else "false"))
