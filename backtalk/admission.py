"""Whether a model from elsewhere may be taken in (SEC-10).

Only safetensors and JSON are copied at all, so no code comes with a model. Here its configuration is looked at for what
would make others' code run, and a conversation is rendered with its template in a process of its own with little time
and memory: a template is a program, even in its sandbox.
"""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backtalk.weights import WeightsError

SECONDS = 10  # of a processor
PATIENCE = 90  # seconds of the clock, since on a busy machine the processor is with others most of the time
MEMORY = 4 * 1024**3
CONFIG_BYTES = 1024 * 1024
CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json", "adapter_config.json")
CODE = frozenset(
    {
        "auto_map",
        "custom_generate",
        "custom_object_save",
        "custom_pipelines",
        "trust_remote_code",
    }
)
"""Names under which a configuration says which code shall be loaded with it."""
KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
"""Names whose value may name a repository to load kernels from."""


def admit(directory: Path) -> None:
    """Let a model in.

    Args:
        directory: as `weights.copy_model` has filled it.

    Raises:
        WeightsError: naming the file and what is wrong with it.
    """
    for name in CONFIGS:
        if (directory / name).exists():
            _check_config(directory / name)
    command = [sys.executable, "-m", "backtalk.admission", str(directory)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"the chat template has not rendered a conversation after {PATIENCE} s") from error
    if done.returncode == -signal.SIGXCPU:
        raise WeightsError(f"the chat template renders a conversation for more than {SECONDS} s")
    if done.returncode:
        said = done.stderr.strip().splitlines()
        reason = said[-1] if said else f"its process ended with {done.returncode}"
        raise WeightsError(f"tokenizer and chat template cannot render a conversation: {reason[:300]}")


def _check_config(path: Path) -> None:
    size = path.stat().st_size
    if size > CONFIG_BYTES:
        raise WeightsError(f"{path.name} has {size} bytes; at most {CONFIG_BYTES} are taken")
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path.name} is not JSON: {type(error).__name__}: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path.name} holds a {type(content).__name__}; expected an object")
    for name, value in _entries(content):
        if name in CODE:
            raise WeightsError(f"{path.name} asks for code of its own ({name}); only models without code are taken")
        if name in KERNELS and isinstance(value, str) and "/" in value:
            raise WeightsError(f"{path.name} asks for kernels from {value!r} ({name}); only those at hand are used")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value in it, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def main() -> None:
    """The process of its own: render one conversation."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))  # where both are alike, it is killed without a word
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    from backtalk.template import Template, Turn

    turns = [Turn("user", "Hello"), Turn("assistant", "Hello!"), Turn("user", "How are you?")]
    try:
        rendered = Template(Path(sys.argv[1])).render(turns)
    except Exception as error:  # whatever is wrong with them, they are not taken
        sys.exit(f"{type(error).__name__}: {error}")
    if not rendered:
        sys.exit("a conversation is rendered as nothing")


if __name__ == "__main__":
    main()
