"""Who may do what with servers and what belongs to them, after Nova's default policies: members of a project act,
readers read, admins manage the installation. A stranger's server is not found."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

ANYONE = Grant("public")
USERS = Grant("any")
SELF = Grant("self")
ADMIN = Grant("cloud", "admin")
MEMBER = Grant("project", "member")
READER = Grant("project", "reader")

Rules = dict[str, tuple[Grant, ...]]


def _rules(*grants: Grant, actions: str) -> Rules:
    return {f"compute:{action}": grants for action in actions.split()}


_SERVERS: Rules = {
    **_rules(ADMIN, READER, actions="list_servers show_server show_addresses list_metadata show_metadata"),
    **_rules(ADMIN, READER, actions="list_tags show_tag list_actions show_action list_attachments show_attachment"),
    **_rules(ADMIN, READER, actions="list_interfaces show_interface list_server_groups_of show_password"),
    **_rules(ADMIN, MEMBER, actions="create_server update_server delete_server server_action"),
    **_rules(ADMIN, MEMBER, actions="update_metadata delete_metadata update_tags delete_tags"),
    **_rules(ADMIN, MEMBER, actions="create_attachment update_attachment delete_attachment"),
    **_rules(ADMIN, MEMBER, actions="create_interface delete_interface delete_password open_console"),
    **_rules(ADMIN, actions="show_diagnostics list_migrations_of show_migration_of change_migration_of"),
}

_ACTIONS: Rules = {
    **_rules(ADMIN, MEMBER, actions="start stop reboot pause unpause suspend resume lock unlock rescue unrescue"),
    **_rules(ADMIN, MEMBER, actions="resize confirm_resize revert_resize rebuild shelve unshelve create_image"),
    **_rules(ADMIN, MEMBER, actions="create_backup change_password console_output console restore force_delete"),
    **_rules(ADMIN, MEMBER, actions="add_security_group remove_security_group add_fixed_ip remove_fixed_ip"),
    **_rules(ADMIN, MEMBER, actions="add_floating_ip remove_floating_ip crash_dump"),
    **_rules(ADMIN, actions="reset_state reset_network inject_network_info migrate live_migrate evacuate"),
    **_rules(ADMIN, actions="shelve_offload"),
}

_BOOKS: Rules = {
    **_rules(ANYONE, actions="discover"),
    **_rules(USERS, actions="list_flavors show_flavor list_extra_specs show_extra_spec list_zones list_extensions"),
    **_rules(USERS, actions="show_extension"),
    **_rules(ADMIN, actions="create_flavor update_flavor delete_flavor create_extra_specs update_extra_spec"),
    **_rules(ADMIN, actions="delete_extra_spec list_access change_access list_zones_detail"),
    **_rules(ADMIN, SELF, actions="list_keypairs show_keypair create_keypair delete_keypair"),
    **_rules(ADMIN, READER, actions="list_groups show_group show_quota show_limits show_usage"),
    **_rules(USERS, actions="show_quota_defaults"),
    **_rules(ADMIN, MEMBER, actions="create_group delete_group"),
    **_rules(ADMIN, actions="update_quota delete_quota show_quota_detail show_quota_class update_quota_class"),
    **_rules(ADMIN, READER, actions="show_quota_detail"),
    **_rules(ADMIN, actions="list_usages list_aggregates show_aggregate change_aggregate list_hypervisors"),
    **_rules(ADMIN, actions="show_hypervisor list_services update_service delete_service list_hosts show_host"),
    **_rules(ADMIN, actions="change_host list_migrations audit_log external_events show_console_token"),
    **_rules(ADMIN, READER, actions="proxy_read"),
    **_rules(ADMIN, MEMBER, actions="proxy_write"),
}

TABLE = AccessTable({**_SERVERS, **_BOOKS})
ACTIONS = AccessTable(_ACTIONS)
"""The actions of `POST /servers/{id}/action`, all behind `compute:server_action`."""
