"""Who may do what: the access rules of the identity service, after Keystone's secure role-based access and
the domain manager of SCS-0302. `andromede explain access` prints this table.

`admin` implies `manager`, `member` and `reader`, so a row names the least role that suffices.
"""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

ANYONE = Grant("public")
USERS = Grant("any")
SELF = Grant("self")
ADMIN = Grant("cloud", "admin")
READER = Grant("cloud", "reader")
SERVICE = Grant("role", "service")
D_ADMIN = Grant("domain", "admin")
D_MANAGER = Grant("domain", "manager")
D_READER = Grant("domain", "reader")
D_GRANT = Grant(
    "domain", "manager", "user, target and role all of that domain; role neither admin nor another high one"
)
P_READER = Grant("project", "reader")

Rules = dict[str, tuple[Grant, ...]]


def _crud(noun: str, plural: str, read: tuple[Grant, ...], write: tuple[Grant, ...]) -> Rules:
    """Rows of a plain resource."""
    rows = {f"identity:{verb}_{noun}": write for verb in ("create", "update", "delete")}
    return {**rows, f"identity:get_{noun}": read, f"identity:list_{plural}": read}


def _one(*grants: Grant, actions: str) -> Rules:
    return {f"identity:{action}": grants for action in actions.split()}


_AUTH: Rules = {
    **_one(ANYONE, actions="discover authenticate"),
    **_one(SELF, READER, SERVICE, actions="validate_token"),
    **_one(SELF, ADMIN, actions="revoke_token"),
    **_one(USERS, actions="get_auth_catalog get_auth_projects get_auth_domains get_auth_system"),
    **_one(ANYONE, actions="change_password"),
}

_PRINCIPALS: Rules = {
    **_crud("domain", "domains", (READER, D_READER), (ADMIN,)),
    **_one(READER, D_READER, Grant("self", note="whose account or project lies in it"), actions="get_domain"),
    **_one(ADMIN, actions="create_domain_config update_domain_config delete_domain_config"),
    **_one(READER, actions="get_domain_config get_domain_config_default"),
    **_crud("project", "projects", (READER, D_READER), (ADMIN, D_MANAGER)),
    **_one(READER, D_READER, P_READER, actions="get_project"),
    **_one(READER, D_READER, SELF, actions="list_user_projects"),
    **_one(READER, D_READER, P_READER, actions="list_project_tags get_project_tag"),
    **_one(ADMIN, D_MANAGER, actions="create_project_tag update_project_tags delete_project_tag"),
    **_one(ADMIN, D_MANAGER, actions="delete_project_tags"),
    **_crud("user", "users", (READER, D_READER), (ADMIN, D_MANAGER)),
    **_one(READER, D_READER, SELF, actions="get_user"),
    **_crud("group", "groups", (READER, D_READER), (ADMIN, D_MANAGER)),
    **_one(READER, D_READER, SELF, actions="list_groups_for_user"),
    **_one(READER, D_READER, actions="list_users_in_group"),
    **_one(READER, Grant("domain", "reader", "user and group both of that domain"), actions="check_user_in_group"),
    **_one(
        ADMIN,
        Grant("domain", "manager", "user and group both of that domain"),
        actions="add_user_to_group remove_user_from_group",
    ),
}

_ROLES: Rules = {
    **_crud("role", "roles", (READER, D_READER), (ADMIN,)),
    **_one(
        READER, D_READER, actions="get_implied_role list_implied_roles check_implied_role list_role_inference_rules"
    ),
    **_one(ADMIN, actions="create_implied_role delete_implied_role"),
    **_one(READER, D_READER, actions="check_grant list_grants"),
    **_one(ADMIN, D_GRANT, actions="create_grant revoke_grant"),
    **_one(READER, actions="list_system_grants check_system_grant"),
    **_one(ADMIN, actions="create_system_grant revoke_system_grant"),
    **_one(READER, D_READER, actions="list_role_assignments"),
}

_CREDENTIALS: Rules = {
    **_crud("credential", "credentials", (ADMIN, SELF), (ADMIN, SELF)),
    **_one(ADMIN, SELF, actions="ec2_get_credential ec2_list_credentials"),
    **_one(ADMIN, SELF, actions="ec2_create_credential ec2_delete_credential"),
    **_one(READER, SELF, actions="get_application_credential list_application_credentials"),
    **_one(SELF, actions="create_application_credential"),
    **_one(ADMIN, SELF, actions="delete_application_credential"),
    **_one(READER, SELF, actions="get_access_rule list_access_rules"),
    **_one(ADMIN, SELF, actions="delete_access_rule"),
    **_one(Grant("self", note="as trustor"), actions="create_trust"),
    **_one(READER, Grant("self", note="as trustor or trustee"), actions="get_trust list_trusts list_roles_for_trust"),
    **_one(READER, Grant("self", note="as trustor or trustee"), actions="get_role_for_trust"),
    **_one(ADMIN, Grant("self", note="as trustor"), actions="delete_trust"),
}

_CATALOG: Rules = {
    **_crud("service", "services", (READER,), (ADMIN,)),
    **_crud("endpoint", "endpoints", (READER,), (ADMIN,)),
    **_crud("region", "regions", (USERS,), (ADMIN,)),
    **_crud("endpoint_group", "endpoint_groups", (READER,), (ADMIN,)),
    **_crud("policy", "policies", (READER,), (ADMIN,)),
    **_crud("consumer", "consumers", (READER,), (ADMIN,)),
    **_crud("registered_limit", "registered_limits", (USERS,), (ADMIN,)),
    **_crud("limit", "limits", (READER, D_READER, P_READER), (ADMIN,)),
    **_one(USERS, actions="get_limit_model list_limits"),
}

TABLE = AccessTable({**_AUTH, **_PRINCIPALS, **_ROLES, **_CREDENTIALS, **_CATALOG})
