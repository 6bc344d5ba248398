"""Secrets and certificates: what is weak, who believes whom, and that no key touches a disk."""

import os
import ssl
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from respram.errors import ConfigError
from respram.server import secret
from respram.server.secret import (
    OwnCertificates,
    Trust,
    authority_certificate,
    fresh_secret,
    node_certificate,
    number_shown,
    parse_secrets,
    spell_secret,
    trust_by_certificates,
    trust_by_secret,
)
from tests.secrets import secret_of

ONE, TWO, THREE = secret_of("first"), secret_of("second"), secret_of("third")


@pytest.fixture(scope="module")
def trusts() -> dict[str, Trust]:
    combinations = {"old": (ONE,), "old+new": (ONE, TWO), "new+old": (TWO, ONE), "new": (TWO,), "other": (THREE,)}
    return {name: trust_by_secret(found) for name, found in combinations.items()}


def shake(accepting: ssl.SSLContext, dialling: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A handshake without a network; ssl.SSLError where one side turns the other away."""
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = accepting.wrap_bio(one, two, server_side=True), dialling.wrap_bio(two, one)
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for side, other in ((client, server), (server, client)):
        side.write(b"hello")
        assert other.read(9) == b"hello"
    return server, client


# -- what a secret is -----------------------------------------------------------------------------
def test_a_fresh_secret_is_taken_and_never_the_same() -> None:
    made = {fresh_secret() for _ in range(50)}
    assert len(made) == 50
    for one in made:
        assert parse_secrets(one) == (one,) and len(one) == 53


@pytest.mark.parametrize(
    "thought_of",
    ["short", "a" * 40, "correct horse battery staple", "Zk3-qT8vJx0_LmW4sYb7Rd",
     "4f1c8ea07be2295d3c6a90bd17f4e852" * 2, "x" * 5000,
     "Vw3kq0ZtY7cN1xLs8RbH5uJg2Df6PaEoMiTz9yXnW4Q", "rs1_correct-horse-battery-staple",
     "rs1_" + "A" * 49, "rs1_" + "correct-horse-battery-staple-1" + "A" * 19,
     spell_secret(bytes(32)), spell_secret(b"password" * 4), ONE[:-1], ONE + "A", ONE.swapcase()],
)  # fmt: skip
def test_a_secret_that_was_not_drawn_is_refused_and_not_quoted(thought_of: str) -> None:
    with pytest.raises(ConfigError, match="was not made by `respram secret`") as caught:
        parse_secrets(thought_of)
    assert thought_of not in str(caught.value) and len(str(caught.value)) < 200
    with pytest.raises(ConfigError, match="line 2 of the cluster secret"):
        parse_secrets(f"{TWO}\n{thought_of}")


def test_one_wrong_character_is_noticed() -> None:
    for at in range(len(ONE)):
        for letter in "AZaz09_-":
            if letter != ONE[at]:
                with pytest.raises(ConfigError):
                    parse_secrets(ONE[:at] + letter + ONE[at + 1 :])


def test_a_rotation_has_two_lines_and_no_more() -> None:
    assert parse_secrets(f"{ONE}\n\n {TWO} \r\n") == (ONE, TWO)
    for text, phrase in (("", "empty"), (f"{ONE}\n{TWO}\n{THREE}", "3 lines"), (f"{ONE}\n{ONE}", "twice")):
        with pytest.raises(ConfigError, match=phrase):
            parse_secrets(text)


@given(st.binary(min_size=32, max_size=32))
def test_any_bits_survive_spelling(bits: bytes) -> None:
    one = spell_secret(bits)
    assert secret._is_drawn(one) == (len(set(bits)) >= secret.DISTINCT_MIN)


# -- who believes whom ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("one", "two", "agree"),
    [("old", "old", True), ("old", "old+new", True), ("old+new", "new+old", True), ("new+old", "new", True),
     ("old", "new", False),
     ("old", "other", False), ("new+old", "other", False)],
)  # fmt: skip
def test_peers_agree_when_each_believes_the_others_first_secret(
    trusts: dict[str, Trust], one: str, two: str, agree: bool
) -> None:
    for server, client in ((one, two), (two, one)):
        if agree:
            ends = shake(trusts[server].accepting, trusts[client].dialling)
            assert {end.version() for end in ends} == {"TLSv1.3"}
        else:
            with pytest.raises(ssl.SSLError):
                shake(trusts[server].accepting, trusts[client].dialling)


def test_who_shows_no_certificate_or_speaks_older_tls_is_turned_away(trusts: dict[str, Trust]) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError):
        shake(trusts["old"].accepting, bare)
    # A member of the cluster by its certificate, and of another age by its protocol.
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    authority, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    secret.load_in_memory(old, secret._pem(node_certificate(authority, key)), key)
    accepting = trust_by_secret((ONE,)).accepting
    accepting.load_verify_locations(cadata=secret._pem(authority_certificate(authority)))
    shake(accepting, old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake(accepting, old)


def test_a_node_cannot_sign_others(trusts: dict[str, Trust]) -> None:
    authority, node, intruder = (Ed25519PrivateKey.generate() for _ in range(3))
    root, own = authority_certificate(authority), node_certificate(authority, node)
    forged = node_certificate(node, intruder)
    _, dialling = secret.contexts()
    dialling.load_verify_locations(cadata=secret._pem(root))
    secret.load_in_memory(dialling, secret._pem(own), node)
    accepting, _ = secret.contexts()
    accepting.load_verify_locations(cadata=secret._pem(root))
    secret.load_in_memory(accepting, secret._pem(forged) + secret._pem(own), intruder)
    with pytest.raises(ssl.SSLError):
        shake(accepting, dialling)


def test_all_nodes_derive_the_same_authority_and_the_same_key_of_ids(trusts: dict[str, Trust]) -> None:
    again = trust_by_secret((ONE,))
    assert again.dialling.get_ca_certs(binary_form=True) == trusts["old"].dialling.get_ca_certs(binary_form=True)
    assert again.ids_key == trusts["old"].ids_key == trusts["old+new"].ids_key != trusts["new"].ids_key
    # Pinned: a changed derivation would split every cluster that is updated node by node.
    assert again.ids_key == PINNED_IDS_KEY


PINNED_IDS_KEY = 10565207261334583022


def test_the_key_is_never_on_a_disk_in_the_clear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[bytes] = []
    real = Path.write_bytes

    def spy(self: Path, data: bytes) -> int:
        written.append(data)
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", spy)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trust_by_secret((ONE,))
    assert not written and not list(tmp_path.iterdir()), "Linux has memory files"
    monkeypatch.delattr(os, "memfd_create")
    trust = trust_by_secret((ONE,))
    assert len(written) == 2 and not list(tmp_path.iterdir())
    for data in written:
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in data
        with pytest.raises(TypeError, match="encrypted"):
            serialization.load_pem_private_key(data[data.index(b"-----BEGIN ENC") :], None)
    shake(trust.accepting, trust.dialling)


# -- an operator's own certificates ---------------------------------------------------------------
def own_pki(folder: Path, name: str) -> OwnCertificates:
    authority, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    plain = serialization.NoEncryption()
    paths = [folder / f"{name}.{part}.pem" for part in ("cert", "key", "ca")]
    for path, content in zip(
        paths,
        (
            secret._pem(node_certificate(authority, key)).encode(),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
            secret._pem(authority_certificate(authority)).encode(),
        ),
        strict=True,
    ):
        path.write_bytes(content)
    return OwnCertificates(*map(str, paths))


def test_own_certificates_serve_instead_of_a_secret(tmp_path: Path) -> None:
    own, foreign = own_pki(tmp_path, "own"), own_pki(tmp_path, "foreign")
    one, two, other = trust_by_certificates(own), trust_by_certificates(own), trust_by_certificates(foreign)
    shake(one.accepting, two.dialling)
    assert one.ids_key == two.ids_key != other.ids_key
    with pytest.raises(ssl.SSLError):
        shake(one.accepting, other.dialling)


def test_a_certificate_that_peers_would_turn_away_is_found_at_the_start(tmp_path: Path) -> None:
    own, foreign = own_pki(tmp_path, "own"), own_pki(tmp_path, "foreign")
    with pytest.raises(
        ConfigError, match=r"own\.cert\.pem would be refused .*: unable to get local issuer certificate"
    ):
        trust_by_certificates(OwnCertificates(own.certificate, own.key, foreign.authority))


def test_wrong_files_are_named_and_the_key_is_not_quoted(tmp_path: Path) -> None:
    own, foreign = own_pki(tmp_path, "own"), own_pki(tmp_path, "foreign")
    noise = tmp_path / "noise"
    noise.write_text("no certificate at all")
    key = x509.load_pem_x509_certificate(Path(own.certificate).read_bytes())
    assert key is not None
    for wrong, phrase in (
        (OwnCertificates(own.certificate, foreign.key, own.authority), "do not belong together"),
        (OwnCertificates(str(noise), own.key, own.authority), "not in PEM form"),
        (OwnCertificates(own.certificate, str(tmp_path / "none"), own.authority), "cannot be read"),
        (OwnCertificates(own.certificate, own.key, str(tmp_path / "none")), "cannot be read"),
        (OwnCertificates(own.certificate, own.key, str(noise)), "no certificate in PEM form"),
    ):
        with pytest.raises(ConfigError, match=phrase) as caught:
            trust_by_certificates(wrong)
        assert "\n" not in str(caught.value)
    locked = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    noise.write_bytes(locked)
    with pytest.raises(ConfigError, match="give a key without one"):
        trust_by_certificates(OwnCertificates(own.certificate, str(noise), own.authority))


def test_a_number_is_that_of_the_key_and_outlives_a_rotation() -> None:
    one, other = trust_by_secret((ONE,)), trust_by_secret((ONE,))
    assert one.number != other.number and one.key is not None
    renewed = trust_by_secret((TWO, ONE), one.key)
    assert renewed.number == one.number
    for trust in (one, renewed):
        accepted, _ = shake(other.accepting if trust is one else renewed.accepting, trust.dialling)
        assert number_shown(accepted.getpeercert(binary_form=True)) == one.number
    assert number_shown(None) == 0
