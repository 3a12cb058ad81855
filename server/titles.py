"""Titles made by the model: it is asked once the first reply of a conversation has ended, while nobody else waits.

Chat goes first: a title is begun only while no reply is under way, waits behind every chat in the engine, and is given
up for later as soon as somebody asks something. What the model writes is taken only if it looks like a title of this
conversation; small models do not know what a title is, and then the first words of the question stay. A name that a
person has given is never touched.
"""

import asyncio
import contextlib
import logging
import re
from collections import deque
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from backtalk import bells
from backtalk.database import Database
from backtalk.engine.client import Engine, Generation
from backtalk.engine.errors import EngineLost, EngineRefused, LoadFailed
from backtalk.engine.sampling import Sampling
from backtalk.tables import Conversation, Message
from backtalk.template import Turn
from backtalk.weights import WeightsError
from backtalk.writer import StorageError, Writer
from server import rendering
from server.errors import Refusal
from server.events import Notice
from server.ledger import TITLE_LENGTH, Entry
from server.replies import Replies
from server.running import Running
from server.sockets import Sockets
from server.swapper import Swapper

MOST_WAITING = 200
"""Conversations that wait for a title; the oldest make way."""
TRIES = 5
"""How often a title is begun that chats interrupt."""
SHOWN = 1200
"""Characters of the question, and of the reply, that the title is made from."""
SAMPLING = Sampling(max_tokens=24, temperature=0.0, seed=0)
MOST_WORDS = 10
YOUNG = 4
"""Messages at most in a conversation that still gets a title: the second question may tell more than a greeting."""

_ASKED_EN = "Give this conversation a title of two to six words. Answer with the title alone."
_ASKED_ZH = "请为这段对话起一个不超过十二个字的标题。只回答标题。"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Untitled:
    entry: Entry
    person_id: UUID
    tries: int = 0


class Titles:
    """Gives conversations their titles, one at a time."""

    def __init__(
        self, database: Database, writer: Writer, engine: Engine, swapper: Swapper, replies: Replies, sockets: Sockets
    ) -> None:
        self._database = database
        self._engine = engine
        self._swapper = swapper
        self._writer = writer
        self._replies = replies
        self._sockets = sockets
        self._waiting: deque[_Untitled] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()
        self._generation: Generation | None = None

    def consider(self, running: Running) -> None:
        """A reply has ended well: if its conversation has just begun, that may have a title."""
        self._waiting.append(_Untitled(running.entry, running.person_id))
        self._wake.set()

    def make_way(self) -> None:
        """Somebody asks something: the title under way stops within a step."""
        if self._generation is not None:
            self._generation.cancel()

    async def follow(self) -> None:
        """Make titles whenever there is time for it. Runs for ever."""
        while True:
            self._wake.clear()
            while self._waiting:
                await self._replies.finished()
                await self._try(self._waiting.popleft())
            await self._wake.wait()

    async def _try(self, untitled: _Untitled) -> None:
        try:
            is_settled = await self._settle(untitled)
        except (EngineLost, EngineRefused, LoadFailed, WeightsError, Refusal, StorageError) as error:
            log.info("conversation %s keeps its first words as its title: %s", untitled.entry.conversation_id, error)
            return
        except Exception:
            log.exception("the title of conversation %s broke; its first words stay", untitled.entry.conversation_id)
            return
        untitled.tries += 1
        if not is_settled and untitled.tries < TRIES:
            self._waiting.append(untitled)

    async def _settle(self, untitled: _Untitled) -> bool:
        """Whether there is nothing more to do."""
        said = await asyncio.to_thread(self._said, untitled.entry)
        version = self._swapper.version_for(untitled.person_id)
        if said is None or version is None:
            return True
        question, reply = said
        asked = _ASKED_ZH if is_chinese(question) else _ASKED_EN
        turns = [Turn("user", question[:SHOWN]), Turn("assistant", reply[:SHOWN]), Turn("user", asked)]
        async with self._swapper.borrow(version.number) as held:
            prompt, sampling = await asyncio.to_thread(rendering.render, held, turns, SAMPLING)
            if self._replies.is_busy:
                return False
            self._generation = self._engine.generate(
                prompt, held.number, sampling, priority="rollout", group="titles", turns=turns
            )
            try:
                async with contextlib.aclosing(self._generation) as chunks:
                    pieces = [(chunk.text, chunk.finish_reason) async for chunk in chunks]
            finally:
                self._generation = None
        reason = pieces[-1][1] if pieces else None
        if reason == "stopped":
            return False
        title = title_in("".join(text for text, _ in pieces), f"{question}\n{reply}") if reason == "stop" else None
        if title is not None and await self._writer.write(lambda session: self._name(session, untitled, title)):
            self._sockets.tell(untitled.person_id, Notice(kind="conversation_titled", policy_version=None))
        return True

    def _said(self, entry: Entry) -> tuple[str, str] | None:
        with self._database.read() as session:
            return _exchange(session, entry)

    def _name(self, session: Session, untitled: _Untitled, title: str) -> bool:
        conversation = session.get(Conversation, untitled.entry.conversation_id, with_for_update=True)
        if conversation is None or conversation.titled_by != "words":
            return False
        conversation.title, conversation.titled_by = title, "model"
        session.add(conversation)
        bells.ring(session, "conversation", self._replies.id, untitled.person_id, conversation.id)
        return True


def title_in(text: str, said: str) -> str | None:
    """The title in what a model wrote when it was asked for one; None where that is none.

    A title is one short line, is no sentence, says nothing twice, and speaks of something that was said.
    """
    line = text.strip().partition("\n")[0]
    line = re.sub(r"^[\W_]*(title|标题|题目)\s*[:：]", "", line, flags=re.IGNORECASE)
    line = " ".join(line.split()).strip(" \"'“”‘’「」《》*_#`·-")
    if not line or len(line) > TITLE_LENGTH or not line.isprintable() or line[-1] in ".。!！?？…:：,，;；":
        return None
    words = _words(line)
    if not words or len(words) > MOST_WORDS or len(set(words)) < len(words):
        return None
    return line if set(words) & set(_words(said)) else None


def is_chinese(text: str) -> bool:
    """Is it written in Chinese, for the most part?"""
    letters = [character for character in text if character.isalpha()]
    return 2 * sum("\u4e00" <= letter <= "\u9fff" for letter in letters) > len(letters)


def _words(text: str) -> list[str]:
    """What carries meaning: words of three letters and more, and pairs of Chinese characters."""
    words: list[str] = []
    for run in re.findall(r"[\u4e00-\u9fff]+|[^\W\u4e00-\u9fff_]{3,}", text.casefold()):
        if "\u4e00" <= run[0] <= "\u9fff":
            words += [run[at : at + 2] for at in range(max(1, len(run) - 1))]
        else:
            words.append(run)
    return words


def _exchange(session: Session, entry: Entry) -> tuple[str, str] | None:
    """Question and reply in a conversation that has just begun on a page, and that nobody has named."""
    conversation = session.get(Conversation, entry.conversation_id)
    if conversation is None or conversation.titled_by != "words" or conversation.message_count > YOUNG:
        return None
    question, reply = session.get(Message, entry.question_id), session.get(Message, entry.reply_id)
    if question is None or reply is None or question.key is None:  # programs have no list of conversations
        return None
    return question.content, reply.content
