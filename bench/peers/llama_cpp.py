"""llama.cpp in bfloat16, by its own batch calls (its Python server answers one request at a time)."""

import sys
from pathlib import Path
from typing import Any

from bench.peers.job import Outcome, alone, answer, pin


def convert(directory: Path) -> Path:
    """The same weights as GGUF. llama.cpp turns pairs that stand beside each other, so q and k are permuted."""
    import gguf
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config: Any = AutoConfig.from_pretrained(directory)
    out = directory / "model.gguf"
    writer = gguf.GGUFWriter(str(out), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    kinds = gguf.GGMLQuantizationType
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in load_file(directory / "model.safetensors").items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads is not None:
            width = tensor.shape[1]
            tensor = tensor.view(heads, 2, -1, width).transpose(1, 2).reshape(-1, width)
        target = names.get_name(name, try_suffixes=(".weight",))
        if tensor.ndim == 1:
            writer.add_tensor(target, tensor.float().numpy())
        else:
            raw = tensor.to(torch.bfloat16).contiguous().view(torch.uint8).numpy()
            writer.add_tensor(target, raw, raw_dtype=kinds.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


class Batches:
    """All sequences in one context, a step at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def complete(self, prompts: list[list[int]], count: int) -> int:
        """Prompts first, 512 tokens a call; then one token of each a step."""
        import llama_cpp as c
        import numpy as np

        settings = c.llama_context_default_params()
        settings.n_ctx = (max(map(len, prompts)) + count) * len(prompts)
        settings.n_batch = settings.n_ubatch = 512
        settings.n_seq_max = len(prompts)
        settings.n_threads = settings.n_threads_batch = 1
        context = c.llama_init_from_model(self._model, settings)
        vocabulary = c.llama_vocab_n_tokens(c.llama_model_get_vocab(self._model))
        batch = c.llama_batch_init(512, 0, 1)
        last = [0] * len(prompts)

        def add(token: int, place: int, sequence: int, draws: bool) -> None:
            at = batch.n_tokens
            batch.token[at], batch.pos[at] = token, place
            batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at] = 1, sequence, draws
            batch.n_tokens = at + 1
            if draws:
                drawing.append((at, sequence))

        def run() -> None:
            if c.llama_decode(context, batch):
                raise RuntimeError("llama_decode failed")
            for at, sequence in drawing:
                logits = np.ctypeslib.as_array(c.llama_get_logits_ith(context, at), shape=(vocabulary,))
                last[sequence] = int(logits.argmax())
            drawing.clear()
            batch.n_tokens = 0

        drawing: list[tuple[int, int]] = []
        batch.n_tokens = 0
        for sequence, prompt in enumerate(prompts):
            for place, token in enumerate(prompt):
                add(token, place, sequence, place == len(prompt) - 1)
                if batch.n_tokens == 512:
                    run()
        if batch.n_tokens:
            run()
        for step in range(count - 1):
            for sequence, prompt in enumerate(prompts):
                add(last[sequence], len(prompt) + step, sequence, True)
            run()
        c.llama_batch_free(batch)
        c.llama_free(context)
        return count * len(prompts)


def main(directory: Path) -> None:
    """Serve the model of this directory until there are no more jobs."""
    import llama_cpp

    pin()
    llama_cpp.llama_backend_init()
    file = str(convert(directory)).encode()
    model = llama_cpp.llama_model_load_from_file(file, llama_cpp.llama_model_default_params())
    batches = Batches(model)

    def run(prompts: list[list[int]], count: int) -> Outcome:
        return alone(batches.complete)(prompts, count)

    answer(run, dtype="bfloat16")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
