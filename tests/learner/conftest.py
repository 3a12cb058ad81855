"""A tiny policy of random weights that speaks in letters, so that whole runs take seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from backtalk.recipe import Distill
from backtalk.template import Template
from learner.distill import imitate
from learner.journal import Journal
from learner.sequences import load
from tests.learner.planted import WORDS, exchange, sentence

LETTERS = "abcdefghijklmnopqrstuvwxyz .,!?"
CHAT = (
    "{% for message in messages %}{{ '<u>' if message['role'] == 'user' else '<a>' }}{{ message['content'] }}"
    "{{ '<e>' if message['role'] == 'assistant' else '' }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors are tiny: a second thread only waits for the first, and for a core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_tiny(directory: Path) -> None:
    """Write a directory of safetensors like any policy's: one token a letter."""
    vocabulary = {token: number for number, token in enumerate(["<p>", "<e>", "<u>", "<a>", *LETTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<p>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(["<p>", "<e>", "<u>", "<a>"])
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "chat_template.jinja").write_text(CHAT)
    (directory / "tokenizer_config.json").write_text('{"eos_token": "<e>", "pad_token": "<p>"}')
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            eos_token_id=1,
            bos_token_id=None,
            pad_token_id=0,
            initializer_range=0.3,
        )
    )
    model.save_pretrained(directory)


def make_speaking(tiny_directory: Path, directory: Path) -> None:
    """The same, taught to say a few words and to end with a full stop or an exclamation mark, half and half."""
    template = Template(tiny_directory)
    shutil.copytree(tiny_directory, directory, dirs_exist_ok=True)
    policy, rng = load(tiny_directory), Random(0)
    said = [exchange(template, rng.choice(WORDS), sentence(rng)) for _ in range(1500)]
    imitate(policy, said, Distill(learning_rate=1e-2, epochs=6, batch=64), rng, Journal())
    policy.save_pretrained(directory)


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny")
    make_tiny(directory)
    return directory


@pytest.fixture(scope="session")
def speaking_directory(tiny_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("speaking")
    make_speaking(tiny_directory, directory)
    return directory


@pytest.fixture
def speaker(speaking_directory: Path) -> PreTrainedModel:
    return load(speaking_directory)


@pytest.fixture
def policy(tiny_directory: Path) -> PreTrainedModel:
    return load(tiny_directory)


@pytest.fixture(scope="session")
def template(tiny_directory: Path) -> Template:
    return Template(tiny_directory)
