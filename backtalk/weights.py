"""Immutable policy versions on disk: publish beside, digest, sign, verify, resolve, prune (rule R9).

A version is `<number>-<digest12>/` with the model's files and `manifest.json`: the SHA-256 and size of each file, where
the version comes from, and an Ed25519 signature over all of that. safetensors only; no code, no links, no other names.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backtalk import __version__
from backtalk.settings import write_once

WORKSPACE = ".making-"
"""What the names of directories begin with in which versions are being made."""
MANIFEST = "manifest.json"
ALLOWED = re.compile(
    r"config\.json|generation_config\.json|model\.safetensors|model-\d{5}-of-\d{5}\.safetensors"
    r"|model\.safetensors\.index\.json|adapter_config\.json|adapter_model\.safetensors"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|vocab\.json|merges\.txt"
    r"|canary\.json|chat_template\.jinja|README\.md|reward_model\.safetensors|reward_model\.json|linear_model\.json"
)
MANIFEST_BYTES = 16 * 1024 * 1024
NEEDED = ("config.json", "tokenizer.json")


class WeightsError(ValueError):
    """A version directory that must not be used, or cannot be made; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says. Made by `publish`, read by whoever loads a version."""

    number: int
    parent: int | None
    run: str | None
    snapshot: str | None  # digest of the run's list of opinions
    recipe: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    backtalk: str = __version__
    files: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> {"sha256", "size"}
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """The canonical form that is digested and signed: everything but the signature."""
        content = {name: getattr(self, name) for name in self.__slots__ if name != "signature"}
        return json.dumps(content, sort_keys=True, ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form: the version's name by content."""
        return hashlib.sha256(self.signed_bytes()).hexdigest()


def publish(
    made: Path,
    weights_dir: Path,
    key: Ed25519PrivateKey,
    *,
    number: int,
    parent: int | None = None,
    run: str | None = None,
    snapshot: str | None = None,
    recipe: dict[str, Any] | None = None,
    report: dict[str, Any] | None = None,
) -> tuple[Path, Manifest]:
    """Turn a directory of files into a version: hash, sign, fsync, rename. `made` is consumed.

    Args:
        made: a directory on the same file system as `weights_dir` (see `workspace`).

    Returns:
        The version's directory and its manifest.
    """
    names = sorted(path.name for path in made.iterdir())
    _check_names(made, names)
    manifest = Manifest(
        number=number,
        parent=parent,
        run=run,
        snapshot=snapshot,
        recipe=recipe or {},
        report=report or {},
        files={name: {"sha256": _sha256(made / name), "size": (made / name).stat().st_size} for name in names},
    )
    signature = key.sign(manifest.signed_bytes()).hex()
    manifest = Manifest(**{name: getattr(manifest, name) for name in Manifest.__slots__} | {"signature": signature})
    content = {name: getattr(manifest, name) for name in Manifest.__slots__}
    (made / MANIFEST).write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False))
    for name in [*names, MANIFEST]:
        os.chmod(made / name, 0o600)
        _fsync(made / name)
    _fsync(made)
    directory = weights_dir / f"{number}-{manifest.digest[:12]}"
    if directory.exists():  # the same bytes published before, by a run that was killed before its transaction
        shutil.rmtree(made)
    else:
        made.rename(directory)
    _fsync(weights_dir)
    return directory, manifest


def workspace(weights_dir: Path, run: object = "") -> Path:
    """A fresh directory beside the versions, to build the next one in; its name tells for which run, if for one."""
    return Path(tempfile.mkdtemp(prefix=f"{WORKSPACE}{run}-", dir=weights_dir))


def verify(directory: Path, public_key: Ed25519PublicKey | None = None) -> Manifest:
    """Check a version before a byte of it is used: signature, then names, then sizes and hashes.

    Args:
        public_key: whose signature is wanted; None checks no signature (an import from elsewhere).

    Raises:
        WeightsError: anything is not as the manifest says.
    """
    manifest = _read_manifest(directory)
    if public_key is not None:
        try:
            signature = bytes.fromhex(manifest.signature)
            if signature.hex() != manifest.signature:
                raise ValueError("written in another way than we write it")
            public_key.verify(signature, manifest.signed_bytes())
        except (InvalidSignature, ValueError) as error:
            raise WeightsError(f"{directory.name}: the signature is not that of this installation's learner") from error
    names = sorted(path.name for path in directory.iterdir() if path.name != MANIFEST)
    if names != sorted(manifest.files):
        odd = sorted(set(names) ^ set(manifest.files))
        raise WeightsError(f"{directory.name}: {odd[0]} is missing or was added; expected exactly the manifest's files")
    _check_names(directory, names)
    for name, expected in manifest.files.items():
        path = directory / name
        if path.stat().st_size != expected.get("size") or _sha256(path) != expected.get("sha256"):
            raise WeightsError(f"{directory.name}/{name}: its bytes are not those that were published")
    return manifest


def run_of(directory: Path) -> str | None:
    """The run that a version says it comes from, unchecked; None where it says nothing that can be read."""
    try:
        return _read_manifest(directory).run
    except WeightsError:
        return None


def _read_manifest(directory: Path) -> Manifest:
    try:
        if (size := (directory / MANIFEST).stat().st_size) > MANIFEST_BYTES:
            raise ValueError(f"it has {size} bytes; at most {MANIFEST_BYTES} are read")
        manifest = Manifest(**json.loads((directory / MANIFEST).read_text()))
        if not isinstance(manifest.signature, str) or not isinstance(manifest.number, int):
            raise ValueError("number and signature are expected as a number and a text")
        if not isinstance(manifest.files, dict) or not all(isinstance(one, dict) for one in manifest.files.values()):
            raise ValueError("files are expected as names with sha256 and size")
        manifest.signed_bytes()  # raises where a text in it is broken
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{directory.name}/{MANIFEST}: {error}; the version cannot be trusted") from error
    return manifest


def copy_model(source: Path, target: Path) -> None:
    """Copy a model's files, and nothing else, from a directory of safetensors.

    Raises:
        WeightsError: it holds no usable model.
    """
    missing = [name for name in NEEDED if not (source / name).is_file()]
    if missing or not any(source.glob("*.safetensors")):
        wanted = ", ".join([*NEEDED, "*.safetensors"])
        raise WeightsError(f"{source} holds no usable model: expected {wanted}; {missing or 'no safetensors'} missing")
    for path in sorted(source.iterdir()):
        if path.is_file() and ALLOWED.fullmatch(path.name):
            _check_link(path)
            shutil.copyfile(path, target / path.name)


def _check_link(path: Path) -> None:
    """A link may lead to a file beside it, or to the blobs of a Hugging Face cache; a model carries nothing else."""
    at, home = path.resolve(), path.parent.resolve()
    blobs = home.parent.parent / "blobs"
    if at.parent != home and not (home.parent.name == "snapshots" and at.parent == blobs):
        raise WeightsError(f"{path} is a link that leads out of the model, to {at}; put the file itself there")


def fetch_model(model: str) -> Path:
    """Directory of the model that the setting `model` names: the starter, a directory, or a Hugging Face id.

    Raises:
        WeightsError: it cannot be had.
    """
    if model == "starter":
        from backtalk import starter

        return Path(starter.FILES)
    if Path(model).is_dir():
        return Path(model)
    from backtalk import hub

    return hub.fetch(model)


def signing_key(keys_dir: Path) -> Ed25519PrivateKey:
    """The learner's key, made on first use (0600), its public half beside it."""
    fresh = Ed25519PrivateKey.generate()
    if write_once(keys_dir / "signing.key", fresh.private_bytes_raw().hex().encode()):
        write_once(keys_dir / "signing.pub", fresh.public_key().public_bytes_raw().hex().encode())
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex((keys_dir / "signing.key").read_text()))


def public_key(keys_dir: Path) -> Ed25519PublicKey:
    """The key that versions made here are checked against."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex((keys_dir / "signing.pub").read_text()))


def prune(weights_dir: Path, keep: Iterable[str]) -> list[str]:
    """Remove version directories that are not named in `keep`; returns what was removed."""
    kept = set(keep)
    gone = [p for p in weights_dir.iterdir() if re.fullmatch(r"\d+-[0-9a-f]{12}", p.name) and p.name not in kept]
    for path in gone:
        shutil.rmtree(path)
    return sorted(path.name for path in gone)


def _check_names(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        path = directory / name
        if path.is_symlink() or not path.is_file() or not ALLOWED.fullmatch(name):
            raise WeightsError(f"{directory.name}/{name}: not a file that belongs to a model")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
