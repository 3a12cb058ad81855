"""Tiny random models of every family, and a byte-level tokenizer: real parts, milliseconds each."""

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 320
EOS = 0

CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0}

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "llama3-rope": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        "attention_bias": True,
        "mlp_bias": True,
    },
    "yarn-rope": {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "qwen2": {},
    "qwen2-window": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen3": {"head_dim": 16},
    "mistral": {"sliding_window": 8},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "tie_word_embeddings": False, "sliding_window": 8, "query_pre_attn_scalar": 24, **CAPS},
    "gemma3": {
        "head_dim": 16,
        "tie_word_embeddings": False,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt2": {},
}
"""Those of our own forward passes."""

OTHERS = ("gpt_neox", "phi3", "olmo2", "cohere")
"""Some of those that `transformers` runs for us."""


def tiny_model(family: str, seed: int = 0, **changes: Any) -> Any:
    """A random model whose greedy replies vary; float32, eos 0."""
    from transformers import AutoConfig, AutoModelForCausalLM

    kinds = {"llama3-rope": "llama", "yarn-rope": "llama", "qwen2-window": "qwen2", "gemma3": "gemma3_text"}
    kind = kinds.get(family, family)
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.3,  # large, so that random replies differ from token to token
        "bos_token_id": None,
        "eos_token_id": EOS,
        "pad_token_id": EOS,
    }
    if kind == "gpt2":
        shape = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256}
        shape |= {"initializer_range": 0.3, "bos_token_id": None, "eos_token_id": EOS, "pad_token_id": EOS}
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **{**shape, **FAMILIES.get(family, {}), **changes})
    build: Any = AutoModelForCausalLM.from_config
    # Only its plainest attention caps the scores of Gemma 2; the others leave the cap out.
    model = build(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms and biases, which are all 1 or 0 at first
                parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Byte-level BPE over a little text, 320 tokens, `<eos>` special."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["the quick brown fox jumps over the lazy dog and the quick thing"] * 4, trainer)
    made.add_special_tokens(["<eos>"])
    return made


def pytest_configure() -> None:
    torch.set_num_threads(1)
