"""Who may do what with volumes: Cinder's default policies (secure role-based access: readers of a project read,
members change, administrators administer)."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

MEMBER = Grant("project", "member")
READER = Grant("project", "reader")
ADMIN = Grant("cloud", "admin")
ANYONE = Grant("public")
USERS = Grant("any")


def _rules(*grants: Grant, actions: str) -> dict[str, tuple[Grant, ...]]:
    return {f"volume:{action}": grants for action in actions.split()}


_READ = (ADMIN, READER)
_CHANGE = (ADMIN, MEMBER)

TABLE = AccessTable(
    {
        **_rules(*_READ, actions="list get get_metadata list_snapshots get_snapshot get_snapshot_metadata"),
        **_rules(*_CHANGE, actions="create update delete update_metadata delete_metadata action create_snapshot"),
        **_rules(*_CHANGE, actions="update_snapshot delete_snapshot update_snapshot_metadata snapshot_action"),
        **_rules(*_CHANGE, actions="delete_snapshot_metadata"),
        **_rules(*_READ, actions="list_backups get_backup list_transfers get_transfer list_attachments get_attachment"),
        **_rules(*_CHANGE, actions="create_backup update_backup delete_backup restore_backup backup_action"),
        **_rules(*_CHANGE, actions="create_transfer delete_transfer accept_transfer"),
        **_rules(*_CHANGE, actions="create_attachment update_attachment delete_attachment attachment_action"),
        **_rules(ADMIN, actions="export_backup import_backup"),
        **_rules(*_READ, actions="list_types get_type list_extra_specs get_limits get_quota list_group_types"),
        **_rules(*_READ, actions="get_group_type list_messages get_message"),
        **_rules(*_CHANGE, actions="delete_message"),
        **_rules(*_READ, actions="list_groups get_group list_group_snapshots get_group_snapshot"),
        **_rules(*_CHANGE, actions="create_group update_group group_action create_group_snapshot"),
        **_rules(*_CHANGE, actions="update_group_snapshot delete_group_snapshot group_snapshot_action"),
        **_rules(ADMIN, actions="create_type update_type delete_type set_extra_specs delete_extra_spec"),
        **_rules(ADMIN, actions="list_type_access type_action get_encryption set_encryption delete_encryption"),
        **_rules(ADMIN, actions="list_qos get_qos create_qos update_qos delete_qos associate_qos"),
        **_rules(ADMIN, actions="set_quota delete_quota get_quota_class set_quota_class default_types"),
        **_rules(ADMIN, actions="create_group_type update_group_type delete_group_type set_group_specs"),
        **_rules(ADMIN, actions="list_group_specs"),
        **_rules(ADMIN, actions="list_services change_service list_hosts get_host list_pools get_capabilities"),
        **_rules(ADMIN, actions="list_clusters list_manageable manage"),
        **_rules(USERS, actions="list_extensions list_zones list_filters"),
        **_rules(ANYONE, actions="discover"),
    }
)

ACTIONS = AccessTable(
    {
        **_rules(*_CHANGE, actions="extend attach detach reserve begin_detaching connect set_bootable set_readonly"),
        **_rules(*_CHANGE, actions="update_snapshot_status retype revert reimage set_image_metadata upload_image"),
        **_rules(*_READ, actions="get_image_metadata"),
        **_rules(ADMIN, actions="force_detach reset_status force_delete migrate unmanage"),
        **_rules(ADMIN, actions="force_delete_snapshot reset_snapshot_status"),
        **_rules(ADMIN, actions="force_delete_backup reset_backup_status"),
        **_rules(*_CHANGE, actions="delete_group create_group_from"),
        **_rules(ADMIN, actions="reset_group_status reset_group_snapshot_status failover_group"),
    }
)
"""What the routes of actions ask for once the body has told which it is."""

UNTOUCHED = frozenset(
    f"volume:{action}"
    for action in (
        "discover", "list_types", "get_type", "list_extra_specs", "list_extensions", "list_zones", "list_filters",
        "list_services", "list_hosts", "list_pools", "get_capabilities", "list_qos", "get_qos", "list_group_types",
        "get_group_type", "list_group_specs", "get_quota_class", "list_clusters", "get_encryption",
    )
)  # fmt: skip
"""Reads that show nothing of any tenant: what kinds of volumes there are, and the state of the machines."""
