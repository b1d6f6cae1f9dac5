"""Detached Ed25519 signatures (RFC 8032) of a list of checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def read_private_key(path: str | Path) -> Ed25519PrivateKey:
    """An Ed25519 private key from a PEM file that is not encrypted; InputError names a file that holds none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _bytes(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise InputError(f"{path}: the private key is encrypted; give one that is not") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path}: not a private key in PEM; `openssl genpkey -algorithm ed25519` makes one") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: not an Ed25519 key; `openssl genpkey -algorithm ed25519` makes one")
    return key


def read_public_key(path: str | Path) -> Ed25519PublicKey:
    """An Ed25519 public key from a PEM file; InputError names a file that holds none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_bytes(path))
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path}: not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{path}: not an Ed25519 key")
    return key


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half of a key as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def is_signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether the 64 bytes `signature` of `content` were made with the private half of `key`."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def fingerprint(key: Ed25519PublicKey) -> str:
    """Hex sha256 of the 32 bytes of a public key, by which two people compare it."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the key cannot be read ({error.strerror})") from None
