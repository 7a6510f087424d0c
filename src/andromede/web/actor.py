"""Who asks: the identity that every door puts into its calls."""

from __future__ import annotations

from dataclasses import dataclass

from andromede.web import globs


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller and the scope of its credential.

    Exactly one of `project_id`, `domain_id`, `system` describes the scope; none of them: unscoped.
    `roles` holds role names, implied ones included. `access_rules`: None means unrestricted, else
    the (service, method, path pattern) triples of an application credential. `via` names how the
    caller proved itself: password, token, application_credential, totp, trust, ec2, tempurl, formpost.
    """

    user_id: str
    user_name: str
    user_domain_id: str
    roles: frozenset[str] = frozenset()
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    via: str = "token"
    credential_id: str | None = None
    expires_us: int | None = None
    access_rules: tuple[tuple[str, str, str], ...] | None = None

    def covers(self, service: str, method: str, path: str) -> bool:
        """Whether the access rules allow a request to a service of this catalog type; without rules all are."""
        return self.access_rules is None or any(
            rule_service == service and rule_method == method and globs.fits(rule_path, path)
            for rule_service, rule_method, rule_path in self.access_rules
        )

    def label(self) -> str:
        """The form that audit events carry: `user:<id>`."""
        return f"user:{self.user_id}"


ANONYMOUS_LABEL = "anonymous"
"""The actor of audit events for requests without a credential."""
