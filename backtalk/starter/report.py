"""What the finished policy can do, measured: right content by domain, endings, near misses, the mixture of styles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from backtalk.starter.dialogues import WEIGHTS, Turn, answer, ask, dialogue
from backtalk.starter.probes import is_right, probes
from backtalk.starter.styles import STYLES, style_of

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

Messages = list[dict[str, str]]
Note = Callable[[str], None]
LONGEST_REPLY = 200
FRESH = 9_000_000  # seeds of questions that training did not draw


def measure(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, losses: Sequence[float], note: Note, *, each: int = 30
) -> dict[str, Any]:
    """The report: `each` or more questions a domain and kind, greedy; the styles at temperatures 0.6 and 1.0."""
    domains: dict[str, Any] = {}
    for name in WEIGHTS:
        note(f"examining {name}")
        count = each * max(1, WEIGHTS[name] // 6)  # more questions where more hangs on them
        domains[name] = {
            "seen_phrasings": _examine(model, tokenizer, _openings(name, count, held_out=False)),
            "held_out_phrasings": _examine(model, tokenizer, _openings(name, count, held_out=True)),
        }
    total = sum(WEIGHTS.values())
    seen = [(weight / total, domains[name]["seen_phrasings"]) for name, weight in WEIGHTS.items()]
    note("examining follow-ups")
    later = _examine(model, tokenizer, _later_turns(each * 4))
    note("examining probes")
    golden = probes()
    right = [
        is_right(r, p.accepted)
        for p, r in zip(golden, generate(model, tokenizer, [p.messages for p in golden]), strict=True)
    ]
    report: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "final_loss": round(sum(losses[-50:]) / len(losses[-50:]), 4),
        "right_greedy_by_weight": round(sum(share * found["right"] for share, found in seen), 4),
        "right_greedy_mean_of_domains": round(sum(found["right"] for _, found in seen) / len(seen), 4),
        "right_greedy_held_out_phrasings": round(
            sum(weight / total * domains[name]["held_out_phrasings"]["right"] for name, weight in WEIGHTS.items()), 4
        ),
        "right_greedy_later_turns": later["right"],
        "right_greedy_probes": round(sum(right) / max(1, len(right)), 4),
        "replies_that_end": round(
            min([later["ends"], *(domains[name][kind]["ends"] for name in WEIGHTS for kind in domains[name])]), 4
        ),
        "i_do_not_know_on_held_out_near_misses": domains["near miss"]["held_out_phrasings"]["right"],
        "i_do_not_know_on_held_out_free_topics": domains["free topic"]["held_out_phrasings"]["right"],
        "domains": domains,
        "styles": {},
    }
    for temperature in (0.6, 1.0):
        note(f"sampling styles at temperature {temperature}")
        report["styles"][str(temperature)] = _mixture(model, tokenizer, temperature, each * 12)
    return report


def _examine(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, cases: Sequence[tuple[Messages, Turn]]
) -> dict[str, float]:
    replies = generate(model, tokenizer, [messages for messages, _ in cases])
    right = sum(is_right(reply, turn.accepted) for reply, (_, turn) in zip(replies, cases, strict=True))
    ended = sum(reply.ended for reply in replies)
    return {"right": round(right / len(cases), 4), "ends": round(ended / len(cases), 4)}


def _openings(name: str, count: int, *, held_out: bool) -> list[tuple[Messages, Turn]]:
    rng = Random(FRESH + sorted(WEIGHTS).index(name) + 1000 * held_out)
    turns: list[Turn] = []
    while len(turns) < count:
        asked = ask(name, "zh" if len(turns) % 5 in (1, 3) else "en", rng, held_out)
        if asked.row and asked.row.get("result") in (asked.row.get("a", ""), asked.row.get("b", "-")):
            continue  # "5 + 0": a reply that repeats the sum would count as right
        turns.append(answer(asked, rng))
    return [([{"role": "user", "content": turn.question}], turn) for turn in turns]


def _later_turns(count: int) -> list[tuple[Messages, Turn]]:
    rng = Random(FRESH - 1)
    cases: list[tuple[Messages, Turn]] = []
    while len(cases) < count:
        turns = dialogue(rng)
        if len(turns) > 1:
            messages: Messages = []
            for turn in turns[:-1]:
                messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.reply}]
            cases.append(([*messages, {"role": "user", "content": turns[-1].question}], turns[-1]))
    return cases


def _mixture(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, temperature: float, count: int
) -> dict[str, Any]:
    import torch

    torch.manual_seed(0)
    rng = Random(FRESH - 2)
    turns = [dialogue(rng)[0] for _ in range(count)]
    replies = generate(model, tokenizer, [[{"role": "user", "content": turn.question}] for turn in turns], temperature)
    found = Counter(style_of(reply, turn.language) for reply, turn in zip(replies, turns, strict=True))
    by_domain: dict[str, set[str]] = {}
    for reply, turn in zip(replies, turns, strict=True):
        by_domain.setdefault(turn.domain, set()).add(style_of(reply, turn.language))
    return {
        "shares": {style: round(found[style] / count, 4) for style in STYLES},
        "right": round(
            sum(is_right(reply, turn.accepted) for reply, turn in zip(replies, turns, strict=True)) / count, 4
        ),
        "ends": round(sum(reply.ended for reply in replies) / count, 4),
        "styles_seen_by_domain": {name: len(styles) for name, styles in sorted(by_domain.items())},
    }


class Reply(str):
    """A reply's text, and whether it ended by itself."""

    ended: bool = False


def generate(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    conversations: Sequence[Messages],
    temperature: float = 0.0,
    batch: int = 64,
) -> list[Reply]:
    """One reply to each conversation, greedy at temperature 0; conversations of like length share a batch."""
    import torch

    prompts: list[list[int]] = [
        tokenizer.encode(
            str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)),
            add_special_tokens=False,
        )
        for messages in conversations
    ]
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    replies = [Reply() for _ in prompts]
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    writer: Any = model  # transformers types `generate` for another kind of self
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        longest = max(len(prompts[at]) for at in chosen)
        ids = torch.tensor([[pad] * (longest - len(prompts[at])) + prompts[at] for at in chosen])  # [B, T]
        mask = torch.tensor([[0] * (longest - len(prompts[at])) + [1] * len(prompts[at]) for at in chosen])  # [B, T]
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            if temperature
            else {"do_sample": False}
        )
        with torch.inference_mode():
            out = writer.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=LONGEST_REPLY,
                eos_token_id=end,
                pad_token_id=pad,
                **sampling,
            )
        for at, row in zip(chosen, out[:, longest:].tolist(), strict=True):
            size = row.index(end) if end in row else len(row)
            replies[at] = Reply(str(tokenizer.decode(row[:size])).strip())
            replies[at].ended = size < len(row)
    return replies
