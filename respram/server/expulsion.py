"""Revoked certificates: loads and checks the revocation lists of the authorities, and finds the names on them."""

from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from respram.errors import ConfigError
from respram.gossip.expulsions import LIST_BYTES_MAX
from respram.server.secret import Trust

PEM = b"-----BEGIN X509 CRL"

Named = tuple[bytes, int]  # a certificate: issuer and serial number


def load(data: bytes) -> x509.CertificateRevocationList:
    """Parses a revocation list in PEM or DER. Raises ValueError."""
    return x509.load_pem_x509_crl(data) if data.lstrip().startswith(PEM) else x509.load_der_x509_crl(data)


def check(data: bytes, trust: Trust | None) -> tuple[bytes, int] | None:
    """The authority's name and the list's number, if somebody has signed it whom this node believes."""
    try:
        found = load(data)
        number = _number(found)
    except (ValueError, x509.DuplicateExtension):
        return None
    for one in trust.accepting.get_ca_certs(binary_form=True) if trust is not None else ():
        authority = x509.load_der_x509_certificate(one)
        if authority.subject == found.issuer and _has_signed(authority, found):
            return found.issuer.public_bytes(), number
    return None


def _number(found: x509.CertificateRevocationList) -> int:
    """The list's own number, which only grows. A list without one counts by the moment at which it was made."""
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return int(found.last_update_utc.timestamp())


def _has_signed(authority: x509.Certificate, found: x509.CertificateRevocationList) -> bool:
    try:
        # A key that cannot sign raises.
        return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature):
        return False


def names(lists: Iterable[bytes]) -> frozenset[Named]:
    """The names of all certificates on the checked lists."""
    found = map(load, lists)
    return frozenset((one.issuer.public_bytes(), entry.serial_number) for one in found for entry in one)


def name_of(certificate: bytes | None) -> Named | None:
    """The name of a peer's certificate (DER) that TLS has accepted."""
    if not certificate:
        return None
    found = x509.load_der_x509_certificate(certificate)
    return found.issuer.public_bytes(), found.serial_number


def read_file(path: str, trust: Trust) -> bytes:
    """Reads the file of --peer-crl. Raises ConfigError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"--peer-crl {path} cannot be read: {error.strerror}") from None
    if len(data) > LIST_BYTES_MAX or check(data, trust) is None:
        raise ConfigError(f"--peer-crl {path} is not a revocation list signed by the authority in --peer-ca")
    return data
