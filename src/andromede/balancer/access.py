"""Who may do what with load balancers: members of the project, its readers look; administrators everywhere."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

ADMIN = Grant("cloud", "admin")
READ = (ADMIN, Grant("project", "reader"))
WRITE = (ADMIN, Grant("project", "member"))
ANY = (ADMIN, Grant("role", "reader"))
KINDS = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")

TABLE = AccessTable(
    {
        "loadbalancer:discover": (Grant("public"),),
        **{f"loadbalancer:{verb}_{kind}": READ for kind in KINDS for verb in ("get", "list")},
        **{f"loadbalancer:{verb}_{kind}": WRITE for kind in KINDS for verb in ("create", "update", "delete")},
        "loadbalancer:update_members": WRITE,
        "loadbalancer:get_status": READ,
        "loadbalancer:get_stats": READ,
        "loadbalancer:get_listener_stats": READ,
        "loadbalancer:failover": (ADMIN,),
        "loadbalancer:get_quota": READ,
        "loadbalancer:get_default_quota": ANY,
        "loadbalancer:list_quotas": READ,
        "loadbalancer:update_quota": (ADMIN,),
        "loadbalancer:delete_quota": (ADMIN,),
        "loadbalancer:list_providers": ANY,
        "loadbalancer:get_provider_capabilities": (ADMIN,),
        "loadbalancer:list_flavors": ANY,
        "loadbalancer:get_flavor": ANY,
        "loadbalancer:list_zones": ANY,
        "loadbalancer:get_zone": ANY,
        "loadbalancer:list_amphorae": (ADMIN,),
        "loadbalancer:get_amphora": (ADMIN,),
    }
)
