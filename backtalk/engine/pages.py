"""Which page of the cache holds what. Plain Python: it counts pages and knows no tensor.

The cache is cut into pages of PAGE tokens (PagedAttention, arXiv 2309.06180). A page whose tokens are all computed is
known by them and by all that came before them, so a later prompt that begins alike takes the same pages instead of
computing them again: the next turn of a conversation, the samples of one prompt, a request that gave its seat away and
comes back. What nobody uses stays until its room is needed, the longest unused first.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

PAGE = 16
"""Tokens of a page."""

Node = tuple[int, int]
"""(version, number) of a beginning that all of a page's tokens end; 0 is the empty beginning of that version. Numbers
are never given twice, so what was forgotten is never found again by chance."""

_Key = tuple[Node, tuple[int, ...]]


def pages_for(tokens: int) -> int:
    """How many pages so many tokens need."""
    return -(-tokens // PAGE)


@dataclass(eq=False, slots=True)
class Held:
    """The pages of one request, in order. Made empty with it; `Pages` fills it, the runner reads it."""

    node: Node
    """What its known pages spell."""
    pages: list[int] = field(default_factory=list)
    known: int = 0
    """How many of its pages are known, or are copies of such."""


class Pages:
    """Pages 1 … count; page 0 is never given, so that it can stand where there is none."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._fresh = list(range(count, 0, -1))  # the lowest comes first: what was touched before is in memory already
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._users: dict[int, int] = {}
        self._known: dict[_Key, tuple[Node, int]] = {}
        self._key: dict[int, _Key] = {}
        self._nodes = 0

    @property
    def used(self) -> int:
        """Pages that running requests hold."""
        return len(self._users)

    @property
    def kept(self) -> int:
        """Pages that nobody holds and that are still known."""
        return len(self._idle)

    def match(self, held: Held, tokens: Sequence[int]) -> int:
        """Take the known pages with which these tokens begin; returns how many tokens that spares.

        The last token is never among them: to compute it is what gives the next one.
        """
        assert not held.pages
        while (end := PAGE * (held.known + 1)) < len(tokens):
            found = self._known.get((held.node, tuple(tokens[end - PAGE : end])))
            if found is None:
                break
            held.node, page = found
            self._idle.pop(page, None)
            self._users[page] = self._users.get(page, 0) + 1
            held.pages.append(page)
            held.known += 1
        return PAGE * held.known

    def extend(self, held: Held, tokens: int) -> None:
        """Give it pages until so many tokens fit."""
        for _ in range(pages_for(tokens) - len(held.pages)):
            page = self._fresh.pop() if self._fresh else self._evict()
            self._users[page] = 1
            held.pages.append(page)

    def learn(self, held: Held, tokens: Sequence[int], computed: int) -> None:
        """The first `computed` of its tokens are in its pages: the full ones are known from now on."""
        while (end := PAGE * (held.known + 1)) <= computed:
            key = (held.node, tuple(tokens[end - PAGE : end]))
            page = held.pages[held.known]
            if key not in self._known:  # else another computed the same meanwhile; this copy goes with its request
                self._nodes += 1
                self._known[key] = ((held.node[0], self._nodes), page)
                self._key[page] = key
            held.node = self._known[key][0]
            held.known += 1

    def release(self, held: Held) -> None:
        """It holds them no more. The end of a text goes to the head of the line, so it is forgotten before its
        beginning."""
        for page in reversed(held.pages):
            self._users[page] -= 1
            if self._users[page] == 0:
                del self._users[page]
                if page in self._key:
                    self._idle[page] = None
                else:
                    self._fresh.append(page)
        held.pages, held.known, held.node = [], 0, (held.node[0], 0)

    def own(self, held: Held) -> list[int]:
        """Those that nobody else holds."""
        return [page for page in held.pages if self._users[page] == 1]

    def forget(self, pages: Iterable[int]) -> None:
        """What these hold is not to be found again."""
        for page in pages:
            key = self._key.pop(page, None)
            if key is not None:
                del self._known[key]
            if page in self._idle:
                del self._idle[page]
                self._fresh.append(page)

    def forget_version(self, version: int) -> None:
        """It is gone, and its cache with it."""
        self.forget([page for page, (node, _) in self._key.items() if node[0] == version])

    def _evict(self) -> int:
        page, _ = self._idle.popitem(last=False)
        del self._known[self._key.pop(page)]
        return page
