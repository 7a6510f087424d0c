"""Load balancers beside the real network and key manager: VIP ports, certificates."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from andromede.app.hosting.balancer import Certificates, Ports
from andromede.balancer import pem
from andromede.balancer.engine import VipWish
from andromede.db import Database
from andromede.errors import Invalid, NotFound
from tests.support.clock import FakeClock
from tests.support.hosted_api import Hosted

LB = "00000000-0000-4000-8000-0000000000aa"


@pytest.fixture
def hosted(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Hosted]:
    made = Hosted(db, tmp_path / "data", clock)
    yield made
    made.site.close()


def network(hosted: Hosted, token: str = "") -> tuple[str, str]:
    """(network, subnet) of the member."""
    token = token or hosted.member
    made = hosted.call("POST", "/network/v2.0/networks", token, {"network": {"name": "n"}}).json["network"]
    body = {"network_id": made["id"], "ip_version": 4, "cidr": "10.9.0.0/24"}
    subnet = hosted.call("POST", "/network/v2.0/subnets", token, {"subnet": body}).json["subnet"]
    return str(made["id"]), str(subnet["id"])


def create(hosted: Hosted, **body: Any) -> Any:
    return hosted.call("POST", "/load-balancer/v2/lbaas/loadbalancers", hosted.member, {"loadbalancer": body})


def test_a_port_is_made_and_goes_with_its_load_balancer(hosted: Hosted) -> None:
    network_id, subnet_id = network(hosted)
    made = create(hosted, vip_subnet_id=subnet_id, vip_address="10.9.0.77")
    assert made.status == 201, made.raw
    shown = made.json["loadbalancer"]
    assert (shown["vip_address"], shown["vip_network_id"]) == ("10.9.0.77", network_id)
    port = hosted.call("GET", f"/network/v2.0/ports/{shown['vip_port_id']}", hosted.member).json["port"]
    assert (port["device_owner"], port["device_id"]) == ("Octavia", f"lb-{shown['id']}")
    assert (port["port_security_enabled"], port["security_groups"]) == (False, [])
    ports = Ports(hosted.site)
    assert ports.settle(port["id"], shown["id"], hosted.site.host, "req-1") is False, "nothing wires it here"
    bound = hosted.call("GET", f"/network/v2.0/ports/{port['id']}", hosted.admin).json["port"]
    assert bound["binding:host_id"] == hosted.site.host
    for _ in range(2):
        ports.give_back(port["id"], True, "req-1")
    assert hosted.call("GET", f"/network/v2.0/ports/{port['id']}", hosted.member).status == 404


def test_a_network_alone_is_enough(hosted: Hosted) -> None:
    network_id, subnet_id = network(hosted)
    shown = create(hosted, vip_network_id=network_id).json["loadbalancer"]
    assert shown["vip_subnet_id"] == subnet_id
    assert shown["vip_address"].startswith("10.9.0.")


def test_a_port_of_the_tenant_is_taken_and_given_back(hosted: Hosted) -> None:
    network_id, _ = network(hosted)
    body = {"port": {"network_id": network_id, "fixed_ips": [{"ip_address": "10.9.0.50"}]}}
    port = hosted.call("POST", "/network/v2.0/ports", hosted.member, body).json["port"]
    shown = create(hosted, vip_port_id=port["id"]).json["loadbalancer"]
    assert (shown["vip_address"], shown["vip_port_id"]) == ("10.9.0.50", port["id"])
    ports = Ports(hosted.site)
    ports.settle(port["id"], shown["id"], hosted.site.host, "req-1")
    assert create(hosted, vip_port_id=port["id"]).status == 409
    ports.give_back(port["id"], False, "req-1")
    kept = hosted.call("GET", f"/network/v2.0/ports/{port['id']}", hosted.member).json["port"]
    assert (kept["device_id"], kept["device_owner"]) == ("", "")
    with pytest.raises(Invalid), hosted.db.write() as tx:
        ports.take(VipWish(LB, hosted.project_id, "10.9.0.51", port["id"]), "req-1", tx)


def test_the_port_comes_with_the_load_balancer_or_not_at_all(hosted: Hosted) -> None:
    _, subnet_id = network(hosted)
    twice = [{"protocol": "HTTP", "protocol_port": 80}, {"protocol": "TCP", "protocol_port": 80}]
    assert create(hosted, vip_subnet_id=subnet_id, listeners=twice).status == 409
    made = [row for row in hosted.db.all("SELECT body FROM audit_event") if b"network:create_port" in bytes(row[0])]
    assert made == [], "one transaction: no port was ever there without its load balancer"
    assert create(hosted, vip_subnet_id=subnet_id).status == 201
    made = [row for row in hosted.db.all("SELECT body FROM audit_event") if b"network:create_port" in bytes(row[0])]
    assert len(made) == 1


def test_a_port_carries_one_load_balancer_from_the_first_moment_on(hosted: Hosted) -> None:
    network_id, _ = network(hosted)
    port = hosted.call("POST", "/network/v2.0/ports", hosted.member, {"port": {"network_id": network_id}}).json["port"]
    first = create(hosted, vip_port_id=port["id"]).json["loadbalancer"]
    second = create(hosted, vip_port_id=port["id"])  # before a worker has bound the port to the first
    assert (second.status, first["id"] in second.json["faultstring"]) == (409, True)
    assert len(hosted.db.all("SELECT id FROM balancer")) == 1


def test_what_belongs_to_others_is_not_there(hosted: Hosted) -> None:
    network_id, subnet_id = network(hosted, hosted.other)
    assert create(hosted, vip_network_id=network_id).status == 404
    assert create(hosted, vip_subnet_id=subnet_id).status == 404
    assert create(hosted, vip_subnet_id=LB).status == 400
    assert create(hosted, vip_port_id=LB).status == 404
    own, subnet = network(hosted)
    assert create(hosted, vip_subnet_id=subnet, vip_address="192.0.2.1").status == 400
    taken = create(hosted, vip_network_id=own, vip_address="10.9.0.60")
    assert taken.status == 201
    again = create(hosted, vip_network_id=own, vip_address="10.9.0.60")
    assert again.status == 409
    assert len(hosted.db.all("SELECT id FROM balancer")) == 1


def pair(name: str = "x.test") -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key, made


def private(key: ec.EllipticCurvePrivateKey, encoding: Encoding, word: bytes = b"") -> bytes:
    lock = BestAvailableEncryption(word) if word else NoEncryption()
    return key.private_bytes(encoding, PrivateFormat.PKCS8, lock)


def secret(hosted: Hosted, payload: bytes) -> str:
    body = {
        "payload": base64.b64encode(payload).decode(), "payload_content_type": "application/octet-stream",
        "payload_content_encoding": "base64",
    }  # fmt: skip
    return str(hosted.call("POST", "/key-manager/v1/secrets", hosted.member, body).json["secret_ref"])


def test_certificates_come_from_the_key_manager(hosted: Hosted) -> None:
    key, certificate = pair()
    refs = {
        "certificate": secret(hosted, certificate.public_bytes(Encoding.DER)),
        "private_key": secret(hosted, private(key, Encoding.PEM, b"word")),
        "private_key_passphrase": secret(hosted, b"word"),
    }
    body = {"type": "certificate", "secret_refs": [{"name": n, "secret_ref": r} for n, r in refs.items()]}
    ref = hosted.call("POST", "/key-manager/v1/containers", hosted.member, body).json["container_ref"]
    certificates = Certificates(hosted.site.keymanager)
    text = certificates.pem(ref, hosted.project_id, "loadbalancer/x", "req-1")
    assert text.count(b"BEGIN PRIVATE KEY") == text.count(b"BEGIN CERTIFICATE") == 1
    assert certificates.plain(ref, hosted.project_id, "x", "req-1") == certificate.public_bytes(Encoding.PEM)
    alone = secret(hosted, certificate.public_bytes(Encoding.PEM))
    assert certificates.plain(alone, hosted.project_id, "x", "req-1") == certificate.public_bytes(Encoding.PEM)
    with pytest.raises(NotFound):
        certificates.pem(ref, hosted.other_project, "x", "req-1")
    with pytest.raises(NotFound):
        certificates.pem(alone, hosted.other_project, "x", "req-1")
    empty = hosted.call("POST", "/key-manager/v1/containers", hosted.member, {"type": "generic"}).json["container_ref"]
    with pytest.raises(Invalid):
        certificates.plain(empty, hosted.project_id, "x", "req-1")
    reads = [row for row in hosted.db.all("SELECT body FROM audit_event") if b"keymanager:get_payload" in bytes(row[0])]
    assert len(reads) == 3 + 3 + 1
    _, subnet_id = network(hosted)
    balancer = create(hosted, vip_subnet_id=subnet_id, listeners=[
        {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": ref}])  # fmt: skip
    assert balancer.status == 201, balancer.raw
    wrong = create(hosted, vip_subnet_id=subnet_id, listeners=[
        {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": empty}])  # fmt: skip
    assert (wrong.status, "certificate and private_key" in wrong.json["faultstring"]) == (400, True)


def test_every_form_of_a_certificate() -> None:
    key, certificate = pair()
    other, stranger = pair("y.test")
    plain = private(key, Encoding.DER)
    for chain in (
        stranger.public_bytes(Encoding.PEM),
        stranger.public_bytes(Encoding.DER),
        pkcs7.serialize_certificates([stranger], Encoding.PEM),
        pkcs7.serialize_certificates([stranger], Encoding.DER),
    ):
        parts = {"certificate": certificate.public_bytes(Encoding.PEM), "private_key": plain, "intermediates": chain}
        assert pem.bundle(parts).count(b"BEGIN CERTIFICATE") == 2
    both = private(key, Encoding.PEM) + certificate.public_bytes(Encoding.PEM)
    assert pem.bag(both) == both
    bundle = pkcs12.serialize_key_and_certificates(b"x", key, certificate, [stranger], NoEncryption())
    assert pem.bag(bundle).count(b"BEGIN CERTIFICATE") == 2
    lonely = pkcs12.serialize_key_and_certificates(b"x", None, None, [stranger], NoEncryption())
    for raw in (lonely, b"nonsense", b"-----BEGIN nonsense"):
        with pytest.raises(Invalid):
            pem.bag(raw)
    for parts in (
        {"certificate": b""},
        {"certificate": certificate.public_bytes(Encoding.PEM), "private_key": private(other, Encoding.PEM)},
        {"certificate": b"nonsense", "private_key": plain},
        {"certificate": certificate.public_bytes(Encoding.PEM), "private_key": private(key, Encoding.PEM, b"word")},
    ):
        with pytest.raises(Invalid):
            pem.bundle(parts)
    assert pem.authorities(certificate.public_bytes(Encoding.PEM).rstrip()) == certificate.public_bytes(Encoding.PEM)
    assert pem.authorities(certificate.public_bytes(Encoding.DER)) == certificate.public_bytes(Encoding.PEM)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now)
        .next_update(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    assert pem.authorities(revoked.public_bytes(Encoding.DER)) == revoked.public_bytes(Encoding.PEM)
    with pytest.raises(Invalid):
        pem.authorities(b"nonsense")
