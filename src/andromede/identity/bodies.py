"""Bodies of identity requests. Unknown members are kept as extra attributes where the API allows them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Long = Annotated[str, Meta(min_length=1, max_length=255)]
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.\-]+$")]
Secret = Annotated[str, Meta(max_length=4096)]
Text = Annotated[str, Meta(max_length=65535)]
Options = dict[str, Any]


class DomainRef(Struct):
    """A domain by id or name."""

    id: str | None = None
    name: str | None = None


class AuthUser(Struct):
    """Who logs in: id, or name with domain."""

    id: str | None = None
    name: str | None = None
    domain: DomainRef | None = None
    password: Secret | None = None
    passcode: Annotated[str, Meta(max_length=16)] | None = None


class AuthPassword(Struct):
    user: AuthUser


class AuthTotp(Struct):
    user: AuthUser


class AuthToken(Struct):
    id: Secret


class AuthApplicationCredential(Struct):
    """By id, or by name with its user."""

    secret: Secret
    id: str | None = None
    name: str | None = None
    user: AuthUser | None = None


class AuthIdentity(Struct):
    methods: Annotated[list[str], Meta(max_length=8)]
    password: AuthPassword | None = None
    token: AuthToken | None = None
    totp: AuthTotp | None = None
    application_credential: AuthApplicationCredential | None = None


class ProjectRef(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainRef | None = None


class TrustRef(Struct):
    id: str


class AuthScope(Struct, rename={"trust": "OS-TRUST:trust"}):
    """At most one member; `unscoped` asks for no scope at all."""

    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: dict[str, bool] | None = None
    trust: TrustRef | None = None
    unscoped: dict[str, Any] | None = None


class Auth(Struct):
    identity: AuthIdentity
    scope: AuthScope | str | None = None


class AuthRequest(Struct):
    """POST /v3/auth/tokens"""

    auth: Auth


class ChangePassword(Struct):
    password: Secret
    original_password: Secret


class ChangePasswordRequest(Struct):
    """POST /v3/users/{user_id}/password"""

    user: ChangePassword


class ProjectFields(Struct, kw_only=True):
    """Members of a project that have a meaning of their own."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")] | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    is_domain: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    options: Options | UnsetType = UNSET


class CreateProject(Struct):
    project: ProjectFields


class UpdateProject(Struct):
    project: ProjectFields


class CreateDomain(Struct):
    domain: ProjectFields


class UpdateDomain(Struct):
    domain: ProjectFields


class Tags(Struct):
    tags: Annotated[list[str], Meta(max_length=80)]


class ConfigRequest(Struct):
    """Options of a domain by group; one group, or one option, for the narrower paths."""

    config: dict[str, Any]


class UserFields(Struct, kw_only=True):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    password: Secret | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    email: Text | UnsetType | None = UNSET
    options: Options | UnsetType = UNSET


class UserRequest(Struct):
    user: UserFields


class GroupFields(Struct, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")] | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class GroupRequest(Struct):
    group: GroupFields


class RoleFields(Struct, kw_only=True):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    options: Options | UnsetType = UNSET


class RoleRequest(Struct):
    role: RoleFields


class RoleRef(Struct):
    id: str | None = None
    name: str | None = None


class RuleFields(Struct):
    """An access rule: an existing one by id, or a new one."""

    id: str | None = None
    service: Annotated[str, Meta(max_length=64)] | None = None
    method: Annotated[str, Meta(max_length=16)] | None = None
    path: Annotated[str, Meta(max_length=128)] | None = None


class AppCredentialFields(Struct, kw_only=True):
    name: Name
    secret: Secret | None = None
    description: Text | None = None
    expires_at: str | None = None
    roles: Annotated[list[RoleRef], Meta(max_length=100)] | None = None
    unrestricted: bool = False
    access_rules: Annotated[list[RuleFields], Meta(max_length=100)] | None = None


class AppCredentialRequest(Struct):
    application_credential: AppCredentialFields


class CredentialFields(Struct, kw_only=True):
    type: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    blob: Annotated[str, Meta(max_length=16384)] | dict[str, Any] | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET


class CredentialRequest(Struct):
    credential: CredentialFields


class Ec2Request(Struct):
    """POST /v3/users/{user_id}/credentials/OS-EC2"""

    tenant_id: Id


class TrustFields(Struct, kw_only=True):
    trustor_user_id: Id
    trustee_user_id: Id
    impersonation: bool
    project_id: Id | None = None
    expires_at: str | None = None
    remaining_uses: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    roles: Annotated[list[RoleRef], Meta(max_length=100)] = []
    allow_redelegation: bool = False
    redelegation_count: Annotated[int, Meta(ge=0, le=100)] | None = None
    redelegated_trust_id: Id | None = None


class TrustRequest(Struct):
    trust: TrustFields


class RegionFields(Struct, kw_only=True):
    id: Long | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    parent_region_id: Long | UnsetType | None = UNSET


class RegionRequest(Struct):
    region: RegionFields


class ServiceFields(Struct, kw_only=True):
    type: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=255)] | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class ServiceRequest(Struct):
    service: ServiceFields


class EndpointFields(Struct, kw_only=True):
    interface: str | UnsetType = UNSET
    url: Annotated[str, Meta(min_length=1, max_length=2048)] | UnsetType = UNSET
    service_id: Id | UnsetType = UNSET
    region_id: Long | UnsetType | None = UNSET
    region: Long | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointRequest(Struct):
    endpoint: EndpointFields


class DocumentFields(Struct, kw_only=True):
    """A policy, endpoint group or consumer."""

    name: Annotated[str, Meta(max_length=255)] | UnsetType = UNSET
    type: Annotated[str, Meta(max_length=255)] | UnsetType = UNSET
    blob: Text | dict[str, Any] | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    filters: dict[str, str] | UnsetType = UNSET


class PolicyRequest(Struct):
    policy: DocumentFields


class EndpointGroupRequest(Struct):
    endpoint_group: DocumentFields


class ConsumerRequest(Struct):
    consumer: DocumentFields


Amount = Annotated[int, Meta(ge=-1, le=2**31 - 1)]
Resource = Annotated[str, Meta(min_length=1, max_length=255)]


class RegisteredLimitFields(Struct, kw_only=True):
    service_id: Id | UnsetType = UNSET
    region_id: Long | UnsetType | None = UNSET
    resource_name: Resource | UnsetType = UNSET
    default_limit: Amount | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class RegisteredLimitsRequest(Struct):
    registered_limits: Annotated[list[RegisteredLimitFields], Meta(min_length=1, max_length=100)]


class RegisteredLimitRequest(Struct):
    registered_limit: RegisteredLimitFields


class LimitFields(Struct, kw_only=True):
    service_id: Id | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    domain_id: Id | UnsetType | None = UNSET
    region_id: Long | UnsetType | None = UNSET
    resource_name: Resource | UnsetType = UNSET
    resource_limit: Amount | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class LimitsRequest(Struct):
    limits: Annotated[list[LimitFields], Meta(min_length=1, max_length=100)]


class LimitRequest(Struct):
    limit: LimitFields
