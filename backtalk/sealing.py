"""Columns that are encrypted at rest: what people wrote and what was answered (SEC-18).

With the setting `encrypt`, texts are sealed with AES-GCM before they reach the database and opened when they leave it;
rows from before stay readable, and `backtalk key apply` seals them too. The data keys lie in `keys/columns.json`,
wrapped by a key that is derived from the secret key: where that lies elsewhere, the data directory opens nothing.
"""

import base64
import json
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

LOOK_AGAIN = 1.0
"""Seconds after which the key file is looked at again: another process may have turned the keys."""
MARK = "\ufdd0"
"""Begins a sealed text: a code point that stands for no character. One that a person typed is written twice."""
PLAIN = "="
BYTES_MARK = b"\xff" * 4
"""Begins sealed token ids; as a token it would be -1."""
NONCE_BYTES = 12


class SealingError(RuntimeError):
    """What is sealed cannot be opened; the message says what is missing."""


class Ring:
    """The data keys: the newest seals, all of them open. Made once a process, used by every sealed column."""

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path = path
        self._wrapping = AESGCM(HKDF(SHA256(), 32, None, b"backtalk columns").derive(secret))
        self._lock = threading.Lock()
        self._keys: dict[int, AESGCM] = {}
        self._current = 0
        self._stamp = 0
        self._looked_at = float("-inf")

    @property
    def current(self) -> int:
        """The key that seals now."""
        self._look()
        return self._current

    def seal(self, content: bytes, label: bytes) -> bytes:
        """Encrypt and authenticate, bound to the column named `label`: key number, nonce, ciphertext."""
        self._look()
        number, nonce = self._current.to_bytes(4, "big"), secrets.token_bytes(NONCE_BYTES)
        return number + nonce + self._keys[self._current].encrypt(nonce, content, label + number)

    def unseal(self, sealed: bytes, label: bytes) -> bytes:
        """Decrypt.

        Raises:
            SealingError: it was changed, or its key is not here.
        """
        number, nonce = sealed[:4], sealed[4 : 4 + NONCE_BYTES]
        key = self._key(int.from_bytes(number, "big"))
        try:
            return key.decrypt(nonce, sealed[4 + NONCE_BYTES :], label + number)
        except InvalidTag as error:
            raise SealingError(
                f"a value of {label.decode()} was changed outside of Backtalk; restore a backup"
            ) from error

    def turn(self) -> int:
        """Add a fresh key, which seals from now on; returns its number. Other processes notice within a second."""
        with self._lock:
            keys = self._read()
            number = max(keys, default=0) + 1
            self._write(keys | {number: secrets.token_bytes(32)})
        self._look(now=True)
        return number

    def drop(self, numbers: set[int]) -> None:
        """Forget keys that nothing is sealed with any more."""
        with self._lock:
            self._write({number: key for number, key in self._read().items() if number not in numbers})
        self._look(now=True)

    def numbers(self) -> set[int]:
        """All keys there are."""
        self._look(now=True)
        return set(self._keys)

    def _key(self, number: int) -> AESGCM:
        if number not in self._keys:
            self._look(now=True)
        try:
            return self._keys[number]
        except KeyError:
            raise SealingError(
                f"column key {number} is not in {self._path}; put the file back that was there when it was used"
            ) from None

    def _look(self, now: bool = False) -> None:
        if not now and time.monotonic() - self._looked_at < LOOK_AGAIN:
            return
        with self._lock:
            self._looked_at = time.monotonic()
            try:
                stamp = self._path.stat().st_mtime_ns
            except FileNotFoundError:
                return
            if stamp != self._stamp:
                keys = {number: AESGCM(key) for number, key in self._read().items()}
                self._keys, self._current, self._stamp = keys, max(keys, default=0), stamp

    def _read(self) -> dict[int, bytes]:
        try:
            wrapped: dict[str, str] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        try:
            return {int(number): self._unwrap(int(number), bytes.fromhex(key)) for number, key in wrapped.items()}
        except (InvalidTag, ValueError) as error:
            raise SealingError(
                f"{self._path} cannot be opened with this secret key; give the one that was used when it was made"
            ) from error

    def _unwrap(self, number: int, wrapped: bytes) -> bytes:
        return self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], str(number).encode())

    def _write(self, keys: dict[int, bytes]) -> None:
        content = {}
        for number, key in keys.items():
            nonce = secrets.token_bytes(NONCE_BYTES)
            content[number] = (nonce + self._wrapping.encrypt(nonce, key, str(number).encode())).hex()
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class _State:
    """What the columns of this process use."""

    ring: Ring | None = None
    seals: bool = False


def use(path: Path, secret: bytes, *, encrypt: bool) -> None:
    """Set what the columns of this process use; makes the first key if one is needed.

    Args:
        path: the key file.
        secret: what the wrapping key is derived from.
        encrypt: whether new values are sealed. Sealed ones can be read as long as the key file is there.
    """
    _State.seals = encrypt
    if not encrypt and not path.exists():
        _State.ring = None
        return
    _State.ring = Ring(path, secret)
    if encrypt and not _State.ring.numbers():
        _State.ring.turn()


def ring() -> Ring | None:
    """The keys in use, if there are any."""
    return _State.ring


def seals() -> bool:
    """Are new values sealed?"""
    return _State.seals


def _demand_ring() -> Ring:
    if _State.ring is None:
        raise SealingError("a value is sealed and there are no column keys; put keys/columns.json back")
    return _State.ring


class SealedText(TypeDecorator[str]):
    """A text column that may be sealed. A blank text is kept as it is: it hides nothing, and queries look for it."""

    impl = sa.String
    cache_ok = True

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    @override
    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not value.strip():
            return value
        if not _State.seals:
            return MARK + PLAIN + value if value.startswith(MARK) else value
        return MARK + base64.b64encode(_demand_ring().seal(value.encode(), self.label.encode())).decode()

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not value.startswith(MARK):
            return value
        if value.startswith(PLAIN, len(MARK)):
            return value[len(MARK + PLAIN) :]
        return _demand_ring().unseal(base64.b64decode(value[len(MARK) :]), self.label.encode()).decode()


class SealedBytes(TypeDecorator[bytes]):
    """Token ids that may be sealed: they are text in other letters."""

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    @override
    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if not value or not _State.seals:
            return value
        return BYTES_MARK + _demand_ring().seal(value, self.label.encode())

    @override
    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if value is None or not value.startswith(BYTES_MARK):
            return value
        return _demand_ring().unseal(value[len(BYTES_MARK) :], self.label.encode())


class SealedJson(TypeDecorator[Any]):
    """JSON that may be sealed; then it is a single text."""

    impl = sa.JSON
    cache_ok = True

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    @override
    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or not _State.seals:
            return value
        content = json.dumps(value, ensure_ascii=False).encode()
        return MARK + base64.b64encode(_demand_ring().seal(content, self.label.encode())).decode()

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if not isinstance(value, str) or not value.startswith(MARK):
            return value
        return json.loads(_demand_ring().unseal(base64.b64decode(value[len(MARK) :]), self.label.encode()))


Sealed = SealedText | SealedBytes | SealedJson


def sealed_with(value: Any) -> int | None:
    """The number of the key that a value, as it lies in the database, is sealed with; None if it is not."""
    if isinstance(value, bytes):
        return int.from_bytes(value[4:8], "big") if value.startswith(BYTES_MARK) else None
    if isinstance(value, str) and value.startswith(MARK) and not value.startswith(MARK + PLAIN):
        return int.from_bytes(base64.b64decode(value[len(MARK) :])[:4], "big")
    return None
