"""Models of random weights to measure with: what they say is noise, what they cost is not."""

from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, int]] = {
    "S": {  # 6 million parameters
        "vocab_size": 4096,
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    },
    "M": {  # 135 million: the shape of SmolLM2-135M
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
}


def make(name: str, directory: Path) -> None:
    """Write a Llama of this shape, in bfloat16, with a tokenizer that has a word for each token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **SHAPES[name],  # type: ignore[arg-type]
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(directory)
    _write_tokenizer(directory, config.vocab_size)


def _write_tokenizer(directory: Path, count: int) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<s>", "</s>", *pieces, *(f"Ġw{number}" for number in range(count))][:count]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrap: Any = PreTrainedTokenizerFast  # untyped
    wrapped = wrap(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<s>")
    wrapped.save_pretrained(directory)
