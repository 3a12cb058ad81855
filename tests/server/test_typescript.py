"""The web client's types are made from what the server declares, and are not forgotten when that changes."""

from pathlib import Path

import pytest

from server import typescript


def test_types_that_are_not_fresh_fail_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typescript, "WIRE", tmp_path)
    with pytest.raises(SystemExit, match=r"chat\.ts, http\.ts"):
        typescript.main(["--check"])
    typescript.main([])
    typescript.main(["--check"])
    chat = tmp_path / "chat.ts"
    assert (
        "export interface Say {\n  type: 'say'\n  key: string\n  conversation_id?: string | null\n" in chat.read_text()
    )
    assert "retry_after: number | null" in chat.read_text(), "what the server says it leaves nothing out of"
    chat.write_text(chat.read_text().replace("'say'", "'speak'"))
    with pytest.raises(SystemExit, match=r"wire: chat\.ts tells not"):
        typescript.main(["--check"])
