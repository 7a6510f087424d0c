"""Placement is for the operator and the program's own services; members of a project see what it uses."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

OPERATOR = (Grant("cloud", "admin"), Grant("role", "service"))
PLAIN = (
    "list_providers create_provider get_provider update_provider delete_provider get_inventories set_inventories "
    "get_aggregates set_aggregates get_traits set_traits get_provider_usages get_provider_allocations list_classes "
    "create_class get_class update_class delete_class list_traits get_trait create_trait delete_trait "
    "get_allocations set_allocations delete_allocations list_candidates reshape"
)

TABLE = AccessTable(
    {
        "placement:discover": (Grant("public"),),
        "placement:get_usages": (*OPERATOR, Grant("project", "reader")),
        **{f"placement:{action}": OPERATOR for action in PLAIN.split()},
    }
)
