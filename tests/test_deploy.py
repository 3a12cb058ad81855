"""What can be checked of the deployment files without a container engine, a cluster or a proxy.

Not run here, because it cannot be: `docker build`, the containers, a cluster, Grafana and Prometheus themselves.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from backtalk.settings import PREFIX, Settings
from server.metrics import Metrics

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
TEMPLATES = sorted((DEPLOY / "helm" / "backtalk" / "templates").glob("*.yaml"))
COMPOSE = sorted(DEPLOY.glob("compose*.yaml"))
FILES = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".py" and path.suffix != ".pyc"]


def tool(name: str, get: str) -> str:
    """Where a program is, or skip with the command that would bring it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; {get}")
    return found


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def known_metrics() -> set[str]:
    """Names under which something is told, with those that Prometheus adds to histograms."""
    text = generate_latest(Metrics().registry).decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.M))
    return set(kinds) | {f"{name}_{part}" for name in kinds for part in ("bucket", "sum", "count")}


@pytest.mark.parametrize("path", [*FILES, ROOT / "Dockerfile"], ids=lambda path: path.name)
def test_only_settings_that_exist_are_set(path: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text())) <= known


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_hold_services_whose_volumes_and_networks_are_declared(path: Path) -> None:
    base = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    content = yaml.safe_load(path.read_text())
    volumes = {*base["volumes"], *content.get("volumes", {})}
    networks = {"default", *content.get("networks", {})}
    for service in content["services"].values():
        named = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert named <= volumes
        assert set(service.get("networks", ())) <= networks


def test_nobody_but_backtalk_reaches_vllm() -> None:
    content = yaml.safe_load((DEPLOY / "compose.gpu.yaml").read_text())
    vllm = content["services"]["vllm"]
    assert vllm["networks"] == ["engine"] and content["networks"]["engine"]["internal"] is True
    assert "ports" not in vllm
    assert vllm["volumes"] == ["weights:/data/weights:ro"], "neither the database nor the keys"


def test_the_image_is_built_in_stages_and_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = {line.split()[-1]: line.split()[1] for line in lines if line.startswith("FROM ")}
    assert {"cpu", "cuda"} <= set(stages)
    assert stages["cpu"] == stages["cuda"] == "base"
    assert "USER 10001" in lines
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", "\n".join(lines), re.M):
        for name in source.split():
            assert (ROOT / name).exists(), name


def test_alerts_and_panels_ask_for_metrics_that_are_told() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    board = json.loads((DEPLOY / "grafana" / "backtalk.json").read_text())
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    known = known_metrics()
    for expression in asked:
        names = re.findall(r"backtalk_\w+", expression)
        assert names and set(names) <= known, expression
        assert expression.count("(") == expression.count(")"), expression
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["alert"].startswith("Backtalk") and rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_panels_do_not_lie_over_one_another() -> None:
    board = json.loads((DEPLOY / "grafana" / "backtalk.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells and at["x"] + at["w"] <= 24
        cells |= own


def rendered(path: Path) -> list[Any]:
    """A template as YAML, by blanking what Go fills in; `helm template` says more where it is installed."""
    lines = []
    for line in path.read_text().splitlines():
        if re.fullmatch(r"\s*\{\{-.*\}\}", line):
            continue
        line = re.sub(r"\{\{- toYaml .*\}\}", "{}", line)
        lines.append(re.sub(r"\{\{.*?\}\}", "filled", line))
    return [document for document in yaml.safe_load_all("\n".join(lines)) if document]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_the_charts_templates_are_whole_objects(path: Path) -> None:
    for document in rendered(path):
        assert document["apiVersion"] and document["kind"] and document["metadata"]["name"]


def test_the_chart_uses_values_that_exist_and_all_of_them() -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "backtalk" / "values.yaml").read_text())
    used = {name for path in TEMPLATES for name in re.findall(r"\.Values\.([A-Za-z.]+)", path.read_text())}
    for name in used:
        found: Any = values
        for part in name.split("."):
            assert part in found, name
            found = found[part]
    for name in values:
        assert any(one.split(".")[0] == name for one in used), name


def test_helm_takes_the_chart() -> None:
    helm = tool("helm", "see https://helm.sh/docs/intro/install/")
    chart = str(DEPLOY / "helm" / "backtalk")
    run(helm, "lint", chart, "--set", "publicUrl=https://chat.example.org")
    run(helm, "template", "x", chart, "--set", "publicUrl=https://chat.example.org", "--set", "vllm.enabled=true")


@pytest.mark.parametrize("path", sorted((DEPLOY / "systemd").iterdir()), ids=lambda path: path.name)
def test_systemd_takes_the_units(path: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze", "apt install systemd")
    for unit in (DEPLOY / "systemd").iterdir():
        # Whether the programs are there is a question of the machine that it is installed on.
        text = re.sub(r"/opt/backtalk/bin/(backtalk|torchrun)|/usr/bin/find", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text.replace("User=backtalk", "User=root"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / path.name)], capture_output=True, text=True, timeout=60
    )
    told = [line for line in done.stderr.splitlines() if str(tmp_path) in line or path.name in line]
    assert done.returncode == 0 and not told, done.stderr


def test_nginx_takes_its_example(tmp_path: Path) -> None:
    nginx = tool("nginx", "apt install nginx")
    openssl = tool("openssl", "apt install openssl")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    run(
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=x",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    )
    text = (DEPLOY / "proxy" / "nginx.conf").read_text()
    text = re.sub(r"/etc/ssl/\S+\.crt", str(certificate), text)
    (tmp_path / "backtalk.conf").write_text(re.sub(r"/etc/ssl/\S+\.key", str(key), text))
    whole = (
        f"events {{}}\npid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nhttp {{ include {tmp_path}/backtalk.conf; }}\n"
    )
    (tmp_path / "nginx.conf").write_text(whole)
    run(nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))


def test_websockets_and_streams_pass_the_proxies() -> None:
    nginx = (DEPLOY / "proxy" / "nginx.conf").read_text()
    for words in ("proxy_set_header Upgrade $http_upgrade", "proxy_buffering off", "proxy_set_header Host $host"):
        assert words in nginx
    assert "flush_interval -1" in (DEPLOY / "proxy" / "Caddyfile").read_text()
