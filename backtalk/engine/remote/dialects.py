"""Which words go with which kind of engine."""

from backtalk.engine.remote.address import Kind
from backtalk.engine.remote.dialect import Dialect


def of(kind: Kind) -> type[Dialect]:
    """The dialect; each brings libraries of its own, so only the one that is asked for is imported."""
    match kind:
        case "vllm":
            from backtalk.engine.remote.vllm import Vllm

            return Vllm
        case "sglang":
            from backtalk.engine.remote.sglang import Sglang

            return Sglang
        case "tgi":
            from backtalk.engine.remote.tgi import Tgi

            return Tgi
        case "openai":
            from backtalk.engine.remote.openai import OpenAI

            return OpenAI
