"""Guessing is slowed down, and the brakes neither lock the right user out nor tell who exists."""

from __future__ import annotations

from tests.support.cloud import Cloud


def test_one_address_cannot_use_up_what_a_user_has_everywhere(cloud: Cloud) -> None:
    """The right password still counts from elsewhere while one address is held back."""
    admin = cloud.admin()
    found = cloud.call("GET", "/v3/users?name=demo", admin).json["users"][0]["id"]
    spared = {"user": {"options": {"ignore_lockout_failure_attempts": True}}}
    assert cloud.call("PATCH", f"/v3/users/{found}", admin, spared).status == 200
    statuses = [cloud.login("demo", "wrong").status for _ in range(110)]
    assert statuses[:99] == [401] * 99
    assert statuses[-1] == 429
    assert cloud.login("demo", cloud.secrets.demo_password).status == 429
    cloud.peer = "198.51.100.7"
    assert cloud.login("demo", cloud.secrets.demo_password).status == 201


def test_the_brake_does_not_tell_who_exists(cloud: Cloud) -> None:
    """A name that is held back in one domain is not in another, whether there is such a user or not."""
    for name in ("demo", "nobody-of-this-name"):
        statuses = [cloud.login(name, "wrong").status for _ in range(101)]
        assert statuses[-1] == 429
        assert cloud.login(name, "wrong", domain="no-such-domain").status == 401


def test_guessing_second_factors_and_application_credentials_is_slowed_down(cloud: Cloud) -> None:
    for proof in (
        {"methods": ["totp"], "totp": {"user": {"id": "0" * 32, "passcode": "000000"}}},
        {"methods": ["application_credential"], "application_credential": {"id": "1" * 32, "secret": "x"}},
        {
            "methods": ["application_credential"],
            "application_credential": {"name": "n", "secret": "x", "user": {"id": "2" * 32}},
        },
    ):
        body = {"auth": {"identity": proof}}
        answers = [cloud.call("POST", "/v3/auth/tokens", body=body) for _ in range(101)]
        assert [answer.status for answer in answers] == [401] * 100 + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1


def test_a_million_names_are_not_remembered(cloud: Cloud) -> None:
    """The memory of the brakes is bounded; this walks past its capacity, from many addresses."""
    limits = cloud.identity.login._limits
    for number in range(12_000):
        limits.user.take(f"name {number}" + "x" * 1000)
    assert len(limits.user) == 10_000
