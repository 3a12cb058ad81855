"""TRL 1.12's PPO trainer (the last release that has one) on a job of `bench/learner.py`; prints one JSON object.

Its reward and value models are the policy's own architecture with a fresh scalar head: what a reward says does not
change how long a step takes.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from bench.peers.job import pin


def main(job: Path) -> None:
    """Train as the job says, with TRL's defaults where the job is silent."""
    pin()
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    torch.set_num_threads(1)
    work = json.loads(job.read_text())
    model, episodes = work["model"], work["iterations"] * work["episodes"]
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    policy, reference = (AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32) for _ in range(2))
    value, reward = (
        AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, dtype=torch.float32) for _ in range(2)
    )
    prompts = Dataset.from_dict({"input_ids": work["prompts"]})
    with tempfile.TemporaryDirectory() as out:
        trainer = PPOTrainer(
            args=PPOConfig(
                output_dir=out,
                use_cpu=True,
                bf16=True,
                learning_rate=2e-4,
                total_episodes=episodes,
                per_device_train_batch_size=work["episodes"],
                gradient_accumulation_steps=1,
                num_mini_batches=4,
                num_ppo_epochs=2,
                response_length=work["tokens"],
                temperature=1.0,
                stop_token="eos",
                num_sample_generations=0,
                local_rollout_forward_batch_size=64,
                report_to="none",
                save_strategy="no",
            ),
            processing_class=tokenizer,
            model=policy,
            ref_model=reference,
            reward_model=reward,
            value_model=value,
            train_dataset=prompts,
            eval_dataset=prompts.select(range(8)),
        )
        began, used = time.perf_counter(), time.process_time()
        trainer.train()
        seconds, used = time.perf_counter() - began, time.process_time() - used
    print(json.dumps({"seconds": seconds, "cpu": used, "episodes": episodes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
