"""One step of a trainer of TRL's on an export: `python exchange_trl.py TRAINER FILE MODEL`, in TRL's own environment.

Prints a JSON object: the loss of the step, and whether the weights have moved.
"""

import json
import sys
import tempfile
from typing import Any

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer


def main(trainer: str, file: str, model: str) -> None:
    """Train one step."""
    import trl

    torch.set_num_threads(1)
    kind = {"reward": "Reward", "dpo": "DPO", "kto": "KTO"}[trainer]
    make = AutoModelForSequenceClassification if trainer == "reward" else AutoModelForCausalLM
    more: dict[str, Any] = {"num_labels": 1} if trainer == "reward" else {}
    with tempfile.TemporaryDirectory() as place:
        policy = make.from_pretrained(model, dtype=torch.float32, **more)
        tokenizer = AutoTokenizer.from_pretrained(model)
        policy.config.pad_token_id = tokenizer.pad_token_id
        before = {name: weight.detach().clone() for name, weight in policy.named_parameters()}
        rows = load_dataset("parquet" if file.endswith("parquet") else "json", data_files=file, cache_dir=place)[
            "train"
        ]
        work = getattr(trl, f"{kind}Trainer")(
            model=policy,
            args=getattr(trl, f"{kind}Config")(
                output_dir=place,
                per_device_train_batch_size=4,
                max_steps=1,
                learning_rate=1e-2,
                use_cpu=True,
                bf16=False,
                report_to="none",
                save_strategy="no",
                logging_steps=1,
            ),
            processing_class=tokenizer,
            train_dataset=rows,
        )
        work.train()
        moved = any(not torch.equal(before[name], weight) for name, weight in work.model.named_parameters())
        loss = next(entry["loss"] for entry in work.state.log_history if "loss" in entry)
    print(json.dumps({"loss": loss, "rows": len(rows), "moved": moved}))


if __name__ == "__main__":
    main(*sys.argv[1:])
