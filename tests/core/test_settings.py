from pathlib import Path

import pytest

from backtalk.settings import SettingsError, load_settings, write_once


def test_the_defaults_work_on_a_laptop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "starter")
    assert settings.database == f"sqlite:///{tmp_path / 'data' / 'backtalk.db'}"


def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKTALK_PROT", "1")
    with pytest.raises(SettingsError, match="BACKTALK_PROT"):
        load_settings()


def test_an_unknown_key_in_the_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backtalk.toml").write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="prot"):
        load_settings()


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "backtalk.toml").write_text("port = 1\nhost = '0.0.0.0'\n")
    monkeypatch.setenv("BACKTALK_PORT", "2")
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 2)


@pytest.mark.parametrize(("name", "value"), [("port", "x"), ("signup", "maybe"), ("database_url", "mysql://x")])
def test_a_value_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"BACKTALK_{name.upper()}", value)
    with pytest.raises(SettingsError, match=f"{name}.*{value}"):
        load_settings()


def test_the_data_directory_is_private(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    settings.prepare()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (settings.keys_dir / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_secret_key_stays_the_same(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data")
    settings.prepare()
    first = settings.secret_key()
    settings.prepare()
    assert settings.secret_key() == first
    assert len(first) == 64


def test_a_file_written_once_is_never_overwritten(tmp_path: Path) -> None:
    assert write_once(tmp_path / "key", b"first")
    assert not write_once(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
