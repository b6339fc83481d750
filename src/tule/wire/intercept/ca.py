"""A private certificate authority: made once for a data directory, it vouches for Google's names on this machine only.

The root's key never leaves the data directory (mode 0600). Leaves are made in memory for the host that a tunnel asks
for. ``bundle`` is what clients are told to trust: the usual public roots and ours, so that other hosts verify as always.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tule.kernel.clock import Clock
from tule.kernel.home import Home, read_private, write_private
from tule.wire.intercept.names import ALSO, GOOGLE, METADATA

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_ROOT_YEARS = 10
_LEAF_DAYS = 90
_DAY = datetime.timedelta(days=1)
# A leaf is made anew long before it expires, for servers that run for months.
_RENEW = 30 * _DAY


class CertificateAuthority:
    """The authority of one data directory. Safe to use from any thread."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self._folder = home.folder("credentials")
        self._clock = clock
        self._contexts: dict[str, tuple[datetime.datetime, ssl.SSLContext]] = {}
        self._lock = threading.Lock()

    @property
    def bundle(self) -> Path:
        """A PEM file with the public roots and ours; written when it is first asked for."""
        import certifi

        path = self._folder / "ca-bundle.pem"
        content = Path(certifi.where()).read_bytes().rstrip() + b"\n" + self._root_pem
        if not path.exists() or path.read_bytes() != content:
            write_private(path, content, replace=True)
        return path

    @property
    def root_path(self) -> Path:
        """Our root alone, as PEM."""
        _ = self._root
        return self._folder / "ca.pem"

    def context(self, host: str | None) -> ssl.SSLContext:
        """A server context whose certificate names ``host`` (None: loopback names), offering h2 and http/1.1."""
        key, now = host or "", self._clock.now()
        with self._lock:
            made, context = self._contexts.get(key, (now, None))
            if context is None or now - made > _RENEW:
                if len(self._contexts) > 256:
                    self._contexts.clear()
                context = self._make_context(host)
                self._contexts[key] = (now, context)
            return context

    @cached_property
    def _root(self) -> tuple[Any, Certificate]:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        key_path, certificate_path = self._folder / "ca.key", self._folder / "ca.pem"
        if not (key_path.exists() and certificate_path.exists()):
            self._make_root(key_path, certificate_path)
        key = serialization.load_pem_private_key(read_private(key_path), None)
        return key, x509.load_pem_x509_certificate(read_private(certificate_path))

    @property
    def _root_pem(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._root[1].public_bytes(Encoding.PEM)

    def _make_root(self, key_path: Path, certificate_path: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tule local authority")])
        now = self._clock.now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 365 * _ROOT_YEARS * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            # Whoever gets hold of the key can stand in for these names only, not for a bank.
            .add_extension(x509.NameConstraints(_permitted(), None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(key_path, pem, replace=True)
        write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), replace=True)

    def _make_context(self, host: str | None) -> ssl.SSLContext:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        root_key, root = self._root
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock.now()
        names = [host] if host else ["localhost", "127.0.0.1", "::1", "googleapis.com", "*.googleapis.com"]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tule")]))
            .issuer_name(root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _LEAF_DAYS * _DAY)
            .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
            .sign(root_key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Ours is the order that counts. Clients of gRPC offer h2 alone; those that offer both (curl, Go) send what only the
        # HTTP/1.1 carrier understands.
        context.set_alpn_protocols(["http/1.1", "h2"])
        # The ssl module loads keys from files only; this one exists for the length of the call.
        handle, path = tempfile.mkstemp(dir=self._folder, prefix=".leaf-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
            context.load_cert_chain(path)
        finally:
            Path(path).unlink()
        return context


def _permitted() -> list[Any]:
    """The names that the authority may vouch for; a name stands for those below it too.

    Addresses are not among them: gRPC's TLS library understands constraints of names only, and refuses others.
    """
    from cryptography import x509

    named = (each for each in METADATA if not each[0].isdigit() and ":" not in each)
    return [x509.DNSName(each) for each in ("localhost", *GOOGLE, *ALSO, *named)]


def _usage(*, sign: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
