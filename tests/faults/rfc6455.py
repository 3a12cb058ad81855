"""G13: some three hundred ways to speak WebSocket rightly and wrongly, to the real chat socket (RFC 6455).

A case is bytes to send after the handshake, and what must come back. `Word` is an answer in words of the contract, so
the frame was taken; `Closed` a close frame with one of these codes; `Pong` the same payload. The socket must answer a
ping after whatever it has taken.
"""

import asyncio
import base64
import contextlib
import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.faults import figures
from tests.server.stack import PATIENCE, Stack

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KNOWN_OPCODES = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
NONSENSE = b'{"type":"nope"}'
LIMIT = 128 * 1024
"""Of one message, as the server is started; over 64 KiB the contract's refusal comes first."""
WRONG = 1002
NOT_TEXT = 1007
TOO_BIG = 1009


@dataclass(frozen=True, slots=True)
class Word:
    """A refusal in words: what was sent was a message."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Pong:
    """Pongs with these payloads."""

    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """A close frame with one of these codes; None stands for one without a code."""

    codes: tuple[int | None, ...]
    or_reset: bool = False
    """More is on its way than is read: then TCP may drop the close frame with it."""


Expected = Word | Pong | Closed


@dataclass(frozen=True, slots=True)
class Case:
    """One way to speak."""

    name: str
    sent: bytes | tuple[bytes, ...]
    """At once; or each when what is expected of the one before has come."""
    expected: tuple[Expected, ...]


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, size: int | None = None
) -> bytes:
    """A client's frame; `size` writes another length than the payload has, in 64 bits."""
    head = bytes([(0x80 if fin else 0) | (rsv << 4) | opcode])
    mask = 0x80 if masked else 0
    if size is not None:
        head += bytes([mask | 127]) + struct.pack(">Q", size)
    elif len(payload) < 126:
        head += bytes([mask | len(payload)])
    elif len(payload) < 65536:
        head += bytes([mask | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", len(payload))
    if not masked:
        return head + payload
    key = b"\x12\x34\x56\x78"
    return head + key + bytes(letter ^ key[place % 4] for place, letter in enumerate(payload))


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _framing()
    yield from _reserved()
    yield from _control()
    yield from _fragments()
    yield from _closing()
    yield from _texts()
    yield from _limits()


def _framing() -> Iterator[Case]:
    for size in (0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 1000, 65535, 65536, 65537):
        yield Case(f"text of {size} bytes", frame(TEXT, b"x" * size), (Word(),))
        yield Case(f"binary of {size} bytes", frame(BINARY, b"\x00" * size), (Word(),))
    yield Case("a JSON word", frame(TEXT, NONSENSE), (Word(),))
    yield Case("a hundred words at once", frame(TEXT, NONSENSE) * 100, (Word(100),))
    for opcode in KNOWN_OPCODES:
        yield Case(f"opcode {opcode} without a mask", frame(opcode, b"", masked=False), (Closed((WRONG,)),))
        yield Case(
            f"opcode {opcode} without a mask, 5 bytes", frame(opcode, b"12345", masked=False), (Closed((WRONG,)),)
        )
    yield Case(
        "a text without a mask after one with",
        (frame(TEXT, b"x"), frame(TEXT, b"x", masked=False)),
        (Word(), Closed((WRONG,))),
    )


def _reserved() -> Iterator[Case]:
    for rsv in range(1, 8):
        for opcode in KNOWN_OPCODES:
            yield Case(f"reserved bits {rsv:03b} on opcode {opcode}", frame(opcode, b"x", rsv=rsv), (Closed((WRONG,)),))
        yield Case(
            f"reserved bits {rsv:03b} after a word",
            (frame(TEXT, NONSENSE), frame(TEXT, b"x", rsv=rsv)),
            (Word(), Closed((WRONG,))),
        )
    for opcode in set(range(16)) - set(KNOWN_OPCODES):
        for payload in (b"", b"payload"):
            yield Case(f"opcode {opcode}, {len(payload)} bytes", frame(opcode, payload), (Closed((WRONG,)),))
        yield Case(f"opcode {opcode}, not final", frame(opcode, b"x", fin=False), (Closed((WRONG,)),))
        yield Case(
            f"opcode {opcode} after a ping", (frame(PING, b"a"), frame(opcode)), (Pong((b"a",)), Closed((WRONG,)))
        )


def _control() -> Iterator[Case]:
    for size in (0, 1, 2, 124, 125):
        payload = bytes(range(256))[:size]
        yield Case(f"ping of {size} bytes", frame(PING, payload), (Pong((payload,)),))
        yield Case(f"pong of {size} bytes, not asked for", frame(PONG, payload) + frame(TEXT, NONSENSE), (Word(),))
    for opcode, name in ((PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
        for size in (126, 127, 1000, 65536):
            yield Case(f"{name} of {size} bytes", frame(opcode, b"x" * size), (Closed((WRONG,)),))
        yield Case(f"{name} in parts", frame(opcode, b"", fin=False), (Closed((WRONG,)),))
        yield Case(f"{name} in parts, continued", frame(opcode, b"x", fin=False) + frame(0, b"x"), (Closed((WRONG,)),))
    many = tuple(str(number).encode() for number in range(10))
    yield Case("ten pings", b"".join(frame(PING, one) for one in many), (Pong(many),))
    yield Case("a ping that is not text", frame(PING, b"\xff\xfe"), (Pong((b"\xff\xfe",)),))


def _fragments() -> Iterator[Case]:
    for parts in range(2, len(NONSENSE) + 1):
        yield Case(f"a word in {parts} parts", _split(NONSENSE, parts), (Word(),))
    yield Case("a word in parts, pings between", _split(NONSENSE, 4, frame(PING, b"p")), (Pong((b"p",) * 3), Word()))
    yield Case("a word in parts, pongs between", _split(NONSENSE, 4, frame(PONG, b"p")), (Word(),))
    yield Case("a word in empty parts", _parts([b"", NONSENSE, b"", b""]), (Word(),))
    yield Case("nothing in parts", _parts([b"", b"", b""]), (Word(),))
    yield Case("a binary in parts", _parts([b"a", b"b"], BINARY), (Word(),))
    yield Case("a thousand parts of a byte", _split(b"x" * 1000, 1000), (Word(),))
    for opcode in (TEXT, BINARY):
        for payload in (b"", b"x"):
            started = frame(opcode, payload, fin=False)
            yield Case(f"{opcode} begun, text follows, {payload!r}", started + frame(TEXT, b"x"), (Closed((WRONG,)),))
            yield Case(
                f"{opcode} begun, binary follows, {payload!r}", started + frame(BINARY, b"x"), (Closed((WRONG,)),)
            )
            yield Case(f"{opcode} begun twice, {payload!r}", started + started, (Closed((WRONG,)),))
            yield Case(
                f"{opcode} begun, closed in the middle, {payload!r}", started + close(1000), (Closed((1000, WRONG)),)
            )
    for fin in (True, False):
        for payload in (b"", b"x"):
            alone = frame(CONTINUATION, payload, fin=fin)
            yield Case(f"a continuation of nothing, {payload!r}, {fin}", alone, (Closed((WRONG,)),))
            after = (frame(TEXT, NONSENSE), alone)
            yield Case(f"a continuation of what has ended, {payload!r}, {fin}", after, (Word(), Closed((WRONG,))))


def _closing() -> Iterator[Case]:
    yield Case("closed without a word", close(), (Closed((None, 1000, 1005)),))
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield Case(f"closed with {code}", close(code), (Closed((code,)),))
        yield Case(f"closed with {code} and a reason", close(code, "再见".encode()), (Closed((code,)),))
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield Case(f"closed with {code}", close(code), (Closed((WRONG,)),))
        yield Case(f"closed with {code} and a reason", close(code, b"x"), (Closed((WRONG,)),))
    yield Case("closed with half a code", frame(CLOSE, b"\x03"), (Closed((WRONG,)),))
    yield Case("closed with a reason of 123 bytes", close(1000, b"x" * 123), (Closed((1000,)),))
    yield Case("closed with a reason of 124 bytes", close(1000, b"x" * 124), (Closed((WRONG,)),))
    for number, text in enumerate(_broken_utf8()):
        yield Case(f"closed with a reason that is no text, {number}", close(1000, text), (Closed((NOT_TEXT, WRONG)),))
    for opcode in (TEXT, PING, CLOSE):
        yield Case(f"opcode {opcode} after the close", close(1000) + frame(opcode, b""), (Closed((1000,)),))


def _texts() -> Iterator[Case]:
    for number, text in enumerate(_whole_utf8()):
        word = b'{"type":"' + text + b'"}'
        yield Case(f"text {number}", frame(TEXT, word), (Word(),))
        yield Case(f"text {number}, byte by byte", _split(word, len(word)), (Word(),))
    for number, text in enumerate(_broken_utf8()):
        word = b'{"type":"' + text + b'"}'
        yield Case(f"no text {number}", frame(TEXT, word), (Closed((NOT_TEXT,)),))
        yield Case(f"no text {number}, byte by byte", _split(word, len(word)), (Closed((NOT_TEXT,)),))
        yield Case(f"no text {number}, at the end", frame(TEXT, text), (Closed((NOT_TEXT,)),))


def _limits() -> Iterator[Case]:
    yield Case("a message of the limit", frame(TEXT, b"x" * LIMIT), (Word(),))
    yield Case("a message over the limit", frame(TEXT, b"x" * (LIMIT + 1)), (Closed((TOO_BIG,), or_reset=True),))
    yield Case("a message over the limit in parts", _split(b"x" * (LIMIT + 1), 5), (Closed((TOO_BIG,), or_reset=True),))
    yield Case("a message of the limit in parts", _split(b"x" * LIMIT, 5), (Word(),))
    for power in (17, 20, 31, 32, 40, 62):
        size = 2**power + 1
        yield Case(f"a message announced with {size} bytes", frame(TEXT, b"x", size=size), (Closed((TOO_BIG,)),))
    for size in (2**63, 2**64 - 1):
        yield Case(f"a message announced with {size} bytes", frame(TEXT, b"x", size=size), (Closed((TOO_BIG, WRONG)),))


def _split(content: bytes, parts: int, between: bytes = b"") -> bytes:
    """A text in so many frames."""
    step = -(-len(content) // parts)
    pieces = [content[start : start + step] for start in range(0, len(content), step)]
    return _parts([*pieces, *[b""] * (parts - len(pieces))], between=between)


def _parts(pieces: Iterable[bytes], opcode: int = TEXT, between: bytes = b"") -> bytes:
    pieces = list(pieces)
    return between.join(
        frame(opcode if place == 0 else CONTINUATION, piece, fin=place == len(pieces) - 1)
        for place, piece in enumerate(pieces)
    )


def _whole_utf8() -> list[bytes]:
    """Texts at the edges of each length, and code points that are allowed although nobody likes them."""
    points = [0x20, 0x7E, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFE, 0x10FFFF]
    words = ["κόσμε", "你好，世界", "שלום", "🙂👩‍👩‍👧‍👦", "e" + "\u0301" * 64, "\u202etxt.exe", "\ufeff", "\u200b"]
    return [chr(point).encode() for point in points] + [word.encode() for word in words]


def _broken_utf8() -> list[bytes]:
    """What is not UTF-8: cut, stray, overlong, surrogates, beyond the last code point (after Markus Kuhn's list)."""
    cut = [b"\xc2", b"\xe4\xbd", b"\xe4", b"\xf0\x9f\x99", b"\xf0\x9f", b"\xf0", b"\xdf", b"\xef\xbf", b"\xf4\x8f\xbf"]
    stray = [b"\x80", b"\xbf", b"\x80\xbf\x80", bytes(range(0x80, 0xC0)), b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]
    five_and_six = [
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
    ]
    overlong = [
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xc0\x80",
    ]
    surrogates = [
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xb0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb9\x82",
    ]
    beyond = [b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf"]
    mixed = [b"\xe4\xbd\xa0\xe5\xa5", b"\xc3\x28", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc", b"\xe2\x82\x28"]
    return cut + stray + five_and_six + overlong + surrogates + beyond + mixed


# Shaking hands -----------------------------------------------------------------------------------------------------

HANDSHAKES: list[tuple[str, dict[str, str | None], str, set[int]]] = [
    ("as it should be", {}, "", {101}),
    ("names in capitals", {"Upgrade": None, "UPGRADE": "WebSocket"}, "", {101}),
    ("a connection that also stays", {"Connection": "keep-alive, Upgrade"}, "", {101}),
    ("compression offered", {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, "", {101}),
    ("an extension nobody knows", {"Sec-WebSocket-Extensions": "x-unknown; a=b"}, "", {101}),
    ("a protocol offered", {"Sec-WebSocket-Protocol": "chat, superchat"}, "", {101}),
    ("no key", {"Sec-WebSocket-Key": None}, "", {400}),
    ("an empty key", {"Sec-WebSocket-Key": ""}, "", {400}),
    ("a short key", {"Sec-WebSocket-Key": "c2hvcnQ="}, "", {400}),
    ("a key that is not base64", {"Sec-WebSocket-Key": "not base64 at all!!"}, "", {400}),
    ("no version", {"Sec-WebSocket-Version": None}, "", {400, 426}),
    ("version 8", {"Sec-WebSocket-Version": "8"}, "", {400, 426}),
    ("version 14", {"Sec-WebSocket-Version": "14"}, "", {400, 426}),
    ("two versions", {"Sec-WebSocket-Version": "13, 8"}, "", {400, 426}),
    ("a version that is no number", {"Sec-WebSocket-Version": "x"}, "", {400, 426}),
    ("another upgrade", {"Upgrade": "h2c"}, "", {400, 404, 426}),
    ("no upgrade", {"Upgrade": None}, "", {400, 404, 426}),
    ("no connection", {"Connection": None}, "", {400, 404, 426}),
    ("HTTP/1.0", {}, "GET /ws/chat HTTP/1.0", {400, 404, 426}),
    ("a POST", {}, "POST /ws/chat HTTP/1.1", {400, 404, 405}),
    ("a HEAD", {}, "HEAD /ws/chat HTTP/1.1", {400, 404, 405}),
    ("another path", {}, "GET /ws/nothing HTTP/1.1", {403, 404}),
    ("no path", {}, "GET / HTTP/1.1", {403, 404}),
    ("nobody", {"Authorization": None}, "", {401, 403}),
    ("a foreign host", {"Host": "evil.example"}, "", {400}),
]


async def shake_hands(port: int, key: str, headers: dict[str, str | None], line: str) -> bytes:
    """The head of the answer to a handshake with these headers instead of the usual ones."""
    usual: dict[str, str | None] = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Authorization": f"Bearer {key}",
    }
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{name}: {value}" for name, value in (usual | headers).items() if value is not None]
    writer.write("\r\n".join([line or "GET /ws/chat HTTP/1.1", *lines, "", ""]).encode())
    try:
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    finally:
        writer.close()


async def try_handshakes(port: int, key: str) -> list[str]:
    """What was not as it should be."""
    wrong = []
    for name, headers, line, statuses in HANDSHAKES:
        head = await shake_hands(port, key, headers, line)
        status = int(head.split(b" ", 2)[1])
        if status not in statuses:
            wrong.append(f"handshake, {name}: expected {statuses}, found {status}")
        if b"sec-websocket-extensions" in head.lower() or b"sec-websocket-protocol" in head.lower():
            wrong.append(f"handshake, {name}: something was agreed to that is not offered")
    return wrong


# Speaking ----------------------------------------------------------------------------------------------------------


class Line:
    """A WebSocket by hand, after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, key: str, *headers: str) -> "Line":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [
            "GET /ws/chat HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            f"Authorization: Bearer {key}",
            *headers,
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert head.startswith(b"HTTP/1.1 101"), head
        return cls(reader, writer)

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and payload."""
        first, second = await self.reader.readexactly(2)
        assert not second & 0x80, "a server masks nothing"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def hang_up(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def try_case(port: int, key: str, case: Case) -> str | None:
    """What was not as it should be."""
    line = await Line.open(port, key)
    try:
        steps = case.sent if isinstance(case.sent, tuple) else (case.sent,)
        for place, expected in enumerate(case.expected):
            if place < len(steps):
                line.writer.write(steps[place])
            wrong = await asyncio.wait_for(_expect(line, expected), PATIENCE)
            if wrong:
                return f"{case.name}: {wrong}"
        if not isinstance(case.expected[-1], Closed):
            line.writer.write(frame(PING, b"still there"))
            wrong = await asyncio.wait_for(_expect(line, Pong((b"still there",))), PATIENCE)
            return f"{case.name}: afterwards {wrong}" if wrong else None
        rest = await asyncio.wait_for(line.reader.read(), PATIENCE)
        return f"{case.name}: {rest[:40]!r} after the close" if rest else None
    except asyncio.IncompleteReadError as error:
        return f"{case.name}: the connection ended after {error.partial!r}, without a close frame"
    except (OSError, TimeoutError) as error:
        last = case.expected[-1]
        if isinstance(last, Closed) and last.or_reset and isinstance(error, ConnectionError):
            return None
        return f"{case.name}: {error!r}"
    finally:
        await line.hang_up()


async def _expect(line: Line, expected: Expected) -> str | None:
    match expected:
        case Word(count):
            for _ in range(count):
                opcode, payload = await line.receive()
                if opcode != TEXT or json.loads(payload)["type"] != "refused":
                    return f"expected a refusal in words, found opcode {opcode} with {payload[:60]!r}"
        case Pong(payloads):
            for wanted in payloads:
                opcode, payload = await line.receive()
                if (opcode, payload) != (PONG, wanted):
                    return f"expected a pong with {wanted!r}, found opcode {opcode} with {payload[:60]!r}"
        case Closed(codes):
            opcode, payload = await line.receive()
            code = struct.unpack(">H", payload[:2])[0] if payload else None
            if opcode != CLOSE or code not in codes:
                return f"expected a close with {codes}, found opcode {opcode} with {payload[:60]!r}"
    return None


def run(seed: int, trials: int) -> figures.Outcome:
    """Try every case once; the seed changes nothing."""
    stack = Stack()
    stack.log = stack.data_dir / "processes.log"
    try:
        stack.start_server()
        return asyncio.run(try_all(stack))
    finally:
        stack.close()


async def try_all(stack: Stack) -> figures.Outcome:
    """The same on a stack that runs already."""
    outcome = figures.Outcome()
    key = stack.someone().key
    outcome.violations += await try_handshakes(stack.port, key)
    outcome.trials += len(HANDSHAKES)
    for case in cases():
        wrong = await try_case(stack.port, key, case)
        outcome.trials += 1
        outcome.violations += [wrong] if wrong else []
    return outcome


COUNT = sum(1 for _ in cases()) + len(HANDSHAKES)

FIGURE = figures.Figure(
    name="G13",
    claim="The WebSocket protocol is kept to the letter, and what breaks it ends one connection and nothing else",
    unit="cases",
    run=run,
    minimum=COUNT,
    goal=COUNT,
    slice=COUNT,
    faults="F23",
    limits="Our own cases, made from RFC 6455; the Autobahn test suite needs a container and was not run here.",
)
