"""Makes certificates and TLS contexts from the cluster's secret, or from an operator's own certificates.

    secret --scrypt--> master --HKDF "authority"--> Ed25519 key of the certificate authority
                              --HKDF "record ids"--> the 64-bit key of the record ids
                              --HKDF "knock"--> the key of what a node that dials shows first (knock.py)

Every node derives the same authority, mints a certificate of its own at its start, and accepts who was signed by the
authority of either of up to two secrets: so a secret is rotated without a moment in which nodes turn each other
away. It speaks for itself under the first one. A node's key is made in memory and dies with the process, and
its number is made from it.

OpenSSL takes certificate and key from files alone. They are written to a memory file where there is one (Linux), else
to a private directory that is removed at once, and the key only ever encrypted under a password that stays here.

Only key material and contexts live in this file: who talks to whom is decided by `peer.py` and the gossip core.
"""

import contextlib
import os
import re
import secrets
import ssl
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from respram.errors import ConfigError
from respram.gossip.identity import name_of, number_of

AUTHORITIES_MAX = 8  # of an operator, with whose knocks a node tries what a stranger says
SECRETS_MAX = 2  # the present one and, during a rotation, its neighbour
FRESH_BYTES = 32
SECRET_PREFIX = "rs1_"
CHECK_BYTES, CHECK_CHARS = 4, 6
SECRET_FORM = re.compile(SECRET_PREFIX + r"[A-Za-z0-9_-]{49}")
DISTINCT_MIN = 16  # distinct bytes among 32 random ones; fewer occur once in 10^14 draws, or in a typed secret

# scrypt: 32 MiB and about 0.1 s, once at the start. The salt is fixed, because all nodes must come to the same
# key from the secret alone; the protection is that secrets are 256 random bits.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1
SCRYPT_SALT = b"respram peers, version 1"

# Certificates are good at any time: nodes with wrong clocks must be able to tell each other so (HELLO compares clocks).
VALID_FROM, VALID_UNTIL = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
PEER_NAME = "peer.respram"

Master = bytes


class Trust(NamedTuple):
    """How this node proves itself to its peers, and which proofs it accepts."""

    accepting: ssl.SSLContext
    dialling: ssl.SSLContext
    ids_key: int  # the key of record ids: equal on all nodes of the cluster
    source: str  # "secret" or "certificates", for the log
    key: Ed25519PrivateKey | None = None  # of this process, if it made one
    number: int = 0  # the number derived from that key (identity.py)
    name: int = 0  # the node that an operator's certificate names (identity.py)
    knocks: tuple[bytes, ...] = ()  # the keys of knocks (knock.py), the one to dial with first

    def believes_more_than(self, other: "Trust") -> bool:
        """Whether this trust accepts a peer that the other would refuse."""
        believed, there = (set(one.accepting.get_ca_certs(binary_form=True)) for one in (self, other))
        return not believed <= there


@dataclass(frozen=True, slots=True)
class OwnCertificates:
    """Paths of an operator's own PKI."""

    certificate: str
    key: str = field(repr=False)
    authority: str


# -- secrets --------------------------------------------------------------------------------------
def fresh_secret() -> str:
    """What `respram secret` prints: 256 random bits in 53 characters that need no quoting."""
    return spell_secret(secrets.token_bytes(FRESH_BYTES))


def spell_secret(bits: bytes) -> str:
    """What is derived from a secret is shown to strangers (a certificate), who may try secrets against it for as long
    as they like: so a secret must be drawn, not thought of. No estimate can tell the two apart. This form can: nobody
    thinks of its checksum.
    """
    return SECRET_PREFIX + _letters(bits) + _letters(sha256(SECRET_PREFIX.encode() + bits).digest()[:CHECK_BYTES])


def _letters(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _is_drawn(secret: str) -> bool:
    if not SECRET_FORM.fullmatch(secret):
        return False
    bits = urlsafe_b64decode(secret[len(SECRET_PREFIX) : -CHECK_CHARS] + "=")
    return compare_digest(secret, spell_secret(bits)) and len(set(bits)) >= DISTINCT_MIN


def parse_secrets(text: str) -> tuple[str, ...]:
    """One secret per line, the one to speak under first. ConfigError where one was not drawn; it is never quoted."""
    found = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not found:
        raise ConfigError("the cluster secret is empty; make one with `respram secret`")
    if len(found) > SECRETS_MAX:
        raise ConfigError(
            f"the cluster secret has {len(found)} lines; at most {SECRETS_MAX}: the present one and the next or the "
            "last"
        )
    if len(set(found)) < len(found):
        raise ConfigError("the cluster secret has the same line twice; keep one of them")
    for number, one in enumerate(found, 1):
        if not _is_drawn(one):
            which = f"line {number} of the cluster secret" if len(found) > 1 else "the cluster secret"
            why = (
                "was cut short or mistyped" if one.startswith(SECRET_PREFIX) else f"does not begin with {SECRET_PREFIX}"
            )
            raise ConfigError(f"{which} was not made by `respram secret`: it {why}; make one with `respram secret`")
    return found


def stretch(secret: str) -> Master:
    return Scrypt(salt=SCRYPT_SALT, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(secret.encode())


def expand(master: Master, purpose: bytes, length: int) -> bytes:
    return HKDFExpand(hashes.SHA256(), length, b"respram " + purpose).derive(master)


def ids_key_of(master: Master) -> int:
    return int.from_bytes(expand(master, b"record ids", 8), "little")


def knock_key_of(master: Master) -> bytes:
    return expand(master, b"knock", 32)


# -- contexts -------------------------------------------------------------------------------------
def trust_by_secret(found: tuple[str, ...], own: Ed25519PrivateKey | None = None) -> Trust:
    """Contexts for a node that speaks under the first secret and believes all of them. `own`: its key so far."""
    masters = [stretch(one) for one in found]
    authorities = [Ed25519PrivateKey.from_private_bytes(expand(master, b"authority", 32)) for master in masters]
    believed = "".join(_pem(authority_certificate(one)) for one in authorities)
    key = own or Ed25519PrivateKey.generate()
    certificate = _pem(node_certificate(authorities[0], key))
    accepting, dialling = contexts()
    for context in (accepting, dialling):
        context.load_verify_locations(cadata=believed)
        load_in_memory(context, certificate, key)
    knocks = tuple(map(knock_key_of, masters))
    number = _number_of(key.public_key())
    return Trust(accepting, dialling, ids_key_of(masters[0]), "secret", key, number, knocks=knocks)


def number_shown(certificate: bytes | None) -> int:
    """The number that belongs to the key of a certificate that TLS has accepted. 0: there is none."""
    return _number_of(x509.load_der_x509_certificate(certificate).public_key()) if certificate is not None else 0


def name_shown(certificate: bytes | None) -> int:
    """The name in an operator's certificate: its subject, or the alternative names of one without."""
    return _name_of(x509.load_der_x509_certificate(certificate)) if certificate is not None else 0


def _name_of(found: x509.Certificate) -> int:
    named = found.subject.public_bytes()
    if not found.subject.rdns:
        with contextlib.suppress(x509.ExtensionNotFound, ValueError):
            named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.public_bytes()
    return name_of(named)


def _number_of(key: CertificatePublicKeyTypes) -> int:
    return number_of(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def trust_by_certificates(own: OwnCertificates) -> Trust:
    """Contexts from an operator's files. Without a secret the keys of the record ids and of knocks come from the
    authorities' certificates.
    """
    accepting, dialling = contexts()
    try:
        authority = Path(own.authority).read_bytes()
    except OSError as error:
        raise ConfigError(f"--peer-ca {own.authority} cannot be read: {error.strerror}") from None
    for context in (accepting, dialling):
        try:
            context.load_verify_locations(cafile=own.authority)
        except ssl.SSLError:
            raise ConfigError(
                f"--peer-ca {own.authority} holds no certificate in PEM form; name the right file"
            ) from None
        _load_files(context, own)
    _check_own(accepting, dialling, own)
    fingerprints = [one.fingerprint(hashes.SHA256()) for one in x509.load_pem_x509_certificates(authority)]
    knocks = tuple(map(knock_key_of, fingerprints[:AUTHORITIES_MAX]))
    mine = _name_of(x509.load_pem_x509_certificates(Path(own.certificate).read_bytes())[0])
    return Trust(accepting, dialling, ids_key_of(fingerprints[0]), "certificates", name=mine, knocks=knocks)


def _check_own(accepting: ssl.SSLContext, dialling: ssl.SSLContext, own: OwnCertificates) -> None:
    """Makes a handshake with itself, so that a certificate that peers would refuse is found at the start.
    """
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = dialling.wrap_bio(outward, inward), accepting.wrap_bio(inward, outward, server_side=True)
    for side in sides * 2:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            raise ConfigError(
                f"--peer-cert {own.certificate} would be refused by a peer that trusts --peer-ca "
                f"{own.authority}: {error.verify_message}"
            ) from None


def _load_files(context: ssl.SSLContext, own: OwnCertificates) -> None:
    def no_password() -> str:
        raise ConfigError(f"--peer-key {own.key} is encrypted, and a server cannot ask for the password; give a key "
                          "without one")

    try:
        context.load_cert_chain(own.certificate, own.key, no_password)
    except ssl.SSLError:
        raise ConfigError(
            f"--peer-cert {own.certificate} and --peer-key {own.key} do not belong together, or are not in PEM form"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"--peer-cert {own.certificate} or --peer-key {own.key} cannot be read: {error.strerror}"
        ) from None


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS 1.3 alone, certificates demanded on both sides, no tickets: links last, and resume by HELLO.

    A peer is whoever the authority signed, wherever it is dialled, so host names are not compared.
    """
    accepting, dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (accepting, dialling):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    accepting.num_tickets = 0
    return accepting, dialling


def authority_certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """The authority's certificate: the same bytes on every node, since nothing in it is random, not even the
    signature."""
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _authority_name(key)
    return (
        _certificate(name, name, key, serial=1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, None)
    )


def node_certificate(
    authority: Ed25519PrivateKey, key: Ed25519PrivateKey, name: str = PEER_NAME
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    both_ways = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        _certificate(subject, _authority_name(authority), key, serial=x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(both_ways, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(PEER_NAME)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority, None)
    )


def _authority_name(key: Ed25519PrivateKey) -> x509.Name:
    """The authority's name, made of its key, so that the authorities of two secrets can stand side by side."""
    digest = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"respram cluster {digest.hex()}")])


def _certificate(subject: x509.Name, issuer: x509.Name, key: Ed25519PrivateKey, serial: int) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(serial).not_valid_before(VALID_FROM).not_valid_after(VALID_UNTIL)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def load_in_memory(context: ssl.SSLContext, certificate: str, key: Ed25519PrivateKey) -> None:
    """Hands certificate and key to OpenSSL by way of a file that no disk ever has in the clear."""
    password = secrets.token_hex(32).encode()
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(password)
    )
    content = certificate.encode() + locked
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("respram-peer-certificate", os.MFD_CLOEXEC)
        try:
            os.write(handle, content)
            context.load_cert_chain(f"/proc/self/fd/{handle}", password=password)
        finally:
            os.close(handle)
        return
    with tempfile.TemporaryDirectory(prefix="respram-") as folder:  # readable by this user only
        file = Path(folder) / "certificate"
        file.write_bytes(content)
        context.load_cert_chain(file, password=password)
