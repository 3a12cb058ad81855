"""What travels between the engine and its clients: length-prefixed msgpack frames on a Unix socket.

A frame is four bytes (big-endian length) and one msgpack map. Requests carry `op`, answers carry `event`:

| op | fields |
|---|---|
| generate | id, prompt: [int], version, sampling: {...}, position, priority, group; traceparent, if traced |
| cancel | id |
| load | number, path, digest or nil, base or nil: the version that an adapter belongs to |
| unload | number |
| state | |

| event | fields |
|---|---|
| hello | pid, device, dtype, how, versions, slots |
| tokens | items: [[id, text, [token], [log-prob], finish_reason or nil], ...]: one message a step for all streams |
| refused | id, code, message |
| loaded, load_failed | number, seconds; number, error |
| unloaded | number |
| beat | step, running, waiting, versions, slots, dtype, how, tokens, prompt_tokens, pages, pages_used, pages_kept |

The priority is "chat" or "rollout". A beat comes every 250 ms; one whose `step` stands still under work tells of a
stall.
"""

import asyncio
import hashlib
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import msgpack

BEAT_SECONDS = 0.25
MAX_FRAME = 64 * 1024 * 1024
MAX_ADDRESS = 100
"""A Unix socket's path must fit in about 108 bytes, the closing zero and a temporary name included."""

_LENGTH = struct.Struct(">I")


def address(data_dir: Path) -> Path:
    """Where the engine of this data directory listens: in it, or under a short name when its path is too long."""
    direct = data_dir.resolve() / "engine.sock"
    if len(os.fsencode(direct)) <= MAX_ADDRESS:
        return direct
    digest = hashlib.sha256(os.fsencode(direct)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"backtalk-{os.getuid()}" / f"{digest}.sock"


def pack(message: dict[str, Any]) -> bytes:
    """One frame. Floats travel as float32, which is what a log-prob is."""
    body: bytes = msgpack.packb(message, use_single_float=True)
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next frame.

    Raises:
        asyncio.IncompleteReadError: the other side has gone.
        ValueError: what came is not a frame.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_FRAME:
        raise ValueError(f"a frame announces {length} bytes; at most {MAX_FRAME} are allowed")
    message = msgpack.unpackb(await reader.readexactly(length))
    if not isinstance(message, dict):
        raise ValueError(f"a frame holds a {type(message).__name__}; expected a map")
    return message
