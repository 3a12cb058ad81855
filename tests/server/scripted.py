"""A real model that says what it is told to: its weights spell out which token follows which.

The residual stream carries the last token as a one-hot (attention and MLP are zero), and the output layer maps each
token of the script to the next. Any token outside the script leads to its first. So a version's replies can be told
from another's, character by character, at any temperature.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from backtalk import starter

HEIGHT = 400.0  # of the one logit that counts over all others


def count_tokens(text: str) -> int:
    """How many tokens a text has for these models."""
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


def write_model(
    directory: Path, script: str, *, ends: bool = False, context: int = 8192, height: float = HEIGHT
) -> None:
    """Make a model that repeats `script` for ever, or says it once and ends.

    Args:
        script: its tokens must differ from one another.
        height: of its mind; with a small one it often says something else.
    """
    files = Path(starter.FILES)
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(files / name, directory / name)
    end = json.loads((files / "config.json").read_text())["eos_token_id"]
    tokens = _tokenizer().encode(script, add_special_tokens=False).ids
    assert len(set(tokens)) == len(tokens), "a token occurs twice in the script"
    width, vocabulary = 16 * (len(tokens) // 16 + 2), _tokenizer().get_vocab_size()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": width // 2,
        "max_position_embeddings": context,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": end if ends else None,
        "pad_token_id": 0,
        "dtype": "float32",
    }
    (directory / "config.json").write_text(json.dumps(config))
    path = [*tokens, end] if ends else [*tokens, tokens[0]]
    embedding = np.zeros((vocabulary, width), np.float32)
    embedding[:, width - 1] = 1  # wherever one comes from
    output = np.zeros((vocabulary, width), np.float32)
    output[path[0], width - 1] = height
    for place, (token, following) in enumerate(zip(tokens, path[1:], strict=True)):
        embedding[token] = 0
        embedding[token, place] = 1
        output[following, place] = height
    layer = "model.layers.0"
    zeros = {f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
    zeros |= {f"{layer}.mlp.{name}_proj.weight": (16, width) for name in ("gate", "up")}
    zeros |= {f"{layer}.mlp.down_proj.weight": (width, 16)}
    norms = [f"{layer}.input_layernorm.weight", f"{layer}.post_attention_layernorm.weight", "model.norm.weight"]
    tensors: dict[str, np.ndarray] = {name: np.zeros(shape, np.float32) for name, shape in zeros.items()}
    tensors |= {name: np.ones(width, np.float32) for name in norms}
    tensors |= {"model.embed_tokens.weight": embedding, "lm_head.weight": output}
    save_file(tensors, str(directory / "model.safetensors"), metadata={"format": "pt"})


def _tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(Path(starter.FILES) / "tokenizer.json"))
