"""Tokens to text as they come: whole characters only, and never a part of a stop string."""

import codecs
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from tokenizers import Tokenizer

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class TextStream:
    """Turns one reply's tokens into text, piece by piece.

    What `push` and `finish` return, joined, is the whole text exactly: `tokenizer.decode(tokens)` without special
    tokens, cut before the first stop string. A character whose bytes have not all come is held back, and so is a tail
    that may yet become a stop string. Bytes that never become a character end as U+FFFD.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Iterable[str] = ()) -> None:
        self._decoder = _decoder(tokenizer)
        self._stop = tuple(stop)
        self._held = ""
        self.is_stopped = False
        """A stop string has appeared; nothing more will come."""

    def push(self, token: int) -> str:
        """Take the next token; return the text that is now certain."""
        if self.is_stopped:
            return ""
        text = self._decoder.push(token)
        return self._release(text) if self._stop else text

    def finish(self) -> str:
        """No more tokens will come: return what was held back."""
        if self.is_stopped:
            return ""
        text = self._release(self._decoder.finish()) if self._stop else self._decoder.finish()
        rest, self._held = self._held, ""
        return text + rest

    def _release(self, text: str) -> str:
        whole = self._held + text
        starts = [start for word in self._stop if (start := whole.find(word)) >= 0]
        if starts:
            self.is_stopped = True
            self._held = ""
            return whole[: min(starts)]
        keep = max(_overlap(whole, word) for word in self._stop)
        split = len(whole) - keep
        self._held = whole[split:]
        return whole[:split]


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of `text` are a beginning of `word`."""
    for size in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:size]):
            return size
    return 0


class _Decoder(Protocol):
    def push(self, token: int) -> str: ...

    def finish(self) -> str: ...


def _decoder(tokenizer: Tokenizer) -> _Decoder:
    table = _byte_table(tokenizer)
    return _AnyDecoder(tokenizer) if table is None else _ByteDecoder(table)


class _ByteDecoder:
    """Byte-level BPE (GPT-2, Llama 3, Qwen, our starter): a token is a run of bytes, so text is UTF-8 as it comes."""

    def __init__(self, table: list[bytes]) -> None:
        self._table = table
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._utf8.decode(self._table[token]) if 0 <= token < len(self._table) else ""

    def finish(self) -> str:
        return self._utf8.decode(b"", True)


class _AnyDecoder:
    """Any other tokenizer: decode a short window twice, without and with the new token, and give the difference.

    The window starts at a token before which everything is out, so that joining rules (leading spaces of
    SentencePiece, `##` of WordPiece) act as they do on the whole.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._start = 0
        self._read = 0

    def push(self, token: int) -> str:
        self._tokens.append(token)
        return self._advance(is_last=False)

    def finish(self) -> str:
        return self._advance(is_last=True)

    def _advance(self, *, is_last: bool) -> str:
        before = self._tokenizer.decode(self._tokens[self._start : self._read])
        after = self._tokenizer.decode(self._tokens[self._start :])
        if len(after) <= len(before) or (after.endswith(REPLACEMENT) and not is_last):
            return ""
        self._start, self._read = self._read, len(self._tokens)
        return after[len(before) :]


@lru_cache(maxsize=1)
def _bytes_of_characters() -> dict[str, int]:
    """The byte-level alphabet (GPT-2): each byte's printable stand-in. Printable bytes stand for themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_tables: dict[int, tuple[Tokenizer, list[bytes] | None]] = {}


def _byte_table(tokenizer: Tokenizer) -> list[bytes] | None:
    """Each token's bytes (a special token has none), or None if this tokenizer is not byte-level."""
    known = _tables.get(id(tokenizer))
    if known is not None and known[0] is tokenizer:
        return known[1]
    if len(_tables) >= 8:  # a few versions are resident at once; older tables are made again when needed
        _tables.clear()
    table = _make_byte_table(tokenizer)
    _tables[id(tokenizer)] = (tokenizer, table)
    return table


def _make_byte_table(tokenizer: Tokenizer) -> list[bytes] | None:
    decoder = json.loads(tokenizer.to_str()).get("decoder") or {}
    parts = decoder.get("decoders", []) if decoder.get("type") == "Sequence" else [decoder]
    if [part.get("type") for part in parts] != ["ByteLevel"]:
        return None
    alphabet = _bytes_of_characters()
    special = {number for number, added in tokenizer.get_added_tokens_decoder().items() if added.special}
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for piece, number in vocabulary.items():
        if number in special:
            continue
        # An added token may hold characters outside the alphabet; such a token stands for its own text.
        is_mapped = all(character in alphabet for character in piece)
        table[number] = bytes(alphabet[character] for character in piece) if is_mapped else piece.encode()
    return table
