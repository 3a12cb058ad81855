"""Versions go to the Hugging Face hub and come back, through its own library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backtalk.database import Database
from backtalk.settings import Settings
from tests.cli.conftest import Command, Result
from tests.cli.hub import TOKEN, running_hub
from tests.cli.running import environment

Laid = tuple[Settings, Database]


def test_a_version_goes_to_the_hub_and_comes_back_as_a_candidate(backtalk: Command, laid: Laid, tmp_path: Path) -> None:
    with running_hub() as hub:

        def run(*words: object, token: str = TOKEN) -> Result:
            """In a process of its own: the library reads where the hub is when it is imported."""
            there = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_HOME": str(tmp_path / "cache")}
            around = os.environ | environment(laid[0].data_dir) | there | {"HF_HUB_DISABLE_XET": "1"}
            command = [sys.executable, "-m", "backtalk.cli", *map(str, words)]
            done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=250)
            return Result(done.returncode, done.stdout, done.stderr)

        refused = run("policy", "push", 0, "ada/backtalk", token="hf_wrong")
        assert refused.code == 1 and "the hub did not take" in refused.err
        pushed = run("policy", "push", 0, "ada/backtalk", "--json")
        assert pushed.code == 0, pushed.err
        assert pushed.json["commit"].startswith(f"{hub.url}/ada/backtalk/commit/") and hub.private["ada/backtalk"]
        sent = json.loads(hub.repos["ada/backtalk"]["manifest.json"])
        assert {*sent["files"], "manifest.json"} == set(hub.repos["ada/backtalk"])
        pulled = run("policy", "import", "ada/backtalk", "--json")
        assert pulled.code == 0, pulled.err
        assert (pulled.json["number"], pulled.json["state"]) == (1, "candidate"), pulled.err
        hub.repos["ada/backtalk"]["model.safetensors"] = b"something else"
        assert run("policy", "import", "ada/backtalk").code == 1, "it is not what its manifest says"
        missing = run("policy", "import", "ada/nothing")
        assert missing.code == 1 and "'ada/nothing' is not `starter`, a directory, or" in missing.err
    told = backtalk("audit", "--action", "policy.push", "--json").json
    assert [(one["target"], one["detail"]["repo"]) for one in told] == [("0", "ada/backtalk")]


def test_what_is_neither_a_directory_nor_a_name_is_refused(
    backtalk: Command, laid: Laid, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = backtalk("policy", "import", "/nowhere/at all")
    assert refused.code == 1 and "is not `starter`, a directory, or" in refused.err
