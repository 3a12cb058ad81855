"""Does a candidate still know the language at large? Perplexity on a text of ours that no opinion is about.

What is learned from thumbs makes a policy forget what it read (arXiv 2203.02155 calls it the alignment tax); on
questions that people ask it may not show. The text (`general.json`) is read as it stands, without a chat around it. Its
sentences are plain ones that the bundled policy has the words for: of prose that it never could read, it could forget
nothing.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from torch import stack, tensor
from transformers import PreTrainedModel

from backtalk.template import Template
from learner.sequences import Exchange, all_logprobs

FILE = Path(__file__).with_name("general.json")


def passages(template: Template) -> Iterator[tuple[str, Exchange]]:
    """Language and passage; the first token asks for the others."""
    ends = set(template.ends)
    for language, texts in json.loads(FILE.read_text(encoding="utf-8")).items():
        for text in texts:
            tokens = tuple(token for token in template.reply(text) if token not in ends)[: template.context]
            yield language, Exchange(tokens[:1], tokens[1:], text)


def perplexity(policy: PreTrainedModel, template: Template) -> dict[str, float]:
    """Of each language: exp of the mean negative log-prob of a token."""
    languages, exchanges = zip(*passages(template), strict=True)
    lines = all_logprobs(policy, exchanges)
    found = {}
    for language in sorted(set(languages)):
        own = [line for name, line in zip(languages, lines, strict=True) if name == language]
        total, count = stack([line.double().sum() for line in own]).sum(), sum(len(line) for line in own)
        found[language] = float((-total / tensor(count)).exp())
    return found
