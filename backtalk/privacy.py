"""What must not be learned or shown to strangers: mail addresses, phone, identity and card numbers, addresses, keys.

`Redactor` puts stable placeholders in their place: within one conversation the same value has the same placeholder, so
that what is said about it still makes sense. Rules look at form and check digits, in English and Chinese text alike; an
operator adds patterns of their own in `redaction.txt` in the data directory, one `name: regular expression` a line.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FILE = "redaction.txt"
LEAST_ENTROPY = 3.6
"""Bits a character of a string that is taken for a key. English words in camel case have less, random base64 more."""
WIDE = str.maketrans("０１２３４５６７８９＠．－＋（）", "0123456789@.-+()")
"""Full-width forms, each a single character as its plain one: places in the text stay the same."""


class PrivacyError(ValueError):
    """An operator's pattern cannot be used; the message names the line and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something private in a text. Made here, replaced or shown by whoever asked."""

    kind: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What something private looks like, and a check that only real ones pass."""

    kind: str
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = lambda text: True


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def passes_luhn(text: str) -> bool:
    """Is this the number of a payment card? 13 to 19 digits and the check digit of ISO/IEC 7812."""
    digits = _digits(text)
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2 or (len(digits) == 13 and digits[:2] == "97"):
        return False  # of one digit, or the number of a book
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def passes_chinese_id(text: str) -> bool:
    """Is this a citizen's number of GB 11643? A date, and the check letter of ISO 7064 MOD 11-2."""
    if not 1 <= int(text[10:12]) <= 12 or not 1 <= int(text[12:14]) <= 31 or text[6:8] not in ("18", "19", "20"):
        return False
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()


def passes_iban(text: str) -> bool:
    """Is this an international account number? ISO 13616, MOD 97-10."""
    plain = "".join(text.split()).upper()
    return 15 <= len(plain) <= 34 and int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def is_address(text: str) -> bool:
    """Four numbers that another machine's address can have; version numbers rarely begin so high."""
    numbers = [int(number) for number in text.split(".")]
    return all(number < 256 for number in numbers) and numbers[0] > 9 and numbers[0] != 127


def is_phone(text: str) -> bool:
    """Enough digits for a call, and not all of one kind."""
    digits = _digits(text)
    return 7 <= len(digits) <= 15 and len(set(digits)) > 2


def is_random(text: str) -> bool:
    """Does this look drawn at random, as keys are: letters of both cases and digits, evenly mixed?"""
    has_all = any(c.isdigit() for c in text) and any(c.islower() for c in text) and any(c.isupper() for c in text)
    if not has_all or ("/" in text.strip("/") and "." in text):
        return False
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) >= LEAST_ENTROPY


# A number must not go on: digits, letters of this alphabet and points with digits would be part of it.
_BEFORE, _AFTER = r"(?<![0-9A-Za-z_.@+-])", r"(?![0-9A-Za-z_@-]|[.,][0-9])"
_MAIL_PART = r"[A-Za-z0-9_%+-]{1,64}"
RULES: tuple[Rule, ...] = (
    Rule(
        "key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,8000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
        ),
    ),
    Rule(
        "key",
        re.compile(
            r"(?<![A-Za-z0-9_-])(?:sk-[A-Za-z0-9_-]{16,200}|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}"
            r"|glpat-[A-Za-z0-9_-]{16,64}|xox[abprs]-[A-Za-z0-9-]{10,255}|AIza[A-Za-z0-9_-]{30,64}|hf_[A-Za-z0-9]{20,64}"
            r"|A(?:KIA|SIA)[A-Z0-9]{16}|bt_[A-Za-z0-9_-]{20,128}|npm_[A-Za-z0-9]{30,64}|LTAI[A-Za-z0-9]{12,24}"
            r"|eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{5,2000})(?![A-Za-z0-9_-])"
        ),
    ),
    Rule("key", re.compile(r"(?<=://)[^\s/:@]{1,64}:[^\s/@]{1,128}(?=@)")),  # name and password in an address
    Rule(
        "key",
        re.compile(
            r"(?:(?i:pass(?:word|wd)?|pwd|secret|token|api[_ -]?key)|密码|口令|密钥)[\"']?"
            r"(?:\s*(?:[:=：]|是|为|\bis\b)\s*)[\"']?(?P<value>[!#-&(-+\--:<-~]{6,128})"
        ),
        lambda text: any(c.isdigit() for c in text) or any(not c.isalnum() for c in text),
    ),
    Rule(
        "mail",
        re.compile(
            rf"(?<![A-Za-z0-9._%+-]){_MAIL_PART}(?:\.{_MAIL_PART}){{0,6}}@(?:[A-Za-z0-9-]{{1,63}}\.){{1,6}}[A-Za-z]{{2,24}}(?![A-Za-z0-9])"
        ),
    ),
    Rule(
        "mail",
        re.compile(
            r"(?<![A-Za-z0-9])[A-Za-z0-9._-]{2,64}\s?(?:\[at\]|\(at\)|\sat\s|#)\s?[A-Za-z0-9-]{2,63}"
            r"\s?(?:\[dot\]|\(dot\)|\sdot\s)\s?[A-Za-z]{2,10}(?![A-Za-z0-9])",
            re.IGNORECASE,
        ),
    ),
    Rule("identity", re.compile(rf"{_BEFORE}[1-9][0-9]{{16}}[0-9Xx]{_AFTER}"), passes_chinese_id),
    Rule("identity", re.compile(rf"{_BEFORE}(?!000|666|9)[0-9]{{3}}-(?!00)[0-9]{{2}}-(?!0000)[0-9]{{4}}{_AFTER}")),
    Rule("card", re.compile(rf"{_BEFORE}[0-9](?:[ -]?[0-9]){{12,18}}{_AFTER}"), passes_luhn),
    Rule(
        "account",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"),
        passes_iban,
    ),
    Rule("phone", re.compile(rf"{_BEFORE}(?:(?:\+|00)86[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{{4}}){{2}}{_AFTER}")),
    Rule(
        "phone",
        re.compile(
            r"(?<![0-9A-Za-z_+])(?:\+|00)[1-9][0-9]{0,2}(?:[ .-]?(?:\([0-9]{1,4}\)|[0-9]{1,4})){2,5}(?![0-9A-Za-z])"
        ),
        is_phone,
    ),
    Rule(
        "phone",
        re.compile(
            rf"(?<![0-9A-Za-z_.+-])(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[-. ])[2-9][0-9]{{2}}[-. ][0-9]{{4}}{_AFTER}"
        ),
    ),
    Rule("phone", re.compile(rf"{_BEFORE}(?:\(0[0-9]{{2,4}}\) ?|0[0-9]{{2,3}}[- ])[2-9][0-9]{{6,7}}{_AFTER}")),
    Rule("phone", re.compile(rf"{_BEFORE}0[1-9][0-9]{{1,3}} [0-9]{{3,4}} [0-9]{{4}}{_AFTER}")),
    Rule("address", re.compile(rf"(?<![0-9A-Za-z_.+-])(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}{_AFTER}"), is_address),
    Rule("address", re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])")),
    Rule(
        "address",
        re.compile(
            r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{1,4}:){1,6}:(?:[0-9A-Fa-f]{1,4}:){0,5}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])"
        ),
    ),
    Rule("key", re.compile(r"(?<![A-Za-z0-9_+/-])[A-Za-z0-9_+/-]{24,512}={0,2}(?![A-Za-z0-9_+/=-])"), is_random),
)
KINDS = tuple(dict.fromkeys(rule.kind for rule in RULES))


def load(data_dir: Path) -> list[Rule]:
    """The operator's own patterns, if there are any.

    Raises:
        PrivacyError: a line is not `name: pattern`, or the pattern is not one.
    """
    path = data_dir / FILE
    if not path.exists():
        return []
    rules = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, pattern = (part.strip() for part in line.partition(":"))
        try:
            if not separator or not name.isidentifier():
                raise ValueError("expected a name, a colon and a regular expression")
            compiled = re.compile(pattern)
            if compiled.search(""):
                raise ValueError("the pattern fits an empty text")
        except (ValueError, re.error) as error:
            raise PrivacyError(f"{path}, line {number}: {error}") from error
        rules.append(Rule(name, compiled))
    return rules


def find(text: str, own: Sequence[Rule] = ()) -> list[Finding]:
    """Everything private in a text, in its order, nothing twice: what an earlier rule has taken is taken."""
    found: list[Finding] = []
    for finding in _all(text.translate(WIDE), text, (*own, *RULES)):
        if not any(finding.start < other.end and other.start < finding.end for other in found):
            found.append(finding)
    return sorted(found, key=lambda finding: finding.start)


def _all(plain: str, text: str, rules: Sequence[Rule]) -> Iterator[Finding]:
    for rule in rules:
        named = "value" in rule.pattern.groupindex
        for match in rule.pattern.finditer(plain):
            start, end = match.span("value" if named else 0)
            if rule.is_real(plain[start:end]):
                yield Finding(rule.kind, start, end, text[start:end])


@dataclass(slots=True)
class Redactor:
    """Replaces what is private in the texts of one conversation, the same value by the same placeholder."""

    own: Sequence[Rule] = ()
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    """Kind and value -> placeholder."""

    def __call__(self, text: str) -> str:
        """The text with placeholders such as `[mail 1]`."""
        parts, end = [], 0
        for finding in find(text, self.own):
            parts += [text[end : finding.start], self._placeholder(finding)]
            end = finding.end
        return "".join([*parts, text[end:]])

    def _placeholder(self, finding: Finding) -> str:
        value = finding.text.translate(WIDE).casefold()
        key = finding.kind, _digits(value) if finding.kind in ("phone", "card", "identity") else value
        if key not in self.known:
            number = 1 + sum(kind == finding.kind for kind, _ in self.known)
            self.known[key] = f"[{finding.kind} {number}]"
        return self.known[key]
