"""Who may do what with secrets, as in OpenStack's secure role-based access: members of the project, and whom an access
list names; readers of a project read no secrets. A secret or container whose access list shuts the project out
(`project-access: false`) belongs to its creator and the project's administrators: its target then names no project."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

MEMBER = Grant("project", "member", "not shut out by an access list, or the creator")
OWN = Grant("project", "member")
NAMED = Grant("self", note="whom the access list names")
ADMIN = Grant("cloud", "admin")
READER = Grant("project", "reader")
QUOTAS = (ADMIN, Grant("role", "key-manager:service-admin"))

_OF_SECRETS = {
    **dict.fromkeys(("create_secret", "list_secrets"), (OWN,)),
    "get_secret": (ADMIN, MEMBER, NAMED),
    "get_payload": (MEMBER, NAMED),
    "delete_secret": (ADMIN, MEMBER),
    **dict.fromkeys(("set_payload", "get_metadata", "set_metadata"), (MEMBER,)),
    **dict.fromkeys(("get_secret_acl", "set_secret_acl", "delete_secret_acl"), (MEMBER,)),
    **dict.fromkeys(("list_secret_consumers", "add_secret_consumer", "remove_secret_consumer"), (ADMIN, MEMBER)),
}
_OF_CONTAINERS = {
    **dict.fromkeys(("create_container", "list_containers"), (OWN,)),
    "get_container": (MEMBER, NAMED),
    "delete_container": (MEMBER,),
    **dict.fromkeys(("add_member", "remove_member"), (MEMBER,)),
    **dict.fromkeys(("get_container_acl", "set_container_acl", "delete_container_acl"), (MEMBER,)),
    **dict.fromkeys(("list_consumers", "get_consumer"), (ADMIN, MEMBER, NAMED)),
    **dict.fromkeys(("add_consumer", "remove_consumer"), (ADMIN, MEMBER, NAMED)),
}
_OTHERS = {
    **dict.fromkeys(("create_order", "list_orders", "get_order", "delete_order"), (OWN,)),
    "get_quotas": (READER,),
    "list_transport_keys": (READER,),
    "create_transport_key": (ADMIN,),
    **dict.fromkeys(("list_project_quotas", "get_project_quotas"), QUOTAS),
    **dict.fromkeys(("set_project_quotas", "delete_project_quotas"), QUOTAS),
    "discover": (Grant("public"),),
    "get_version": (Grant("public"),),
}

TABLE = AccessTable(
    {f"keymanager:{action}": grants for action, grants in {**_OF_SECRETS, **_OF_CONTAINERS, **_OTHERS}.items()}
)
