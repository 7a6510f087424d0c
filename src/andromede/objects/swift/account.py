"""Accounts: GET, HEAD, POST, DELETE."""

from __future__ import annotations

from andromede.errors import Denied
from andromede.objects.model import Account, Container, ListQuery, Usage
from andromede.objects.swift import listing, metadata, quota
from andromede.objects.swift.access import KEY_NAMES
from andromede.objects.swift.answers import Pairs, empty, listed
from andromede.objects.swift.call import Call
from andromede.objects.swift.info import POLICY
from andromede.objects.swift.times import listed as instant
from andromede.objects.swift.times import timestamp
from andromede.web.stream.message import Commit, Response

CREATED = "created-us"


def headers(call: Call, account: Account) -> Pairs:
    """Counters and metadata; signing keys for those who may change them."""
    usage = call.objects.account_usage(account.project_id)
    counts = {"Container-Count": usage.containers, "Object-Count": usage.objects, "Bytes-Used": usage.bytes}
    found: Pairs = [(f"X-Account-{name}", str(count)) for name, count in counts.items()]
    found += [
        (f"X-Account-Storage-Policy-{metadata.title(POLICY)}-{name}", str(count)) for name, count in counts.items()
    ]
    created = account.settings.get(CREATED)
    found.append(("X-Timestamp", timestamp(int(created) if created else call.now_us)))
    shown = {k: v for k, v in account.metadata.items() if call.is_owner or k not in KEY_NAMES}
    found += metadata.shown(shown, "account")
    for name in quota.NAMES:
        if name in account.settings:
            found.append((f"X-Account-{metadata.title(name)}", account.settings[name]))
            found.append((f"X-Account-Meta-{metadata.title(name)}", account.settings[name]))
    found.append(("Accept-Ranges", "bytes"))
    return found


def read(call: Call) -> Response:
    """GET and HEAD: the containers of the account."""
    call.require_account("s3:ListAllMyBuckets")
    form = listing.chosen_format(call.params, call.header("accept"))
    account = call.account()
    kind = listing.TYPES[form]
    if call.method == "HEAD":
        return Response(204, [("Content-Type", f"{kind}; charset=utf-8"), *headers(call, account)])
    query = listing.parse(call.params)
    page = ListQuery(
        query.prefix, query.delimiter, query.marker, query.end_marker, query.limit, query.reverse
    )  # fmt: skip
    found = call.objects.list_containers(call.place.project_id, page) if query.limit else None
    entries = [_entry(entry) for entry in found.entries] if found else []
    body = listing.render(entries, form, ("account", call.place.account), "container")
    return listed(call.method, body, kind, headers(call, account))


def _entry(entry: tuple[Container, Usage] | str) -> listing.Entry:
    if isinstance(entry, str):
        return {"subdir": entry}
    container, usage = entry
    return {
        "name": container.name,
        "count": usage.objects,
        "bytes": usage.bytes,
        "last_modified": instant(container.created_us),
        "storage_policy": POLICY,
    }


def change(call: Call) -> Commit[Account]:
    """POST: merge metadata. Quotas are the operator's."""
    call.require_account("s3:PutBucketAcl")
    given = metadata.given(call.headers.items(), "account")
    quotas = {name: given.pop(name) for name in quota.NAMES if name in given}
    for name in quota.NAMES:
        if call.header(f"x-remove-account-{name}") is not None:
            quotas[name] = None
        if (value := call.header(f"x-account-{name}")) is not None:
            quotas[name] = value or None
    if quotas and not call.is_reseller:
        raise Denied("only a ResellerAdmin sets the quotas of an account", "quota")
    quota.checked(quotas)
    metadata.check(given, "account")
    account = call.account()
    metadata.check_total(metadata.merged(account.metadata, given))
    settings: dict[str, str | None] = dict(quotas)
    if CREATED not in account.settings:
        settings[CREATED] = str(call.now_us)
    step = call.objects.change_account(
        call.place.project_id, metadata=given, settings=settings, trace=call.trace("swift:PostAccount")
    )
    return step.then(lambda _: empty(204))


def remove(call: Call) -> Response | Commit[None]:
    """DELETE: for a ResellerAdmin; the account must be empty of containers."""
    if not call.is_reseller:
        raise call.refusal("deleting an account")
    step = call.objects.delete_account(call.place.project_id, trace=call.trace("swift:DeleteAccount"))
    return step.then(lambda _: empty(204))
