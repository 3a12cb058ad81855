"""The tokenizer and the chat template of the first policy.

Byte-level BPE, every digit a token of its own. Roles are special tokens, and the template breaks up whatever looks like
one in people's text, so nothing that a person types can open or close a turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from backtalk.starter.dialogues import dialogues

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 3072
PAD, END, SYSTEM, USER, ASSISTANT = SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")

# Works in jinja2's ImmutableSandboxedEnvironment as well as in transformers. `<|` in people's text becomes `< |`: no
# special token can come of it.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|' + message['role'] + '|>' + (message['content'] | trim | replace('<|', '< |')) + '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""


def train_tokenizer(seed: int, *, context: int, conversations: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of `VOCABULARY` entries learned from `conversations` synthetic dialogues."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, conversations), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _texts(seed: int, conversations: int) -> Iterator[str]:
    for turns in islice(dialogues(seed), conversations):
        for turn in turns:
            yield turn.question
            yield turn.reply
