"""Revocation lists: who has signed them, which is newer, and who is on them."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from respram.errors import ConfigError
from respram.server import expulsion
from respram.server.secret import OwnCertificates, Trust, trust_by_certificates
from tests.peers.test_expulsion import Authority


def trust_of(authority: Authority) -> Trust:
    _, certificate, _, key, _, path = authority.words(1)
    return trust_by_certificates(OwnCertificates(certificate, key, path))


def test_a_list_is_good_if_an_authority_that_is_believed_has_signed_it(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    trust, foreign = trust_of(authority), trust_of(other)
    data = authority.revoked(7, 1)
    assert expulsion.check(data, trust) == (authority.certificate.subject.public_bytes(), 7)
    der = expulsion.load(data).public_bytes(serialization.Encoding.DER)
    assert expulsion.check(der, trust) == expulsion.check(data, trust)
    for bad in (
        authority.revoked(7, 1, key=Ed25519PrivateKey.generate()),
        other.revoked(7, 1),
        b"",
        b"noise",
        data[:200],
        der[:-1],
    ):
        assert expulsion.check(bad, trust) is None
    assert expulsion.check(data, foreign) is None and expulsion.check(data, None) is None


def test_names_are_those_of_the_certificates_that_peers_show(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    _, path, *_ = authority.words(1)
    authority.words(2)
    shown = x509.load_pem_x509_certificate(Path(path).read_bytes()).public_bytes(serialization.Encoding.DER)
    name = expulsion.name_of(shown)
    assert name == (authority.certificate.subject.public_bytes(), authority.serials[1])
    assert expulsion.names([authority.revoked(1, 1)]) == {name} and name not in expulsion.names(
        [authority.revoked(1, 2)]
    )
    assert expulsion.name_of(None) is None and expulsion.names([]) == frozenset()


def test_a_wrong_file_is_found_before_the_node_begins(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trust = trust_of(authority)
    file = tmp_path / "crl"
    for content in (b"", b"noise", authority.revoked(1, key=Ed25519PrivateKey.generate())):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="not a revocation list"):
            expulsion.read_file(str(file), trust)
    with pytest.raises(ConfigError, match="cannot be read"):
        expulsion.read_file(str(tmp_path / "none"), trust)
    file.write_bytes(authority.revoked(1, 1))
    assert expulsion.read_file(str(file), trust) == file.read_bytes()
