"""Keysets of Tink and what is encrypted with them, bit for bit.

A keyset is the bytes of the message ``google.crypto.tink.Keyset``; a ciphertext begins with 1 and the id of its key, unless
the key is raw. https://developers.google.com/tink/wire-format
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tule.engines.duckdb.functions.udfs import Row

_URL = "type.googleapis.com/google.crypto.tink."
_GCM, _SIV = _URL + "AesGcmKey", _URL + "AesSivKey"
# How a key is made: its type, the field of its bytes in its message, how many bytes it has.
_NEW = {"AEAD_AES_GCM_256": (_GCM, 3, 32), "DETERMINISTIC_AEAD_AES_SIV_CMAC_256": (_SIV, 2, 64)}
_FIELD = {_GCM: 3, _SIV: 2}
_MATERIALS = ["UNKNOWN_KEYMATERIAL", "SYMMETRIC", "ASYMMETRIC_PRIVATE", "ASYMMETRIC_PUBLIC", "REMOTE"]
_STATUSES = ["UNKNOWN_STATUS", "ENABLED", "DISABLED", "DESTROYED"]
_PREFIXES = ["UNKNOWN_PREFIX", "TINK", "LEGACY", "RAW", "CRUNCHY"]
_ENABLED, _TINK, _RAW = 1, 1, 3
_BLOCK, _NONCE = 16, 12


class _Bad(Exception):
    """Why a keyset or a ciphertext cannot be used."""


@dataclass(frozen=True)
class _Key:
    url: str
    value: bytes
    id: int
    material: int = 1
    status: int = _ENABLED
    prefix: int = _TINK

    @property
    def secret(self) -> bytes:
        """The bytes of the key itself."""
        found = dict(_fields(self.value)).get(_FIELD.get(self.url, 0))
        if not isinstance(found, bytes) or not found:
            raise _Bad(f"keys of type {self.url or '(none)'} are not supported")
        return found

    @property
    def head(self) -> bytes:
        """What its ciphertexts begin with."""
        return b"" if self.prefix == _RAW else bytes([1 if self.prefix == _TINK else 0]) + self.id.to_bytes(4, "big")


@dataclass(frozen=True)
class _Keyset:
    primary: int
    keys: tuple[_Key, ...]

    def first(self, url: str) -> _Key:
        """The key that encrypts."""
        for each in self.keys:
            if each.id == self.primary and each.status == _ENABLED:
                if each.url != url:
                    raise _Bad(f"the primary key is of type {each.url}, not {url}")
                return each
        raise _Bad("the keyset has no enabled primary key")

    def added(self, key: _Key, *, primary: bool = False) -> _Keyset:
        return _Keyset(key.id if primary else self.primary, (*self.keys, key))


# -- messages


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _message(*fields: tuple[int, int | bytes]) -> bytes:
    made = b""
    for number, value in fields:
        if isinstance(value, bytes):
            made += _varint(number << 3 | 2) + _varint(len(value)) + value
        else:
            made += _varint(number << 3) + _varint(value)
    return made


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """The fields of a message: (number, value)."""
    found: list[tuple[int, int | bytes]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(message) or shift > 63:
                raise _Bad("not a valid keyset")
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
        elif tag & 7 == 2:
            size = varint()
            if at + size > len(message):
                raise _Bad("not a valid keyset")
            found.append((tag >> 3, message[at : at + size]))
            at += size
        else:
            raise _Bad("not a valid keyset")
    return found


def _number(fields: dict[int, int | bytes], number: int) -> int:
    value = fields.get(number, 0)
    if not isinstance(value, int):
        raise _Bad("not a valid keyset")
    return value


def _bytes(fields: dict[int, int | bytes], number: int) -> bytes:
    value = fields.get(number, b"")
    if not isinstance(value, bytes):
        raise _Bad("not a valid keyset")
    return value


def _read(keyset: bytes) -> _Keyset:
    primary, keys = 0, []
    for number, value in _fields(keyset):
        if number == 1 and isinstance(value, int):
            primary = value
        elif number == 2 and isinstance(value, bytes):
            fields = dict(_fields(value))
            data = dict(_fields(_bytes(fields, 1)))
            try:
                url = _bytes(data, 1).decode()
            except UnicodeDecodeError:
                raise _Bad("not a valid keyset") from None
            keys.append(
                _Key(url, _bytes(data, 2), _number(fields, 3), _number(data, 3), _number(fields, 2), _number(fields, 4))
            )
    if not keys:
        raise _Bad("A valid keyset must contain at least one key.")
    return _Keyset(primary, tuple(keys))


def _written(keyset: _Keyset) -> bytes:
    fields: list[tuple[int, int | bytes]] = [(1, keyset.primary)]
    for each in keyset.keys:
        data = _message((1, each.url.encode()), (2, each.value), (3, each.material))
        fields.append((2, _message((1, data), (2, each.status), (3, each.id), (4, each.prefix))))
    return _message(*fields)


# -- ciphers


def _gcm(key: bytes, text: bytes, more: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, text, more)


def _ungcm(key: bytes, sealed: bytes, more: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(sealed) < _NONCE + _BLOCK:
        raise _Bad("decryption failed")
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], more)
    except InvalidTag:
        raise _Bad("decryption failed") from None


def _cmac(key: bytes, text: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.cmac import CMAC

    made = CMAC(AES(key))
    made.update(text)
    return made.finalize()


def _doubled(block: bytes) -> bytes:
    number = int.from_bytes(block, "big") << 1
    return ((number & (1 << 128) - 1) ^ (0x87 if number >> 128 else 0)).to_bytes(_BLOCK, "big")


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _synthetic(key: bytes, text: bytes, more: bytes) -> bytes:
    """S2V of RFC 5297 over one associated string and the text, either of which may be empty."""
    block = _xor(_doubled(_cmac(key, bytes(_BLOCK))), _cmac(key, more))
    if len(text) >= _BLOCK:
        return _cmac(key, text[:-_BLOCK] + _xor(text[-_BLOCK:], block))
    return _cmac(key, _xor(_doubled(block), (text + b"\x80").ljust(_BLOCK, b"\0")))


def _counted(key: bytes, text: bytes, start: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    counter = bytearray(start)
    counter[8] &= 0x7F
    counter[12] &= 0x7F
    made = Cipher(AES(key), CTR(bytes(counter))).encryptor()
    return made.update(text) + made.finalize()


def _siv(key: bytes, text: bytes, more: bytes) -> bytes:
    half = len(key) // 2
    start = _synthetic(key[:half], text, more)
    return start + _counted(key[half:], text, start)


def _unsiv(key: bytes, sealed: bytes, more: bytes) -> bytes:
    import hmac

    if len(sealed) < _BLOCK:
        raise _Bad("decryption failed")
    half = len(key) // 2
    text = _counted(key[half:], sealed[_BLOCK:], sealed[:_BLOCK])
    if not hmac.compare_digest(_synthetic(key[:half], text, more), sealed[:_BLOCK]):
        raise _Bad("decryption failed")
    return text


_CIPHERS: dict[str, tuple[Callable[..., bytes], Callable[..., bytes], str]] = {
    _GCM: (_gcm, _ungcm, "AEAD"),
    _SIV: (_siv, _unsiv, "Deterministic AEAD"),
}


def _encrypted(url: str, keyset: bytes, text: bytes, more: bytes) -> bytes:
    key = _usable(url, keyset).first(url)
    return key.head + _CIPHERS[url][0](key.secret, text, more)


def _usable(url: str, keyset: bytes) -> _Keyset:
    try:
        return _read(keyset)
    except _Bad as error:
        raise _Bad(f"Creation of {_CIPHERS[url][2]} primitive failed: {error}") from None


def _decrypted(url: str, keyset: bytes, sealed: bytes, more: bytes) -> bytes:
    """By the key that the ciphertext names, else by any raw one."""
    keys = [each for each in _usable(url, keyset).keys if each.status == _ENABLED and each.url == url]
    named = [each for each in keys if each.head and sealed.startswith(each.head)]
    for each in (*named, *(each for each in keys if not each.head)):
        try:
            return _CIPHERS[url][1](each.secret, sealed[len(each.head) :], more)
        except _Bad:
            continue
    raise _Bad("decryption failed")


# -- keysets


def _fresh(kind: str, taken: tuple[_Key, ...] = ()) -> _Key:
    if kind not in _NEW:
        raise _Bad(f"Unsupported key type: {kind}; it is one of {', '.join(_NEW)}")
    url, field, size = _NEW[kind]
    return _Key(url, _message((field, os.urandom(size))), _free_id(taken))


def _free_id(taken: tuple[_Key, ...]) -> int:
    while True:
        number = int.from_bytes(os.urandom(4), "big")
        if number and number not in (each.id for each in taken):
            return number


def _new(kind: str, _: str) -> bytes:
    key = _fresh(kind)
    return _written(_Keyset(key.id, (key,)))


def _rotated(keyset: bytes, kind: str, _: str) -> bytes:
    found = _read(keyset)
    return _written(found.added(_fresh(kind, found.keys), primary=True))


def _with_raw(keyset: bytes, kind: str, raw: bytes, _: str) -> bytes:
    found = _read(keyset)
    if kind == "AES_CBC_PKCS":
        raise _Bad("Tule has no keys of type AES_CBC_PKCS; use AES_GCM")
    if kind != "AES_GCM":
        raise _Bad(f"Unsupported key type: {kind}; it is AES_GCM")
    if len(raw) not in (16, 32):
        raise _Bad(f"the raw bytes of a key of type AES_GCM must be 16 or 32; given: {len(raw)}")
    return _written(found.added(_Key(_GCM, _message((3, raw)), _free_id(found.keys), prefix=_RAW)))


def _json(keyset: bytes) -> str:
    found = _read(keyset)
    keys = [
        {
            "keyData": {
                "keyMaterialType": _named(_MATERIALS, each.material),
                "typeUrl": each.url,
                "value": base64.b64encode(each.value).decode(),
            },
            "keyId": each.id,
            "outputPrefixType": _named(_PREFIXES, each.prefix),
            "status": _named(_STATUSES, each.status),
        }
        for each in found.keys
    ]
    return json.dumps({"key": keys, "primaryKeyId": found.primary}, separators=(",", ":"))


def _named(names: list[str], number: int) -> str:
    if number >= len(names):
        raise _Bad("not a valid keyset")
    return names[number]


def _from_json(text: str) -> bytes:
    try:
        given = json.loads(text)
        keys = tuple(
            _Key(
                str(each["keyData"]["typeUrl"]), base64.b64decode(each["keyData"]["value"], validate=True),
                int(each["keyId"]), _MATERIALS.index(each["keyData"]["keyMaterialType"]),
                _STATUSES.index(each["status"]), _PREFIXES.index(each["outputPrefixType"]),
            )
            for each in given["key"]
        )  # fmt: skip
        primary = int(given["primaryKeyId"])
    except (ValueError, KeyError, TypeError):
        raise _Bad("not a valid JSON keyset") from None
    if not keys or not all(0 <= each < 2**32 for each in (primary, *(key.id for key in keys))):
        raise _Bad("not a valid JSON keyset")
    return _written(_Keyset(primary, keys))


def _told(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose failures say which one it was."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except _Bad as error:
            raise ValueError(f"tule: {name} failed: {error}") from None

    return call


def _text(url: str, keyset: bytes, sealed: bytes, more: str) -> str:
    try:
        return _decrypted(url, keyset, sealed, more.encode()).decode()
    except UnicodeDecodeError:
        other = "AEAD.DECRYPT_BYTES" if url == _GCM else "DETERMINISTIC_DECRYPT_BYTES"
        raise _Bad(f"Decrypted plaintext is not a valid UTF-8 string. To decrypt to BYTES, use {other}") from None


def _of(prefix: str, url: str, encrypt: str) -> tuple[Row, ...]:
    """ENCRYPT and DECRYPT of one family; the last argument of ENCRYPT makes each row another."""
    name = prefix.lower().replace(".", "_")
    return (
        (f"tule_{name}encrypt", _told(encrypt, lambda k, t, a, _: _encrypted(url, k, t, a)), "BLOB, BLOB, BLOB, VARCHAR",
         "BLOB"),
        (f"tule_{name}decrypt_bytes", _told(f"{prefix}DECRYPT_BYTES", lambda k, c, a: _decrypted(url, k, c, a)),
         "BLOB, BLOB, BLOB", "BLOB"),
        (f"tule_{name}decrypt_string", _told(f"{prefix}DECRYPT_STRING", lambda k, c, a: _text(url, k, c, a)),
         "BLOB, BLOB, VARCHAR", "VARCHAR"),
    )  # fmt: skip


FUNCTIONS: tuple[Row, ...] = (
    *_of("AEAD.", _GCM, "AEAD.ENCRYPT"),
    *_of("DETERMINISTIC_", _SIV, "DETERMINISTIC_ENCRYPT"),
    ("tule_keys_new_keyset", _told("KEYS.NEW_KEYSET", _new), "VARCHAR, VARCHAR", "BLOB"),
    ("tule_keys_rotate_keyset", _told("KEYS.ROTATE_KEYSET", _rotated), "BLOB, VARCHAR, VARCHAR", "BLOB"),
    ("tule_keys_add_key_from_raw_bytes", _told("KEYS.ADD_KEY_FROM_RAW_BYTES", _with_raw), "BLOB, VARCHAR, BLOB, VARCHAR",
     "BLOB"),
    ("tule_keys_keyset_length", _told("KEYS.KEYSET_LENGTH", lambda keyset: len(_read(keyset).keys)), "BLOB", "BIGINT"),
    ("tule_keys_keyset_to_json", _told("KEYS.KEYSET_TO_JSON", _json), "BLOB", "VARCHAR"),
    ("tule_keys_keyset_from_json", _told("KEYS.KEYSET_FROM_JSON", _from_json), "VARCHAR", "BLOB"),
)  # fmt: skip
