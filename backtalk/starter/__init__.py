"""The bundled first policy, its tokenizer, and the recipe that makes it again. Importing this is instant: heavy
libraries wait inside the functions.
"""

import json
from functools import cache
from pathlib import Path

FILES = Path(__file__).parent / "files"
"""The directory of the bundled first policy; `transformers` opens it as it is."""

_SHAPE = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


@cache
def made(directory: Path) -> bool:
    """Is this version the starter, or trained from it? Training changes neither the tokenizer nor the shape."""
    return _marks(directory) == _marks(FILES)


def _marks(directory: Path) -> tuple[object, ...] | None:
    try:
        config = json.loads((directory / "config.json").read_text())
        return (directory / "tokenizer.json").read_bytes(), *(config.get(name) for name in _SHAPE)
    except OSError:
        return None
