"""What a forward pass must know of a model, read from `config.json` alone.

`transformers` reads configurations too, but importing that part of it takes longer than everything else an engine does
to start. What is not plainly written in the file is left to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

LLAMAS = frozenset({"llama", "qwen2", "qwen3", "mistral"})
GEMMAS = frozenset({"gemma", "gemma2", "gemma3_text"})
ACTIVATIONS = frozenset({"silu", "gelu", "gelu_new", "gelu_pytorch_tanh"})

ROPES = {
    "default": {"rope_theta"},
    "linear": {"rope_theta", "factor"},
    "llama3": {"rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
    "yarn": {"rope_theta", "factor", "original_max_position_embeddings"},
}
"""Rotary kinds with fixed frequencies, and what each needs. `dynamic` and `longrope` change theirs as a text grows,
which no cached key survives exactly; `transformers` itself serves those."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model that our own forward passes compute."""

    vocabulary: int
    context: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    is_tied: bool
    windows: tuple[int | None, ...]
    """Each layer's sliding window."""
    family: str = "llama"
    """`model_type` of `config.json`."""
    activation: str = "silu"
    rope: dict[str, Any] | None = None
    """`rope_type`, `rope_theta` and what the kind needs, named as in `transformers`; None: positions are learned."""
    local_rope: dict[str, Any] | None = None
    """That of the layers with a window, where it differs (Gemma 3)."""
    scale: float | None = None
    """On the scores of attention; None = head_size ** -0.5."""
    score_cap: float | None = None
    """Scores of attention are squeezed by cap x tanh(score / cap) (Gemma 2)."""
    logit_cap: float | None = None
    """Logits likewise."""

    @property
    def is_gemma(self) -> bool:
        """Embeddings are scaled by the root of their width, and norms hold their distance from 1."""
        return self.family in GEMMAS

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self | None:
        """The shape, or None if this is not one of our families or something is not written down.

        Args:
            config: the content of `config.json`, or `config.to_dict()` of `transformers`, which writes down everything.
        """
        if config.get("quantization_config") is not None or config.get("use_bidirectional_attention"):
            return None
        family = config.get("model_type")
        try:
            if family in LLAMAS or family in GEMMAS:
                return cls._read_llama(config)
            if family == "gpt2":
                return cls._read_gpt2(config)
        except KeyError:
            pass
        return None

    @classmethod
    def _read_llama(cls, config: Mapping[str, Any]) -> Self | None:
        family, heads, layers = config["model_type"], config["num_attention_heads"], config["num_hidden_layers"]
        activation = config["hidden_act" if family not in {"gemma2", "gemma3_text"} else "hidden_activation"]
        whole, local = _ropes(config)
        needs_head_size = family == "qwen3" or family in GEMMAS
        if activation not in ACTIVATIONS or whole is None or ("head_dim" not in config and needs_head_size):
            return None
        is_late = family in {"gemma2", "gemma3_text"}
        return cls(
            vocabulary=config["vocab_size"],
            context=config["max_position_embeddings"],
            layers=layers,
            heads=heads,
            kv_heads=config["num_key_value_heads"],
            head_size=config.get("head_dim") or config["hidden_size"] // heads,
            epsilon=config["rms_norm_eps"],
            is_tied=config["tie_word_embeddings"],
            windows=_windows(config, layers),
            family=family,
            activation=activation,
            rope=whole,
            local_rope=local,
            scale=config["query_pre_attn_scalar"] ** -0.5 if is_late else None,
            score_cap=config["attn_logit_softcapping"] if is_late else None,
            logit_cap=config["final_logit_softcapping"] if is_late else None,
        )

    @classmethod
    def _read_gpt2(cls, config: Mapping[str, Any]) -> Self | None:
        is_plain = config.get("scale_attn_weights", True) and not config.get("scale_attn_by_inverse_layer_idx")
        if not is_plain or config["activation_function"] not in ACTIVATIONS or config.get("add_cross_attention"):
            return None
        return cls(
            vocabulary=config["vocab_size"],
            context=config["n_positions"],
            layers=config["n_layer"],
            heads=config["n_head"],
            kv_heads=config["n_head"],
            head_size=config["n_embd"] // config["n_head"],
            epsilon=config["layer_norm_epsilon"],
            is_tied=config.get("tie_word_embeddings", True),
            windows=(None,) * config["n_layer"],
            family="gpt2",
            activation=config["activation_function"],
        )


def _ropes(config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The rotary parameters, and those of the layers with a window where they have their own."""
    if config["model_type"] != "gemma3_text":
        return _rope(config), None
    kinds = config["rope_parameters"]
    whole = _rope({"rope_parameters": kinds["full_attention"]})
    local = _rope({"rope_parameters": kinds["sliding_attention"]})
    return (whole, local) if local is not None else (None, None)


def _rope(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rotary parameters in today's form, from that or from the older `rope_theta` with `rope_scaling`."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = {"rope_theta": config.get("rope_theta"), **given}
    rope["rope_type"] = rope.get("rope_type") or rope.pop("type", "default")
    needed = ROPES.get(rope["rope_type"])
    if needed is None or any(rope.get(name) is None for name in needed) or rope.get("partial_rotary_factor", 1) != 1:
        return None
    return rope


def _windows(config: Mapping[str, Any], layers: int) -> tuple[int | None, ...]:
    family = config["model_type"]
    if family in {"llama", "gemma"}:
        return (None,) * layers
    window: int | None = config["sliding_window"]
    if family == "mistral":
        return (window,) * layers
    if family in GEMMAS:
        kinds = config["layer_types"]
    elif window is None or not config["use_sliding_window"]:
        return (None,) * layers
    else:
        kinds = config.get("layer_types") or [
            "sliding_attention" if layer >= config["max_window_layers"] else "full_attention" for layer in range(layers)
        ]
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)
