"""The pages that the code writes, and the words it must explain."""

import subprocess
import sys
from pathlib import Path

import pytest

from backtalk import docs
from backtalk.settings import PREFIX, Settings


def test_every_setting_is_explained() -> None:
    page = docs.settings()
    for name, field in Settings.model_fields.items():
        assert f"`{PREFIX}{name.upper()}`" in page
        assert field.description


def test_every_command_has_an_example_or_takes_nothing() -> None:
    sections = docs.command_line().split("\n## ")[1:]
    for section in "\n### ".join(sections).split("\n### "):
        name = section.splitlines()[0]
        is_group, takes_nothing = "COMMAND [ARGS]" in section, section.count("\n  -") <= 1
        assert is_group or takes_nothing or "Example: " in section, name


def test_pages_that_are_not_fresh_fail_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(sys, "argv", ["docs"])
    docs.main()
    monkeypatch.setattr(sys, "argv", ["docs", "--check"])
    docs.main()
    (tmp_path / "docs" / "cli.md").write_text("old")
    with pytest.raises(SystemExit, match=r"docs/cli\.md not fresh"):
        docs.main()


def test_the_pages_do_not_depend_on_the_terminal() -> None:
    program = (
        "from backtalk import docs; import os, sys; os.environ['COLUMNS'] = sys.argv[1]; print(docs.command_line())"
    )
    narrow, wide = (
        subprocess.run([sys.executable, "-c", program, width], capture_output=True, text=True, check=True).stdout
        for width in ("40", "200")
    )
    assert narrow == wide
