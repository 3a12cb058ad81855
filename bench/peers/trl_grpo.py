"""TRL 1.16's GRPO trainer on a job of `bench/learner.py`; prints one JSON object.

Its reward is a plain function (how long a reply is), which costs nothing: a reward model would make it slower.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.peers.job import pin

GROUP = 4


def brevity(completions: list[str], **_: Any) -> list[float]:
    """The shorter the better."""
    return [-float(len(completion)) for completion in completions]


def main(job: Path) -> None:
    """Train as the job says, with TRL's defaults where the job is silent."""
    pin()
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(1)
    work = json.loads(job.read_text())
    tokenizer = AutoTokenizer.from_pretrained(work["model"], padding_side="left")
    policy = AutoModelForCausalLM.from_pretrained(work["model"], dtype=torch.float32)
    texts = [tokenizer.decode(prompt) for prompt in work["prompts"]]
    with tempfile.TemporaryDirectory() as out:
        trainer = GRPOTrainer(
            model=policy,
            reward_funcs=brevity,
            args=GRPOConfig(
                output_dir=out,
                use_cpu=True,
                bf16=True,
                learning_rate=2e-4,
                per_device_train_batch_size=64,
                generation_batch_size=work["episodes"],
                num_generations=GROUP,
                num_iterations=2,
                max_steps=2 * work["iterations"] * work["episodes"] // 64,
                max_completion_length=work["tokens"],
                temperature=1.0,
                beta=0.05,
                report_to="none",
                save_strategy="no",
                logging_steps=1000,
            ),
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"prompt": texts}),
        )
        began, used = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, used = time.perf_counter() - began, time.process_time() - used
    print(json.dumps({"seconds": seconds, "cpu": used, "episodes": work["iterations"] * work["episodes"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
