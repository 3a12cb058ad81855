"""What the container may do, read from its files: no root, no capabilities, nothing to write but its data (SEC-21)."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.faults.figures import ROOT

LINES = [line.strip() for line in (ROOT / "Dockerfile").read_text().splitlines()]


def shipped() -> list[str]:
    """Instructions of the image that is shipped: of the last stage and of those that it is built on."""
    stages: dict[str, list[str]] = {}
    name = ""
    for line in LINES:
        if found := re.fullmatch(r"FROM (\S+)(?: AS (\S+))?", line):
            name = found[2] or "the last"
            stages[name] = list(stages.get(found[1], []))
        elif name:
            stages[name].append(line)
    return stages[name]


def services() -> dict[str, Any]:
    """Our service as each compose file leaves it, laid over that of one box."""

    def ours(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(path.read_text())["services"]["backtalk"]
        return found

    deploy = ROOT / "deploy"
    box = ours(deploy / "compose.yaml")
    return {path.name: box | ours(path) for path in sorted(deploy.glob("compose*.yaml"))}


def test_the_image_runs_as_a_numbered_user_who_is_not_root() -> None:
    users = [line.split()[1] for line in shipped() if line.startswith("USER ")]
    assert users
    assert re.fullmatch(r"[1-9][0-9]+(:[1-9][0-9]+)?", users[-1]), "a number: so that it can be demanded from outside"


def test_the_image_tells_whether_people_can_chat() -> None:
    assert any(line.startswith("HEALTHCHECK") and "/readyz" in line for line in shipped())


def test_no_secret_is_baked_in() -> None:
    for line in LINES:
        if line.startswith(("ENV ", "ARG ")):
            assert not re.search(r"(?i)(password|secret|token|key)\s*=\s*\S", line), line
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"data", ".git"} <= {name.strip("/") for name in ignored}


def test_a_service_can_write_its_data_and_nothing_else_and_has_no_rights() -> None:
    assert len(services()) > 1
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("privileged"), name
        assert any("/tmp" in place for place in service["tmpfs"]), name
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), f"{name}: {port} is open to the network unless somebody says so"
