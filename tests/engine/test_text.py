"""Tokens to text: joined pieces are the whole, characters are whole, stop strings are cut."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from backtalk.engine.text import REPLACEMENT, TextStream, _bytes_of_characters

# The session's tokenizer is read-only, so that all examples may share it.
shared = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.text(st.sampled_from("the fox 你好世界 é🙂👩‍👩‍👧🇨🇳\n."), max_size=30)


def pieces_of(tokenizer: Tokenizer, tokens: list[int], stop: tuple[str, ...] = ()) -> list[str]:
    stream = TextStream(tokenizer, stop)
    pieces = []
    for token in tokens:
        pieces.append(stream.push(token))
        if stream.is_stopped:
            break
    return [*pieces, stream.finish()]


@pytest.fixture(scope="session")
def sentencepiece_like() -> Tokenizer:
    """Metaspace with byte fallback, as Llama 2 and Mistral decode."""
    pieces = ["<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁the", "▁fox", "▁", "t", "h", "e", "你好"]
    made = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<s>"))
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens(["<s>"])
    return made


@shared
@given(words)
def test_text_comes_back_whole(tokenizer: Tokenizer, text: str) -> None:
    assert "".join(pieces_of(tokenizer, tokenizer.encode(text).ids)) == text


@shared
@given(words)
def test_every_piece_has_whole_characters_only(tokenizer: Tokenizer, text: str) -> None:
    assert not any(REPLACEMENT in piece for piece in pieces_of(tokenizer, tokenizer.encode(text).ids))


@shared
@given(st.lists(st.integers(0, 319), max_size=40))
def test_any_tokens_give_what_the_tokenizer_decodes(tokenizer: Tokenizer, tokens: list[int]) -> None:
    """Even bytes that never become a character: they end as U+FFFD, as often as the tokenizer says."""
    assert "".join(pieces_of(tokenizer, tokens)) == tokenizer.decode(tokens)


@shared
@given(st.lists(st.integers(0, 263), max_size=30))
def test_any_tokens_of_another_kind_of_tokenizer_give_the_same(
    sentencepiece_like: Tokenizer, tokens: list[int]
) -> None:
    whole = sentencepiece_like.decode(tokens)
    if REPLACEMENT not in whole:  # that tokenizer decodes broken bytes differently alone and in company
        assert "".join(pieces_of(sentencepiece_like, tokens)) == whole


@shared
@given(words, st.lists(st.text(st.sampled_from("the fox你好.\n🙂"), min_size=1, max_size=5), min_size=1, max_size=3))
def test_stop_strings_are_cut_wherever_tokens_end(tokenizer: Tokenizer, text: str, stop: list[str]) -> None:
    for tokens in (tokenizer.encode(text).ids, bytewise(tokenizer, text)):
        assert "".join(pieces_of(tokenizer, tokens, tuple(stop))) == cut_by_tokens(tokenizer, tokens, tuple(stop))


def bytewise(tokenizer: Tokenizer, text: str) -> list[int]:
    """One token a byte, so that every border there can be is there."""
    vocabulary = tokenizer.get_vocab()
    by_byte = {value: vocabulary[character] for character, value in _bytes_of_characters().items()}
    return [by_byte[byte] for byte in text.encode()]


def cut_by_tokens(tokenizer: Tokenizer, tokens: list[int], stop: tuple[str, ...]) -> str:
    """What a reader sees who looks after every token: cut at the earliest stop string of the first that shows any."""
    for end in range(1, len(tokens) + 1):
        seen = tokenizer.decode(tokens[:end]).rstrip(REPLACEMENT)
        starts = [seen.find(word) for word in stop if word in seen]
        if starts:
            return seen[: min(starts)]
    return tokenizer.decode(tokens)


@pytest.mark.parametrize("text", ["你", "🙂", "👩‍👩‍👧", "é"])
def test_a_character_waits_for_its_last_byte(tokenizer: Tokenizer, text: str) -> None:
    pieces = pieces_of(tokenizer, bytewise(tokenizer, text[0]))
    assert pieces[:-2] == [""] * (len(pieces) - 2)
    assert pieces[-2:] == [text[0], ""]


def test_a_possible_stop_is_held_back_and_given_when_it_is_none(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer, ("fox!",))
    assert [stream.push(token) for token in bytewise(tokenizer, "a fo.")] == ["a", " ", "", "", "fo."]


def test_what_is_held_back_comes_at_the_end(tokenizer: Tokenizer) -> None:
    assert pieces_of(tokenizer, bytewise(tokenizer, "a fo"), ("fox",)) == ["a", " ", "", "", "fo"]


def test_after_a_stop_string_nothing_comes(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer, ("stop",))
    assert "".join(stream.push(token) for token in bytewise(tokenizer, "go stop go")) == "go "
    assert stream.is_stopped
    assert stream.finish() == ""


def test_special_tokens_are_never_text(tokenizer: Tokenizer) -> None:
    end = tokenizer.get_vocab()["<eos>"]
    assert pieces_of(tokenizer, [end, *bytewise(tokenizer, "a"), end]) == ["", "a", "", ""]


def test_a_token_without_text_such_as_padding_of_the_vocabulary_is_nothing(tokenizer: Tokenizer) -> None:
    assert pieces_of(tokenizer, [100_000]) == ["", ""]


@pytest.mark.parametrize("make", [lambda t: t, lambda t: Tokenizer.from_str(t.to_str())])
def test_equal_tokenizers_give_equal_text(tokenizer: Tokenizer, make: Callable[[Tokenizer], Tokenizer]) -> None:
    assert "".join(pieces_of(make(tokenizer), tokenizer.encode("the fox").ids)) == "the fox"
