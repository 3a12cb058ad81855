"""What `make` installs, without installing it: uv is told what pip is told, and pip does what uv cannot."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent.parent / "deploy" / "install.py"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("install", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "install", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "STAMPS", tmp_path)
    return module


@pytest.fixture
def step(install: Any, tmp_path: Path) -> Any:
    return install.Step("python", "Python packages", [], tmp_path, lambda _: None)


def program(path: Path, does: str) -> None:
    """A program that writes down its arguments and then does this."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{path.name} $@" >>"{path.parent}/called"\n{does}\n')
    path.chmod(0o755)


def called(venv: Path) -> list[str]:
    return (venv / "bin" / "called").read_text().splitlines()


def test_uv_is_told_what_pip_is_told(install: Any) -> None:
    listed = """
:env:.default-timeout='180'
:env:.disable-pip-version-check='1'
global.cert='/etc/ssl/ours.pem'
global.constraint='/etc/pip/newest.txt'
global.extra-index-url='file:///opt/one/simple\\nhttps://two.example/simple'
global.find-links='/opt/wheels /opt/more'
global.index-url='https://us:secret@pypi.example/simple'
global.trusted-host='pypi.example two.example:8080'
"""
    options, env = install.uv_settings(listed, {})
    assert options == []
    assert env == {
        "SSL_CERT_FILE": "/etc/ssl/ours.pem",
        "UV_CONSTRAINT": "/etc/pip/newest.txt requirements.lock requirements.hashes",
        "UV_EXTRA_INDEX_URL": "file:///opt/one/simple https://two.example/simple",
        "UV_FIND_LINKS": "/opt/wheels,/opt/more",
        "UV_HTTP_TIMEOUT": "180",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INDEX_URL": "https://us:secret@pypi.example/simple",
        "UV_INSECURE_HOST": "pypi.example two.example:8080",
    }


def test_without_settings_the_lock_alone_binds_uv(install: Any) -> None:
    assert install.uv_settings("", {}) == (
        [],
        {"UV_CONSTRAINT": "requirements.lock requirements.hashes", "UV_INDEX_STRATEGY": "unsafe-best-match"},
    )


def test_the_environment_wins_over_pips_files_and_install_over_global(install: Any) -> None:
    listed = ":env:.find-links='/c'\ndownload.cert='/d'\nglobal.cert='/a'\nglobal.find-links='/a'\ninstall.cert='/b'"
    _, env = install.uv_settings(listed, {})
    assert (env["UV_FIND_LINKS"], env["SSL_CERT_FILE"]) == ("/c", "/b")


def test_what_somebody_has_told_uv_stays(install: Any) -> None:
    own = {"UV_INDEX_URL": "https://own.example", "UV_CONSTRAINT": "own.txt", "SSL_CERT_FILE": "/not/for/pip"}
    _, env = install.uv_settings("global.index-url='a'\nglobal.constraint='b'\nglobal.cert='/c'", own)
    assert env["UV_INDEX_URL"] == "https://own.example"
    assert env["UV_CONSTRAINT"] == "own.txt requirements.lock requirements.hashes"
    assert env["SSL_CERT_FILE"] == "/c"


@pytest.mark.parametrize(("said", "options"), [("1", ["--no-index"]), ("true", ["--no-index"]), ("0", [])])
def test_a_machine_without_an_index_has_none_for_uv(install: Any, said: str, options: list[str]) -> None:
    assert install.uv_settings(f":env:.no-index='{said}'", {})[0] == options


def test_uv_installs_where_it_can(install: Any, step: Any, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "pip", "")
    program(tmp_path / "bin" / "uv", 'echo "strategy: $UV_INDEX_STRATEGY"')
    install.add_packages(step, tmp_path, "-e", ".")
    assert [line.split()[:2] for line in called(tmp_path)] == [["pip", "install"], ["pip", "config"], ["uv", "pip"]]
    assert called(tmp_path)[-1].endswith("-e .")
    assert "strategy: unsafe-best-match" in step.log.read_text()


@pytest.mark.parametrize("uv", [None, "exit 2"], ids=["is not to be had", "fails"])
def test_pip_installs_when_uv(install: Any, step: Any, tmp_path: Path, uv: str | None) -> None:
    program(tmp_path / "bin" / "pip", "")
    if uv is not None:
        program(tmp_path / "bin" / "uv", uv)
    install.add_packages(step, tmp_path, "-e", ".")
    assert called(tmp_path)[-1] == "pip install --disable-pip-version-check --no-input -c requirements.lock -e ."
    assert "uv cannot do it, so pip does" in step.log.read_text()


def test_pip_installs_when_it_finds_no_uv(install: Any, step: Any, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "pip", 'case "$*" in *uv.txt) exit 1;; esac')
    install.add_packages(step, tmp_path, "-e", ".")
    assert len(called(tmp_path)) == 2
    assert called(tmp_path)[-1].endswith("-e .")


@pytest.mark.parametrize(
    ("pip", "uv"),
    [
        ("", 'echo "  x Failed to download click: Hash mismatch for click==8.5.1"; exit 1'),
        ('echo "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."; exit 1', ""),
    ],
    ids=["uv", "pip"],
)
def test_a_package_that_is_not_the_locked_one_ends_the_install(
    install: Any, step: Any, tmp_path: Path, pip: str, uv: str
) -> None:
    program(tmp_path / "bin" / "pip", pip)
    program(tmp_path / "bin" / "uv", uv)
    with pytest.raises(install.InstallError, match=r"differs from what requirements\.hashes says"):
        install.add_packages(step, tmp_path, "-e", ".")
    assert not called(tmp_path)[-1].endswith("-c requirements.lock -e ."), "pip would take it unseen"


def test_every_locked_package_but_torch_has_its_hashes(install: Any) -> None:
    """torch comes as each machine needs it."""
    pins = {line.lower().replace("_", "-") for line in (install.ROOT / install.LOCK).read_text().split()}
    lines = (install.ROOT / install.HASHES).read_text().splitlines()
    hashed = {line.removesuffix(" \\") for line in lines if "==" in line and not line.startswith("#")}
    assert hashed == {pin for pin in pins if not pin.startswith("torch==")}
    assert all(install.locked(pin.partition("==")[0]).count("--hash=sha256:") for pin in hashed)
    assert install.locked("uv").startswith("uv==") and install.locked("uv").count("==") == 1


def test_what_a_start_loads_is_compiled_even_where_python_shall_write_no_bytecode(
    install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("pip", "uv"):
        program(tmp_path / "bin" / name, "")
    program(tmp_path / "bin" / "python", 'echo "forbidden: [$PYTHONDONTWRITEBYTECODE]"')
    step = install.python_step(False)
    step.work(step)
    assert called(tmp_path)[-1] == f"python -c import {install.LOADED}"
    assert "forbidden: []" in step.log.read_text()


def test_the_client_is_built_anew_for_a_source_and_not_for_what_npm_has_put_beside(
    install: Any, tmp_path: Path
) -> None:
    for name in ("src/app.tsx", "index.html", "node_modules/react/index.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = {str(path.relative_to(tmp_path)) for path in install.sources(tmp_path)}
    assert found == {"src/app.tsx", "index.html"}
