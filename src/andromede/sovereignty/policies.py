"""Whose cosignatures a log needs: the policy of each tenant, or the installation's default.

Stored are C2SP tlog-policy lines without the `log` lines, which follow from the log's own keys. The row of
tenant "" is the default: it holds for the installation's log and for every tenant without a policy of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from andromede.db import Tx
from andromede.errors import Invalid
from andromede.ledger.note import BadNote, Verifier
from andromede.ledger.policy import Policy, parse_policy
from andromede.sovereignty import policy_store
from andromede.sovereignty.policy_store import Read

DEFAULT = ""
NOBODY = "quorum none\n"
LARGEST = 64 * 1024
MOST_WITNESSES = 32
RULE = "# Events keep their content for "
"""How the comment begins that tells the rule of retention; it is made anew at each reading."""
GROUP = "witnesses"
"""The group that `add_witness` and `simple` keep: a majority of all witnesses."""


@dataclass(frozen=True, slots=True)
class Named:
    """A witness as a policy lists it; `url` may be empty: then nobody asks it from here."""

    name: str
    key: Verifier
    url: str = ""


def body(read: Read, tenant: str) -> str:
    """A tenant's lines, else the default's, else none."""
    found = policy_store.policy(read, tenant)
    if found is None and tenant != DEFAULT:
        found = policy_store.policy(read, DEFAULT)
    return NOBODY if found is None else found


def own(read: Read, tenant: str) -> bool:
    """Whether the tenant has a policy of its own."""
    return policy_store.policy(read, tenant) is not None


def parsed(read: Read, tenant: str) -> Policy:
    """The policy that holds for a tenant, without its logs."""
    return parse_policy(body(read, tenant))


def text(read: Read, tenant: str, keys: Sequence[Verifier]) -> str:
    """The whole policy file of a log with these keys."""
    return "".join(f"log {key}\n" for key in keys) + body(read, tenant)


def complete(read: Read, tenant: str, keys: Sequence[Verifier]) -> Policy:
    """The policy that a receipt of this log must satisfy."""
    return replace(parsed(read, tenant), logs=tuple(keys))


def names(read: Read) -> list[str]:
    """Tenants with a policy of their own."""
    return policy_store.policy_tenants(read)


def checked(given: str, keys: Sequence[Verifier] = (), url: Callable[[str], None] | None = None) -> str:
    """The lines to store of a policy file that somebody gives. Its `log` lines must be those of the log
    itself (`keys`); each URL must please `url`. Raises `Invalid` naming the line."""
    if len(given.encode("utf-8", "surrogatepass")) > LARGEST:
        raise Invalid(f"the policy is larger than {LARGEST} bytes; leave out comments and unused witnesses", "policy")
    try:
        policy = parse_policy(given)
    except BadNote as error:
        raise Invalid(f"the policy cannot be read: {error}; its form is c2sp.org/tlog-policy", "policy") from error
    foreign = [key.name for key in policy.logs if key not in keys]
    if foreign:
        raise Invalid(
            f"the policy names the log {foreign[0]}, which is not this one; leave the log lines out: "
            "they follow from the log's own keys",
            "policy",
        )
    if len(policy.witnesses) > MOST_WITNESSES:
        raise Invalid(f"a policy may name at most {MOST_WITNESSES} witnesses", "policy")
    for name in [*policy.witnesses, *policy.members]:
        if len(name) > 255 or not name.isprintable():
            raise Invalid(f"the name {name[:40]!r} is too long or not printable", "policy")
    for where in policy.urls.values():
        _plain_url(where)
        if url is not None:
            url(where)
    lines = (line.strip() for line in given.split("\n"))
    kept = (line for line in lines if line and not line.startswith(RULE) and line.split()[0] != "log")
    return "".join(f"{line}\n" for line in kept)


def _plain_url(url: str) -> None:
    if not url.startswith(("https://", "http://")) or len(url) > 2000 or not url.isascii():
        raise Invalid(f"the witness URL {url[:80]!r} is not an http or https URL", "url")


def store(tx: Tx, tenant: str, given: str, now_us: int) -> None:
    """Replace the policy of a tenant, or the default. Raises `Invalid`."""
    policy_store.put_policy(tx, tenant, checked(given), now_us)


def reset(tx: Tx, tenant: str) -> None:
    """Let the default hold again."""
    policy_store.drop_policy(tx, tenant)


def simple(witnesses: Sequence[Named], quorum: str) -> str:
    """The lines for a list of witnesses; `quorum` is `majority`, `all`, `any`, `none` or a number of them."""
    lines = [f"witness {one.name} {one.key}" + (f" {one.url}" if one.url else "") for one in witnesses]
    if quorum == "majority":
        rule = str(len(witnesses) // 2 + 1)
    elif quorum in ("all", "any") or (quorum.isascii() and quorum.isdigit()):
        rule = quorum
    elif quorum == "none":
        rule = ""
    else:
        raise Invalid(f"quorum {quorum!r} is not majority, all, any, none or a number of witnesses", "policy")
    if not witnesses or not rule:
        if rule and quorum != "majority":
            raise Invalid(f"quorum {quorum} needs witnesses, and none are given", "policy")
        return "".join(f"{line}\n" for line in [*lines, "quorum none"])
    group = f"group {GROUP} {rule} " + " ".join(one.name for one in witnesses)
    return "".join(f"{line}\n" for line in [*lines, group, f"quorum {GROUP}"])


def listed(policy: Policy) -> list[Named]:
    """The witnesses of a policy."""
    return [Named(name, key, policy.urls.get(name, "")) for name, key in policy.witnesses.items()]


def _is_simple(policy: Policy) -> bool:
    """Whether `simple` with a majority would give this policy's quorum."""
    if not policy.witnesses:
        return not policy.members
    needed, members = policy.members.get(GROUP, (0, ()))
    same = set(members) == set(policy.witnesses) and needed == len(policy.witnesses) // 2 + 1
    return policy.quorum == GROUP and same and len(policy.members) == 1


def add_witness(tx: Tx, tenant: str, witness: Named, now_us: int) -> None:
    """Add or replace one witness. A majority of all stays the quorum where it was; a policy with groups of
    its own gets the witness's line only."""
    old = parsed(tx, tenant)
    kept = [one for one in listed(old) if one.name != witness.name]
    if _is_simple(old):
        return store(tx, tenant, simple([*kept, witness], "majority"), now_us)
    line = simple([witness], "none").splitlines()[0]
    rest = [text for text in body(tx, tenant).splitlines() if text.split()[:2] != ["witness", witness.name]]
    store(tx, tenant, "".join(f"{text}\n" for text in [line, *rest]), now_us)


def remove_witness(tx: Tx, tenant: str, name: str, now_us: int) -> bool:
    """Remove one witness; False when the policy does not name it. Raises `Invalid` where a group still
    counts on it."""
    old = parsed(tx, tenant)
    if name not in old.witnesses:
        return False
    if _is_simple(old):
        store(tx, tenant, simple([one for one in listed(old) if one.name != name], "majority"), now_us)
        return True
    rest = [text for text in body(tx, tenant).splitlines() if text.split()[:2] != ["witness", name]]
    store(tx, tenant, "".join(f"{text}\n" for text in rest), now_us)
    return True
