"""Bodies of Placement requests. Unknown members are refused, as in Placement's own schemas."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Uuid = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")]
Label = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(min_length=1, max_length=255)]
ClassName = Annotated[str, Meta(pattern=r"^[A-Z0-9_]+$", max_length=255)]
Generation = Annotated[int, Meta(ge=0)]
Most = 2147483647
Positive = Annotated[int, Meta(ge=1, le=Most)]


class CreateProvider(Struct, forbid_unknown_fields=True):
    name: Label
    uuid: Uuid | UnsetType = UNSET
    parent_provider_uuid: Uuid | UnsetType | None = UNSET


class UpdateProvider(Struct, forbid_unknown_fields=True):
    name: Label
    parent_provider_uuid: Uuid | UnsetType | None = UNSET


class InventoryFields(Struct, forbid_unknown_fields=True):
    """One resource class of a provider. In bodies of its own with its class or the provider's generation."""

    total: Positive
    reserved: Annotated[int, Meta(ge=0, le=Most)] = 0
    min_unit: Positive = 1
    max_unit: Positive = Most
    step_size: Positive = 1
    allocation_ratio: Annotated[float, Meta(ge=0, le=3.40282e38)] = 1.0
    resource_class: ClassName | UnsetType = UNSET
    resource_provider_generation: Generation | UnsetType = UNSET


class SetInventories(Struct, forbid_unknown_fields=True):
    resource_provider_generation: Generation
    inventories: dict[ClassName, InventoryFields]


class SetTraits(Struct, forbid_unknown_fields=True):
    resource_provider_generation: Generation
    traits: Annotated[list[Word], Meta(max_length=1000)]


class SetAggregates(Struct, forbid_unknown_fields=True):
    resource_provider_generation: Generation
    aggregates: Annotated[list[Uuid], Meta(max_length=1000)]


Aggregates = SetAggregates | list[Uuid]


class ClassRequest(Struct, forbid_unknown_fields=True):
    name: Word


class OldAllocation(Struct, forbid_unknown_fields=True):
    resource_provider: dict[str, Uuid]
    resources: dict[ClassName, Positive]


class NewAllocation(Struct, forbid_unknown_fields=True):
    resources: dict[ClassName, Positive]
    generation: Generation | UnsetType = UNSET


class SetAllocations(Struct, forbid_unknown_fields=True):
    """What a consumer is to hold: a list below 1.12, by provider from then on."""

    allocations: list[OldAllocation] | dict[Uuid, NewAllocation]
    project_id: Word | UnsetType = UNSET
    user_id: Word | UnsetType = UNSET
    consumer_generation: Generation | UnsetType | None = UNSET
    consumer_type: Annotated[str, Meta(pattern=r"^[A-Z0-9_]+$", max_length=255)] | UnsetType = UNSET
    mappings: dict[str, list[Uuid]] | UnsetType = UNSET


ManyAllocations = dict[Uuid, SetAllocations]


class Reshape(Struct, forbid_unknown_fields=True):
    inventories: dict[Uuid, SetInventories]
    allocations: ManyAllocations
