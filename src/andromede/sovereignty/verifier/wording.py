"""A policy in words, and whether it can be met twice."""

from __future__ import annotations

from andromede.ledger.note import Verifier
from andromede.ledger.policy import Policy
from andromede.sovereignty.verifier.report import KIND_NAMES, Report
from andromede.sovereignty.verifier.trust import UNWITNESSED, Trust


def key_words(key: Verifier) -> str:
    return f"{key.name} ({KIND_NAMES[key.kind]}), fingerprint {key.fingerprint}"


def rule_words(policy: Policy, name: str) -> str:
    """What a witness or group must do, in one line."""
    if name not in policy.members:
        return name
    needed, names = policy.members[name]
    return f"{'all' if needed == len(names) else f'at least {needed}'} of {', '.join(names)}"


def splits(policy: Policy) -> bool:
    """Whether two sets of witnesses without a common member both meet the quorum: then a lying operator can show
    two histories, each with a valid quorum of honest witnesses."""
    twice = dict.fromkeys(policy.witnesses, False)
    for group, (needed, names) in policy.members.items():  # members stand before their group
        both = sum(twice.get(name, False) for name in names)
        twice[group] = both >= needed or len(names) - both >= 2 * (needed - both)
    return policy.quorum == "none" or twice.get(policy.quorum, False)


def explain_policy(name: str, trust: Trust) -> Report:
    """A policy file in words. `proven` says no more than that it reads."""
    policy = trust.policy
    lines = [f"log {key_words(key)}" for key in policy.logs]
    for witness, key in policy.witnesses.items():
        lines.append(f"witness {witness}: {key_words(key)} {policy.urls.get(witness, '')}".rstrip())
    lines += [f"not checkable with this library: {key_words(key)}" for key in trust.unchecked]
    lines += [f"group {group}: {rule_words(policy, group)}" for group in policy.members]
    own = {key.public for key in policy.logs}
    lines += [f"WARNING: witness {n} uses the log's own key" for n, k in policy.witnesses.items() if k.public in own]
    if policy.quorum == "none":
        verdict = f"a checkpoint needs a log's signature and no witness ({UNWITNESSED})"
    else:
        verdict = f"a checkpoint needs a log's signature and {rule_words(policy, policy.quorum)}"
        if splits(policy):
            lines.append("WARNING: two sets of witnesses without a common member both meet this policy")
    facts: dict[str, object] = {
        "logs": [str(key) for key in policy.logs],
        "witnesses": {witness: str(key) for witness, key in policy.witnesses.items()},
        "groups": {group: {"needed": k, "members": list(names)} for group, (k, names) in policy.members.items()},
        "quorum": policy.quorum,
        "splits": splits(policy),
    }
    return Report(name, True, verdict, tuple(lines), facts, "POLICY")
