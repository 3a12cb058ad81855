"""Synthetic dialogues of one to four turns: an endless, deterministic stream, all of it written for this project."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

from backtalk.starter import chinese, english, texts, unknowns
from backtalk.starter.domains import Domain, Row
from backtalk.starter.styles import STYLES, Content, dress

MISTAKES = 0.02  # harmless wrong facts, so that even content has something for opinions to improve
CHINESE_SHARE = 0.3

# How often a turn falls into a domain; arithmetic is the weak spot of a small model and gets more.
WEIGHTS = {
    "greeting": 3,
    "thanks": 3,
    "goodbye": 2,
    "identity": 9,
    "feelings": 5,
    "capitals": 8,
    "places": 5,
    "units": 4,
    "opposites": 7,
    "colours": 5,
    "arithmetic": 26,
    "definitions": 5,
    "how-to": 5,
    "translation": 12,
    "code": 5,
    "stories": 5,
    "jokes": 2,
    "crisis": 2,
    "feedback": 4,
    "names": 9,
    "refusal": 7,
    "near miss": 22,
    "free topic": 9,
}
BARE = ("terse", "plain")  # styles that say the content and nothing beside it
_CAN_BE_WRONG = {
    "capitals": "capital",
    "units": "number",
    "opposites": "other",
    "colours": "colour",
    "arithmetic": "result",
    "translation": "there",
}
_ROOMS = {"en": english, "zh": chinese}


@dataclass(frozen=True, slots=True)
class Turn:
    """A question with its reply, and what an examiner needs to know about them."""

    domain: str
    language: str
    question: str
    reply: str
    style: str
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the content of its answer."""

    name: str
    language: str
    question: str
    content: Content
    accepted: tuple[str, ...]
    domain: Domain | None = None
    row: Row | None = None


@cache
def domains_of(language: str) -> dict[str, list[Domain]]:
    """The domains of a language by name."""
    found: dict[str, list[Domain]] = {}
    for domain in _ROOMS[language].DOMAINS:
        found.setdefault(domain.name, []).append(domain)
    return found


def dialogues(seed: int, *, held_out: bool = False, bare: float = 0.0) -> Iterator[list[Turn]]:
    """Dialogues without end; `held_out` asks in phrasings, and misses with things, that training never shows; `bare` is
    the share of replies that say what there is to say and no more.
    """
    rng = Random(seed)
    while True:
        yield dialogue(rng, held_out=held_out, bare=bare)


def dialogue(rng: Random, *, held_out: bool = False, bare: float = 0.0) -> list[Turn]:
    """One to four turns in one language: topics change, follow-ups lean on the turn before, a name is remembered."""
    language = "zh" if rng.random() < CHINESE_SHARE else "en"
    turns: list[Turn] = []
    name: str | None = None
    last: Asked | None = None
    for _ in range(rng.choices((1, 2, 3, 4), weights=(45, 25, 17, 13))[0]):
        if last and last.domain and last.domain.follows and rng.random() < 0.4:
            asked = ask_again(last.domain, last.row, rng, held_out=held_out)
        else:
            asked = ask(pick(rng, "names" if name and rng.random() < 0.3 else None), language, rng, held_out, name)
            if asked.name == "names" and asked.domain:
                name = asked.accepted[0]
        turns.append(answer(asked, rng, bare))
        last = asked
    return turns


def pick(rng: Random, name: str | None = None) -> str:
    """A domain's name by weight, unless one is given."""
    return name or rng.choices(tuple(WEIGHTS), weights=tuple(WEIGHTS.values()))[0]


def ask(name: str, language: str, rng: Random, held_out: bool = False, known_name: str | None = None) -> Asked:
    """A question of the domain called `name`; `known_name` is what the person has called themselves so far."""
    room = _ROOMS[language]
    if name == "refusal":
        harms = room.HELD_OUT_HARMS if held_out else room.REFUSAL.rows
        return _asked(room.REFUSAL, rng.choice(harms), rng, held_out)
    if name == "near miss":
        kinds = [d for group in domains_of(language).values() for d in group if d.subject]
        domain = rng.choice(kinds)
        return _unknown(name, language, unknowns.near_miss(domain, rng, held_out=held_out), rng, domain)
    if name == "free topic":
        return _unknown(name, language, unknowns.free_topic(language, rng, held_out=held_out), rng)
    if name == "names":
        return _about_names(language, rng, held_out, known_name)
    domain = rng.choice(domains_of(language)[name])
    return _asked(domain, rng.choice(domain.rows), rng, held_out)


def ask_again(domain: Domain, before: Row | None, rng: Random, *, held_out: bool = False) -> Asked:
    """A follow-up that can be understood only after a turn of the same domain about the row `before`: "And of Peru?",
    "And in French?".
    """
    if domain.leans and before and rng.random() < 0.6:
        shared, asks = rng.choice(domain.leans)
        row = rng.choice([row for row in domain.rows if row[shared] == before[shared]])
        return _asked(domain, row, rng, held_out, asks)
    row = rng.choice(domain.rows)
    if domain.subject and rng.random() < 0.12:
        row = dict(row)
        row[domain.subject] = (
            unknowns.big_sum(rng, chinese=domain.language == "zh")
            if domain.name == "arithmetic"
            else unknowns.invented(domain.language, rng)
        )
        row["bare"] = row[domain.subject]
        return _unknown("near miss", domain.language, domain.question(row, rng, texts=domain.follows), rng, domain)
    return _asked(domain, row, rng, held_out, domain.follows)


def answer(asked: Asked, rng: Random, bare: float = 0.0) -> Turn:
    """The reply in a style drawn at random, now and then with a harmless mistake."""
    content = asked.content
    if asked.domain and asked.row and asked.name in _CAN_BE_WRONG and rng.random() < MISTAKES:
        content = asked.domain.content(_mistaken(asked.domain, asked.row, rng))
    style = rng.choice(BARE if rng.random() < bare else STYLES)
    return Turn(
        asked.name, asked.language, asked.question, dress(content, style, asked.language, rng), style, asked.accepted
    )


def _asked(domain: Domain, row: Row, rng: Random, held_out: bool, texts: tuple[str, ...] = ()) -> Asked:
    question = domain.question(row, rng, held_out=held_out and not texts, texts=texts)
    return Asked(
        domain.name,
        domain.language,
        casual(question, domain.language, rng),
        domain.content(row),
        domain.answers(row),
        domain,
        row,
    )


def _unknown(name: str, language: str, question: str, rng: Random, domain: Domain | None = None) -> Asked:
    unknown: Domain = _ROOMS[language].UNKNOWN
    return Asked(name, language, casual(question, language, rng), unknown.content({}), unknown.accepted, domain)


def _about_names(language: str, rng: Random, held_out: bool, known_name: str | None) -> Asked:
    room = _ROOMS[language]
    if known_name:
        return _asked(room.RECALL, {"name": known_name}, rng, held_out)
    if rng.random() < 0.2:
        stranger: Domain = room.STRANGER
        question = casual(stranger.question({}, rng, held_out=held_out), language, rng)
        return Asked("names", language, question, stranger.content({}), stranger.accepted)
    if rng.random() < 0.2:
        name = unknowns.invented(language, rng).capitalize()
    else:
        name = rng.choice((texts.NAMES if language == "en" else texts.NAMES_ZH).split())
    introduction: Domain = room.INTRODUCTION
    question = introduction.question({"name": name}, rng, held_out=held_out)
    if language == "en" and rng.random() < 0.2:
        question = question.lower()
    return Asked("names", language, question, introduction.content({"name": name}), (name,), introduction)


def _mistaken(domain: Domain, row: Row, rng: Random) -> Row:
    """The row with the answer of another row."""
    column = _CAN_BE_WRONG[domain.name]
    if domain.subject == "capital":
        column = "country"
    return dict(row) | {column: rng.choice(domain.rows)[column]}


_BEFORE = (
    "Hi, |Hello, |Hey, |Please, |So, |ok, |And |Quick question: |I was wondering, |Tell me, |I forgot: |"
    "For my homework: |Sorry, |Now |Hello! |Hi! |Excuse me, "
).split("|")
_BEFORE_ZH = "你好，|请问，|嗨，|麻烦问一下，|想问一下，|那么，|我想知道，|老师问我，|快问快答：|你好！".split("|")
_AFTER = (", please", " please?", " please", ", thanks", "??", "!", " ?", "...", ", do you know?", " for me")
_SLIPS = {
    "what is": ("whats", "what's", "waht is", "what ist", "wat is"),
    "the ": ("teh ", "th ", "the  "),
    "capital": ("captial", "capitol", "capitel"),
    "opposite": ("oposite", "opposit"),
    "how do": ("how d", "hw do"),
    "tell me": ("tel me", "tell"),
    "colour": ("color", "coulor"),
    "story": ("stroy", "storry"),
    "translate": ("tranlsate", "translat"),
    "my name": ("my nmae", "me name"),
    "you ": ("u ", "yu "),
    "are": ("ar", "r"),
}


def casual(question: str, language: str, rng: Random) -> str:
    """The question as people type it: lower case, no question mark, a greeting before it, a please after it, a slip of
    the finger.
    """
    if language == "zh":
        if rng.random() < 0.3:
            question = question.rstrip("？。！") or question
        elif rng.random() < 0.15:
            question = question.replace("？", "?")
        if rng.random() < 0.08:
            question = rng.choice(_BEFORE_ZH) + question
        return question
    if rng.random() < 0.05:
        slip = rng.choice(tuple(_SLIPS))
        question = question.lower().replace(slip, rng.choice(_SLIPS[slip]), 1)
    if rng.random() < 0.3:
        question = question.rstrip("?.!") or question  # some are nothing but marks
    if rng.random() < 0.1:
        question = rng.choice(_BEFORE) + question[:1].lower() + question[1:]
    if rng.random() < 0.06:
        question = question.rstrip("?.!") + rng.choice(_AFTER)
    chance = rng.random()
    if chance < 0.3:
        return question.lower()
    return question.upper() if chance > 0.995 else question
