"""A version that does not say what its maker wrote down is not served."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from backtalk.engine import canary
from backtalk.engine.errors import LoadFailed
from backtalk.engine.loading import from_directory
from tests.engine.conftest import tiny_model

CPU = torch.device("cpu")


def saved(family: str, directory: Path, tokenizer: Tokenizer, seed: int = 0) -> Path:
    model = tiny_model(family, seed)
    model.save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    canary.write(directory, model)
    return directory


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "olmo2"])
def test_what_was_written_down_is_found_again(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    from_directory(saved(family, tmp_path, tokenizer), CPU)


def test_bfloat16_is_near_enough(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from_directory(saved("llama", tmp_path, tokenizer), CPU, torch.bfloat16)


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        saved("llama", tmp_path / name, tokenizer, seed)
    (tmp_path / "two" / "model.safetensors").replace(tmp_path / "one" / "model.safetensors")
    with pytest.raises(LoadFailed, match="says something else than its maker wrote down"):
        from_directory(tmp_path / "one", CPU)


def test_one_layer_laid_out_wrongly_is_noticed(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backtalk.engine.llama import Llama

    directory, build = saved("llama", tmp_path, tokenizer), Llama._build

    def build_wrongly(self: Llama) -> object:
        head = build(self)
        self._layers[1] = self._layers[0]
        return head

    monkeypatch.setattr(Llama, "_build", build_wrongly)
    with pytest.raises(LoadFailed, match="says something else"):
        from_directory(directory, CPU)


def test_a_version_without_the_file_is_not_asked(tmp_path: Path, tokenizer: Tokenizer) -> None:
    directory = saved("llama", tmp_path, tokenizer)
    entries = json.loads((directory / canary.FILE).read_text())
    entries[0]["logprobs"][0] += 1
    (directory / canary.FILE).write_text(json.dumps(entries))
    with pytest.raises(LoadFailed):
        from_directory(directory, CPU)
    (directory / canary.FILE).unlink()
    from_directory(directory, CPU)
