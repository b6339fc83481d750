"""RSA keys of service accounts, each in a file of the data directory that is made when the key is first needed."""

from __future__ import annotations

import functools
import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tule.kernel.errors import FailedPrecondition
from tule.kernel.home import read_private, write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_MAKING = threading.Lock()


class ServiceKey:
    """The key pair of one account. Safe to use from any thread."""

    def __init__(self, email: str, path: Path) -> None:
        self.email = email
        self._path = path

    @functools.cached_property
    def _key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        path = self._path
        with _MAKING:
            if not path.exists():
                made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
                pem = made.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                write_private(path, pem)
            try:
                key = serialization.load_pem_private_key(read_private(path), password=None)
            except ValueError as error:
                raise FailedPrecondition(
                    "The service account's key must be readable", given=path, do=f"delete {path}; a new one is made"
                ) from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise FailedPrecondition("The service account's key must be an RSA key", given=path, do=f"delete {path}")
        return key

    @functools.cached_property
    def id(self) -> str:
        """What the header of a token names the key by: the SHA-1 of its public half."""
        from cryptography.hazmat.primitives import serialization

        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha1(public, usedforsecurity=False).hexdigest()

    def credentials(self, project: str, token_endpoint: str) -> dict[str, str]:
        """The key as Google writes it: a file of application-default credentials."""
        from cryptography.hazmat.primitives import serialization

        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": self.id,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": str(int(self.id[:16], 16) % 10**21).zfill(21),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_endpoint,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{quote(self.email, safe='')}",
            "universe_domain": "googleapis.com",
        }

    def sign(self, message: bytes) -> bytes:
        """The account's signature of ``message`` (RSA PKCS#1 v1.5, SHA-256)."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return self._key.sign(message, PKCS1v15(), SHA256())

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed ``message``."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self._key.public_key().verify(signature, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True
