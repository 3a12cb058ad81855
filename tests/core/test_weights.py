import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backtalk import weights
from backtalk.weights import WeightsError

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A published version with the files of a model."""
    made = weights.workspace(tmp_path)
    (made / "config.json").write_text('{"model_type": "llama"}')
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(random.Random(0).randbytes(4096))
    directory, _ = weights.publish(made, tmp_path, KEY, number=7, parent=6, run="r", snapshot="s", report={"auc": 0.9})
    return directory


def test_a_version_is_named_by_number_and_content(version: Path) -> None:
    manifest = weights.verify(version, KEY.public_key())
    assert version.name == f"7-{manifest.digest[:12]}"
    assert (manifest.number, manifest.parent, manifest.run, manifest.report) == (7, 6, "r", {"auc": 0.9})


def test_publishing_leaves_nothing_beside_the_version(version: Path) -> None:
    assert [path.name for path in version.parent.iterdir()] == [version.name]


def test_publishing_the_same_again_is_harmless(version: Path, tmp_path: Path) -> None:
    made = weights.workspace(tmp_path)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (made / name).write_bytes((version / name).read_bytes())
    again, _ = weights.publish(made, tmp_path, KEY, number=7, parent=6, run="r", snapshot="s", report={"auc": 0.9})
    assert again == version
    weights.verify(again, KEY.public_key())


@pytest.mark.parametrize("seed", range(100))
def test_any_flipped_bit_is_refused(version: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = chance.choice(sorted(version.iterdir()))
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        weights.verify(version, KEY.public_key())


@pytest.mark.parametrize("seed", range(20))
def test_any_truncation_is_refused(version: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = chance.choice(sorted(version.iterdir()))
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    with pytest.raises(WeightsError):
        weights.verify(version, KEY.public_key())


def test_an_added_file_is_refused(version: Path) -> None:
    (version / "modeling.py").write_text("print('mine')")
    with pytest.raises(WeightsError, match=r"modeling\.py"):
        weights.verify(version, KEY.public_key())


def test_a_listed_file_with_a_foreign_name_is_refused(tmp_path: Path) -> None:
    made = weights.workspace(tmp_path)
    (made / "modeling.py").write_text("print('mine')")
    with pytest.raises(WeightsError, match=r"modeling\.py"):
        weights.publish(made, tmp_path, KEY, number=1)


def test_a_link_is_refused(version: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes((version / "model.safetensors").read_bytes())
    (version / "model.safetensors").unlink()
    (version / "model.safetensors").symlink_to(outside)
    with pytest.raises(WeightsError, match="not a file that belongs to a model"):
        weights.verify(version, KEY.public_key())


def test_a_foreign_signature_is_refused(version: Path) -> None:
    with pytest.raises(WeightsError, match="signature"):
        weights.verify(version, Ed25519PrivateKey.generate().public_key())


def test_a_manifest_with_an_unknown_key_is_refused(version: Path) -> None:
    content = json.loads((version / "manifest.json").read_text())
    (version / "manifest.json").write_text(json.dumps(content | {"auto_map": {}}))
    with pytest.raises(WeightsError, match="auto_map"):
        weights.verify(version)


def test_only_a_models_files_are_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "modeling_evil.py", "pytorch_model.bin"):
        (source / name).write_text("x")
    weights.copy_model(source, target)
    assert sorted(p.name for p in target.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no usable model"):
        weights.copy_model(tmp_path, tmp_path)


def test_pruning_keeps_what_is_named(version: Path) -> None:
    (version.parent / "not-a-version").mkdir()
    assert weights.prune(version.parent, [version.name]) == []
    assert weights.prune(version.parent, []) == [version.name]
    assert [path.name for path in version.parent.iterdir()] == ["not-a-version"]


def test_the_signing_key_is_made_once(tmp_path: Path) -> None:
    first = weights.signing_key(tmp_path)
    assert weights.signing_key(tmp_path).private_bytes_raw() == first.private_bytes_raw()
    assert weights.public_key(tmp_path) == first.public_key()
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600


def test_a_signature_is_written_in_one_way(version: Path) -> None:
    path = version / weights.MANIFEST
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"signature": content["signature"].upper()}))
    with pytest.raises(WeightsError, match="signature"):
        weights.verify(version, KEY.public_key())
