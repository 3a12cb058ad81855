"""CTranslate2 in int8 (it has no bfloat16 on CPUs), all prompts as one static batch."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.peers.job import alone, answer, pin


def main(directory: Path) -> None:
    """Serve the model of this directory until there are no more jobs."""
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    pin()
    converted = directory / "ct2"
    shutil.rmtree(converted, ignore_errors=True)
    TransformersConverter(str(directory)).convert(str(converted), quantization="int8")
    names: list[str] = json.loads((converted / "vocabulary.json").read_text())
    generator: Any = ctranslate2.Generator(str(converted), device="cpu", intra_threads=1, compute_type="int8")

    def complete(prompts: list[list[int]], count: int) -> int:
        words = [[names[token] for token in prompt] for prompt in prompts]
        out = generator.generate_batch(
            words, max_length=count, min_length=count, sampling_topk=1, include_prompt_in_result=False
        )
        return sum(len(result.sequences_ids[0]) for result in out)

    answer(alone(complete), dtype="int8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
