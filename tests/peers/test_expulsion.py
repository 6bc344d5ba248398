"""One node is put out of a live enclave: by a list that the authority has signed, given to any node, at once on all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from respram.server.secret import authority_certificate, node_certificate
from tests.peers.enclave import USUAL, Member, enclave, until, until_linked, until_ready
from tests.ports import reserve


class Authority:
    """A certificate authority whose key no node has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = Ed25519PrivateKey.generate()
        self.certificate = authority_certificate(self.key)
        self.path = folder / "ca.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.serials: dict[int, int] = {}

    def words(self, number: int, name: str = "peer") -> tuple[str, ...]:
        key = Ed25519PrivateKey.generate()
        certificate = node_certificate(self.key, key, name)
        self.serials[number] = certificate.serial_number
        files = [self.folder / f"{number}.pem", self.folder / f"{number}.key"]
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files[1].write_bytes(plain)
        return "--peer-cert", str(files[0]), "--peer-key", str(files[1]), "--peer-ca", str(self.path)

    def revoked(self, list_number: int, *numbers: int, key: Ed25519PrivateKey | None = None) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject).last_update(now)
        builder = builder.next_update(now + timedelta(days=30)).add_extension(
            x509.CRLNumber(list_number), critical=False
        )
        for number in numbers:
            entry = x509.RevokedCertificateBuilder().serial_number(self.serials[number]).revocation_date(now).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(key or self.key, None).public_bytes(serialization.Encoding.PEM)


def test_one_node_is_out_on_all_at_once_and_does_not_come_back(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with enclave(3, secret="", each=authority.words) as members:
        until_ready(members)
        members[2].client.set("before", "v", ex=300)
        until(lambda: all(member.client.get("before") == b"v" for member in members), "the record did not arrive")
        forged = authority.revoked(5, 0, 1, key=Ed25519PrivateKey.generate())
        for wrong in (forged, b"no list", b""):
            with pytest.raises(redis.ResponseError, match="not a revocation list"):
                members[2].client.execute_command("RESPRAM", "EXPEL", wrong)
        assert members[0].client.execute_command("RESPRAM", "EXPEL", authority.revoked(7, 2)) in (b"OK", True)
        until(lambda: all(member.info()["enclave_peers_linked"] == 1 for member in members[:2]), "it is still linked")
        until(lambda: members[2].info()["enclave_peers_linked"] == 0, "it has a link")
        assert all("event=expulsions number=7" in member.log() for member in members[:2])
        members[0].client.set("after", "v", ex=300)
        until(lambda: members[1].client.get("after") == b"v", "the others lost each other")
        members[2].client.set("theirs", "v", ex=300)
        # an old list is no way back
        assert members[0].client.execute_command("RESPRAM", "EXPEL", authority.revoked(6)) in (b"OK", True)
        members[2].stop()
        members[2].start()  # nor is a restart, with all that it knows
        until(
            lambda: members[0].info()["links_expelled"] or members[1].info()["links_expelled"], "it did not knock again"
        )
        assert members[2].info()["enclave_peers_linked"] == 0 and members[2].client.dbsize() == 0
        assert members[0].client.get("theirs") is None and members[0].info()["enclave_peers_linked"] == 1
        members[1].stop()
        members[1].start()  # who was away is told by those who were not
        until_linked(members[:2])
        until(lambda: "event=expulsions number=7" in members[1].log(), "it was not told")


def test_a_list_in_a_file_holds_from_the_start(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    crl = tmp_path / "crl.pem"
    crl.write_bytes(authority.revoked(1))
    with enclave(1, secret="", each=lambda number: (*authority.words(number), "--peer-crl", str(crl))) as members:
        out = authority.words(9)
        crl.write_bytes(authority.revoked(2, 9))
        members[0].stop()
        members[0].start()
        joiner = Member(reserve(), reserve(), f"127.0.0.1:{members[0].peer_port}", USUAL, out, "")
        joiner.start()
        try:
            until(lambda: members[0].info()["links_expelled"], "it was let in, or never came")
            assert members[0].info()["enclave_peers_linked"] == 0
        finally:
            joiner.stop()
