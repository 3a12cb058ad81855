"""Turns to tokens: the one renderer, for serving and training alike. Needs neither torch nor transformers.

Text of people never becomes a special token (F28): where a turn contains the spelling of one, the rendered text is cut
at the special tokens *the template* wrote, and everything between is encoded as plain text.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

# A model that brings no template of its own is spoken to plainly.
PLAIN = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


class TemplateError(ValueError):
    """The turns cannot be rendered for this model; the message says why."""


class TooLong(TemplateError):
    """The last question alone is longer than the model's context."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: str  # system | user | assistant
    content: str


class Template:
    """How one model is spoken to: its tokenizer, its chat template, its limits."""

    def __init__(self, directory: Path) -> None:
        """Read them.

        Raises:
            TemplateError: a file is missing or not what it should be.
        """
        try:
            self._open(directory)
        except Exception as error:  # `tokenizers` raises plain ones
            reason = f"{type(error).__name__}: {error}"
            raise TemplateError(f"tokenizer and chat template in {directory} cannot be used: {reason}") from error

    def _open(self, directory: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self._plain = Tokenizer.from_str(self.tokenizer.to_str())
        self._plain.encode_special_tokens = True  # special tokens in the text are just their characters
        config = _read(directory / "config.json")
        settings = _read(directory / "tokenizer_config.json")
        generation = _read(directory / "generation_config.json")
        template_file = directory / "chat_template.jinja"
        source = template_file.read_text() if template_file.exists() else settings.get("chat_template") or PLAIN
        self.context: int = config.get("max_position_embeddings") or config.get("n_positions") or 2048
        ends = generation.get("eos_token_id", config.get("eos_token_id"))
        self.ends: tuple[int, ...] = tuple(ends) if isinstance(ends, list) else () if ends is None else (ends,)
        self.digest = hashlib.sha256(source.encode() + self.tokenizer.to_str().encode()).hexdigest()[:16]
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._template = environment.from_string(source)
        self._names = {
            name: value["content"] if isinstance(value, dict) else value
            for name in ("bos_token", "eos_token", "pad_token", "unk_token")
            if (value := settings.get(name)) is not None
        }

    def render(self, turns: Sequence[Turn]) -> list[int]:
        """Token ids of the conversation up to where the assistant's next turn begins.

        Raises:
            TemplateError: the model's template refuses these turns.
        """
        text = self._text(turns)
        if not any(self._specials.search(turn.content) for turn in turns):
            return list(self.tokenizer.encode(text, add_special_tokens=False).ids)
        # Stand-ins nobody typed show which parts of the text the template wrote.
        marks = [f"\ue000{number}\ue001" for number in range(len(turns))]
        stood_in = self._text([Turn(turn.role, mark) for turn, mark in zip(turns, marks, strict=True)])
        ids: list[int] = []
        pending = ""
        for piece in re.split("(\ue000[0-9]+\ue001)", stood_in):
            if piece in marks:
                pending += turns[marks.index(piece)].content
                continue
            for part in self._specials.split(piece):
                special = self.tokenizer.token_to_id(part) if self._specials.fullmatch(part) else None
                if special is None:
                    pending += part
                else:
                    ids += [*self._encode(pending), special]
                    pending = ""
        return ids + self._encode(pending)

    def fit(self, turns: Sequence[Turn], room: int) -> list[int]:
        """Like `render`, leaving out the oldest turns until at least `room` tokens of the context are free.

        Raises:
            TooLong: the last turn alone does not fit.
        """
        limit = self.context - room
        first = 1 if turns and turns[0].role == "system" else 0

        def without(pairs: int) -> list[int]:
            return self.render([*turns[:first], *turns[first + 2 * pairs :]])

        whole = without(0)
        if len(whole) <= limit:
            return whole
        too_few, enough = 0, max(0, (len(turns) - first - 1) // 2)
        fitting = without(enough)
        if len(fitting) > limit:
            raise TooLong(
                f"the message is {len(fitting)} tokens long, this model takes {limit}; shorten it or split it in parts"
            )
        while enough - too_few > 1:  # halved, not one by one: rendering a thousand turns takes its time
            middle = (too_few + enough) // 2
            ids = without(middle)
            if len(ids) <= limit:
                enough, fitting = middle, ids
            else:
                too_few = middle
        return fitting

    def reply(self, text: str) -> list[int]:
        """Token ids of a reply as the model should have written it: the text, then the token that ends a turn."""
        return [*self._encode(text), *self.ends[:1]]

    def text(self, tokens: Sequence[int]) -> str:
        """The text of sampled tokens, without special ones."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        added = self.tokenizer.get_added_tokens_decoder().values()
        spellings = sorted((token.content for token in added if token.special), key=len, reverse=True)
        return re.compile("(" + "|".join(map(re.escape, spellings)) + ")") if spellings else re.compile("(?!)")

    def _text(self, turns: Sequence[Turn]) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self._template.render(messages=messages, add_generation_prompt=True, **self._names)
        except (
            JinjaError,
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
        ) as error:
            raise TemplateError(f"the model's chat template refuses this conversation: {error}") from error

    def _encode(self, text: str) -> list[int]:
        return list(self._plain.encode(text, add_special_tokens=False).ids) if text else []


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _refuse(message: str) -> NoReturn:
    raise JinjaError(message)
