"""Who may reach what on the API port, written down from the documents and not from the program.

Sources: Keystone's default roles and secure role-based access ("Service API protection", personas system, domain and
project with reader, member, manager, admin), SCS-0302 (domain manager), docs/security-model.md and docs/ledger.md.
The names are those of `callers`; the target is always the victim's.
"""

from __future__ import annotations

EVERYONE = frozenset(
    f"{place} {role}"
    for place, roles in {
        "system": "admin reader member auditor",
        "domain": "admin manager member reader",
        "far domain": "admin manager member reader",
        "project": "manager member reader auditor service",
        "neighbour": "manager member reader auditor service",
        "stranger": "manager member reader auditor service",
    }.items()
    for role in roles.split()
) | {"admin", "far project admin", "unscoped", "victim", "victim unscoped", "trustee", "robot"}

ADMINS = frozenset({"admin", "system admin", "far project admin"})
"""Role admin on the system or on any project manages the installation (secure role-based access, phase 1)."""
READERS = ADMINS | {"system reader", "system member"}
DOMAIN_READERS = frozenset({"domain admin", "domain manager", "domain member", "domain reader"})
DOMAIN_MANAGERS = frozenset({"domain admin", "domain manager"})
OF_ANY_DOMAIN = DOMAIN_READERS | {f"far {name}" for name in DOMAIN_READERS}
SERVICES = frozenset({"project service", "neighbour service", "stranger service"})
SELF = frozenset({"victim", "victim unscoped", "robot", "trustee"})
"""A trust with impersonation acts as its trustor; what a delegation may not do, handlers refuse."""
OWN_NOT_LENT = SELF - {"trustee"}
"""A delegation does not reach the credentials that its maker has besides."""
PROJECT = frozenset({"project manager", "project member", "project reader", "victim", "robot", "trustee"})
PROJECT_AUDITED = PROJECT | {"project auditor"}
NEAR = ("domain ", "project ", "neighbour ")
OF_THE_DOMAIN = frozenset(name for name in EVERYONE if name.startswith(NEAR)) | SELF
"""Whose account or project lies in the victim's domain."""

Table = dict[str, frozenset[str]]


def _of(who: frozenset[str], *actions: str) -> Table:
    return {f"identity:{action}": who for word in actions for action in word.split()}


def _kind(noun: str, plural: str, get: frozenset[str], lists: frozenset[str], write: frozenset[str]) -> Table:
    return {
        **_of(write, f"create_{noun} update_{noun} delete_{noun}"), **_of(get, f"get_{noun}"),
        **_of(lists, f"list_{plural}"),
    }  # fmt: skip


IDENTITY: Table = {
    **_of(SELF | READERS | SERVICES, "validate_token"),
    **_of(SELF | ADMINS, "revoke_token"),
    **_of(EVERYONE, "get_auth_catalog get_auth_projects get_auth_domains get_auth_system"),
    # what belongs to the installation
    **_kind("region", "regions", EVERYONE, EVERYONE, ADMINS),
    **_kind("service", "services", READERS, READERS, ADMINS),
    **_kind("endpoint", "endpoints", READERS, READERS, ADMINS),
    **_kind("policy", "policies", READERS, READERS, ADMINS),
    **_kind("endpoint_group", "endpoint_groups", READERS, READERS, ADMINS),
    **_kind("consumer", "consumers", READERS, READERS, ADMINS),
    **_kind("registered_limit", "registered_limits", EVERYONE, EVERYONE, ADMINS),
    **_kind("limit", "limits", READERS | DOMAIN_READERS | PROJECT, EVERYONE, ADMINS),
    **_of(EVERYONE, "get_limit_model"),
    # domains and what is in them; whoever may list sees no more than the own domain
    **_kind("domain", "domains", READERS | OF_THE_DOMAIN, READERS | OF_ANY_DOMAIN, ADMINS),
    **_of(READERS, "get_domain_config get_domain_config_default"),
    **_of(ADMINS, "create_domain_config update_domain_config delete_domain_config"),
    **_kind(
        "project", "projects", READERS | DOMAIN_READERS | PROJECT, READERS | OF_ANY_DOMAIN, ADMINS | DOMAIN_MANAGERS
    ),
    **_of(READERS | DOMAIN_READERS | PROJECT, "list_project_tags get_project_tag"),
    **_of(ADMINS | DOMAIN_MANAGERS, "create_project_tag update_project_tags delete_project_tag delete_project_tags"),
    **_kind("user", "users", READERS | DOMAIN_READERS | SELF, READERS | OF_ANY_DOMAIN, ADMINS | DOMAIN_MANAGERS),
    **_of(READERS | DOMAIN_READERS | SELF, "list_user_projects list_groups_for_user"),
    **_kind("group", "groups", READERS | DOMAIN_READERS, READERS | OF_ANY_DOMAIN, ADMINS | DOMAIN_MANAGERS),
    **_of(READERS | DOMAIN_READERS, "list_users_in_group check_user_in_group"),
    **_of(ADMINS | DOMAIN_MANAGERS, "add_user_to_group remove_user_from_group"),
    # roles: the victim's is one of its domain
    **_kind("role", "roles", READERS | DOMAIN_READERS, READERS | OF_ANY_DOMAIN, ADMINS),
    **_of(READERS | DOMAIN_READERS, "get_implied_role list_implied_roles check_implied_role"),
    **_of(READERS | OF_ANY_DOMAIN, "list_role_inference_rules list_role_assignments"),
    **_of(ADMINS, "create_implied_role delete_implied_role"),
    **_of(READERS | DOMAIN_READERS, "check_grant list_grants"),
    **_of(ADMINS | DOMAIN_MANAGERS, "create_grant revoke_grant"),
    **_of(READERS, "list_system_grants check_system_grant"),
    **_of(ADMINS, "create_system_grant revoke_system_grant"),
    # what belongs to one person; whoever may list sees the own
    **_kind("credential", "credentials", ADMINS | OWN_NOT_LENT, EVERYONE, ADMINS | OWN_NOT_LENT),
    **_of(ADMINS | SELF, "create_credential"),
    **_of(ADMINS | SELF, "ec2_get_credential ec2_list_credentials ec2_create_credential ec2_delete_credential"),
    **_of(READERS | SELF, "get_application_credential list_application_credentials get_access_rule list_access_rules"),
    **_of(SELF, "create_application_credential create_trust"),
    **_of(ADMINS | SELF, "delete_application_credential delete_access_rule delete_trust"),
    **_of(READERS | SELF, "get_trust list_roles_for_trust get_role_for_trust"),
    **_of(READERS, "list_trusts"),  # all of them; one's own by ?trustor_user_id= or ?trustee_user_id=
}

AUDITORS = ADMINS | {"system auditor"}
LEDGER: Table = {
    **{
        f"sovereignty:get_{word}": AUDITORS | PROJECT_AUDITED
        for word in "checkpoint tile consistency events receipt policy witnesses status roots".split()  # noqa: SIM905
    },
    "sovereignty:set_policy": ADMINS | {"project manager"},
}
"""On the victim's log by name. Role auditor of the system reads every log; a project's own people read theirs."""
