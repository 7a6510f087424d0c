"""The mappers of the compute domain's rows."""

from __future__ import annotations

from andromede.compute import capacity_model, model
from andromede.db.table import Table

SERVERS = Table(model.SERVER, model.Server, "created_us, id")
DEVICES = Table(model.DEVICE, model.Device, "server_id, kind, position, id")
TAGS = Table("compute_tag", model.Tag, "server_id, name")
ACTIONS = Table("compute_action", model.Action, "start_us, request_id")
EVENTS = Table("compute_action_event", model.ActionEvent, "server_id, request_id, position")
KEYPAIRS = Table("compute_keypair", model.Keypair, "user_id, name")
FLAVORS = Table("compute_flavor", model.Flavor, "id")
ACCESS = Table("compute_flavor_access", model.FlavorAccess, "flavor_id, project_id")
GROUPS = Table("compute_group", model.ServerGroup, "created_us, id")
QUOTAS = Table("compute_quota", model.Quota, "scope, project_id, user_id, resource")
AGGREGATES = Table("compute_aggregate", model.Aggregate, "id")
HOSTS = Table("compute_host", model.Host, "number")
CONSOLES = Table("compute_console", model.ConsoleToken, "token_hash")
PROVIDERS = Table("placement_provider", capacity_model.Provider, "created_us, id")
INVENTORIES = Table("placement_inventory", capacity_model.Inventory, "provider_id, resource_class")
CONSUMERS = Table("placement_consumer", capacity_model.Consumer, "id")
ALLOCATIONS = Table("placement_allocation", capacity_model.Allocation, "consumer_id, provider_id, resource_class")
