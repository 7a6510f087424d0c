"""Why a request is allowed or denied, rule by rule, for people (`andromede explain access`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from andromede.errors import Invalid, NotFound
from andromede.objects.access.acl import Acl, effective
from andromede.objects.access.actions import BUCKET_READS, BUCKET_WRITES, KNOWN
from andromede.objects.access.evaluator import RULES, Evaluator, ask_of
from andromede.objects.access.request import AccessRequest
from andromede.objects.model import Container, Version
from andromede.web.actor import Actor


def explain(evaluator: Evaluator, request: AccessRequest) -> list[str]:
    """One line per rule in the order of evaluation, the verdict, then the documents that took part."""
    bucket, ask = evaluator.bucket(request.container), ask_of(request)
    who = "anonymous" if request.actor is None else request.actor.label()
    lines = [f"{who} asks for {request.action} on {request.label}"]
    decided = False
    for name, rule in RULES:
        decision = rule(request, bucket, ask)
        if decision is None:
            lines.append(f"  {name}: says nothing")
            continue
        mark = "allows" if decision.allowed else "denies"
        note = "" if not decided else " (already decided above)"
        lines.append(f"  {name}: {mark}: {decision.reason}{note}")
        decided = True
    final = evaluator.allowed(request)
    lines.append(f"verdict: {'allowed' if final.allowed else 'denied'}: {final.reason}")
    lines.append(f"owner project {request.container.project_id}; ownership {bucket.ownership.value}")
    on = [name for name, value in bucket.block.items() if value]
    lines.append(f"public access block: {', '.join(on) if on else 'off'}")
    statements = len(bucket.policy.statements) if bucket.policy is not None else 0
    openness = ", public" if bucket.policy_is_public else ""
    lines.append(f"bucket policy: {statements} statement(s){openness}")
    lines += _acl("bucket ACL", bucket.acl)
    if request.version is not None:
        lines += _acl("object ACL", effective(request.version.attributes.acl, request.version.owner_id))
    for header in ("x-container-read", "x-container-write"):
        lines.append(f"{header}: {request.container.settings.get(header) or '-'}")
    return lines


def _acl(title: str, acl: Acl) -> list[str]:
    grants = [f"{grant.permission} to {grant.grantee.rpartition('/')[2]}" for grant in acl.grants]
    return [f"{title} (owner {acl.owner}): {'; '.join(grants) or 'no grants'}"]


def answer(
    name: str,
    scopes: Sequence[tuple[str, Actor | None]],
    action: str,
    about: tuple[Container, str | None, Version | None],
) -> dict[str, Any]:
    """`andromede explain access` for one action on a bucket or key, in each scope that the user has."""
    container, key, version = about
    known = next((each for each in KNOWN if each.lower() == action.lower()), None)
    if known is None:
        raise NotFound(f"there is no action {action!r} of buckets and objects", "action")
    if (known in BUCKET_READS | BUCKET_WRITES) != (key is None):
        raise Invalid(f"{known} is asked of a {'bucket' if key is not None else 'key: BUCKET/KEY'}", "config")
    evaluator = Evaluator()
    request = AccessRequest(None, known, container, key, version)
    because, reasons = [], []
    for where, actor in scopes:
        asked = structs.replace(request, actor=actor)
        decision = evaluator.allowed(asked)
        reasons.append((decision.allowed, decision.reason))
        because += [f"in {where}:", *explain(evaluator, asked)]
    allowed, rule = max(reasons, default=(False, "the user holds no role anywhere"), key=lambda each: each[0])
    return {
        "user": name, "action": known, "resource": request.label, "allowed": allowed, "rule": rule, "because": because,
    }  # fmt: skip
