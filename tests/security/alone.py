"""A whole Backtalk chats; to be run where there is no network. `python -m tests.security.alone`"""

import asyncio
import contextlib
import socket

from tests.server.stack import Stack

ELSEWHERE = ("192.0.2.1", 443)  # RFC 5737: nobody's address


def is_alone() -> bool:
    """Does no road lead out of here?"""
    with contextlib.closing(socket.socket()) as somewhere:
        somewhere.settimeout(2)
        try:
            somewhere.connect(ELSEWHERE)
        except OSError as error:
            return "unreachable" in str(error)
    return False


async def talk(stack: Stack) -> str:
    """Ask one thing and hear the answer."""
    async with stack.chat(stack.someone()) as chat:
        started = await chat.say("What is the capital of France?", sampling={"temperature": 0})
        text, ended = await chat.listen(started["reply_id"])
        assert ended["state"] == "done"
        return text


def main() -> None:
    """Start, talk, end."""
    assert is_alone(), "there is a network here; run this under `unshare --net`"
    stack = Stack()
    try:
        print(asyncio.run(talk(stack.start())))
    finally:
        stack.close()


if __name__ == "__main__":
    main()
