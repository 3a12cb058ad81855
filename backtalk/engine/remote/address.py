"""`BACKTALK_ENGINE`: which engine, and where."""

from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

Kind = Literal["vllm", "sglang", "tgi", "openai"]
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Address:
    """The replicas of one remote engine."""

    kind: Kind
    urls: tuple[str, ...]


def parse(text: str) -> Address | None:
    """`kind+http://host:port`, further replicas after commas; None for our own engine.

    Raises:
        ValueError: with what was found and what was expected.
    """
    if text == LOCAL:
        return None
    kind, plus, rest = text.partition("+")
    known = next((name for name in get_args(Kind) if name == kind), None)
    if not plus or known is None:
        expected = ", ".join(f"{name}+http://host:port" for name in get_args(Kind))
        raise ValueError(f"engine is {text!r}; expected {LOCAL}, {expected}")
    urls = tuple(url.strip().removeprefix(f"{kind}+").rstrip("/") for url in rest.split(","))
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"engine names {url!r}; expected an address such as http://host:8000")
        if parts.username or parts.password:
            raise ValueError("engine holds a password; put it into a file and name that in engine_key_file")
    if len(set(urls)) != len(urls):
        raise ValueError(f"engine names a replica twice: {text!r}")
    return Address(known, urls)
