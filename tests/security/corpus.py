"""Texts with private things in them, and texts that only look so, in English and Chinese, each with what must be found.

Everything is made up from a seed: numbers with right check digits that belong to nobody, and their doubles with wrong
ones; orders, dates, prices, versions, hashes, coordinates, sums. `marked` texts hold «kind:value» where something is.
"""

import base64
import random
import re
import string
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from backtalk import privacy
from tests.faults import figures

FIRST = ("anna", "li.wei", "j_smith", "zhang.san", "maria-lopez", "o.brien", "wang88", "kim", "x.y.z", "support+team")
HOSTS = ("example.com", "mail.example.org", "qq.example", "uni-bonn.example.de", "163.example.cn", "corp.example.co.uk")


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and the private things in it by kind."""

    text: str
    private: tuple[tuple[str, str], ...]
    language: str


def _luhn(chance: random.Random, prefix: str, length: int) -> str:
    digits = prefix + "".join(str(chance.randrange(10)) for _ in range(length - len(prefix) - 1))
    return next(digits + str(last) for last in range(10) if privacy.passes_luhn(digits + str(last)))


def _identity(chance: random.Random) -> str:
    start = f"{chance.randint(11, 65)}{chance.randrange(10**4):04}{chance.randint(1940, 2012)}"
    start += f"{chance.randint(1, 12):02}{chance.randint(1, 28):02}{chance.randrange(1000):03}"
    return next(start + last for last in "0123456789X" if privacy.passes_chinese_id(start + last))


def _iban(chance: random.Random) -> str:
    account = "".join(str(chance.randrange(10)) for _ in range(18))
    return next(f"DE{check:02}{account}" for check in range(2, 99) if privacy.passes_iban(f"DE{check:02}{account}"))


def _mobile(chance: random.Random) -> str:
    number = f"1{chance.choice('3456789')}{chance.randrange(10**9):09}"
    forms = (number, f"{number[:3]} {number[3:7]} {number[7:]}", f"{number[:3]}-{number[3:7]}-{number[7:]}")
    return chance.choice((*forms, f"+86 {number}", f"+86{number}"))


def _phone(chance: random.Random) -> str:
    area, middle, last = chance.randint(201, 989), chance.randint(201, 989), f"{chance.randrange(10**4):04}"
    forms = (
        f"({area}) {middle}-{last}",
        f"{area}-{middle}-{last}",
        f"+1 {area} {middle} {last}",
        f"+1-{area}-{middle}-{last}",
    )
    european = (
        f"+49 {chance.randint(30, 89)} {chance.randrange(10**7, 10**8)}",
        f"+44 20 {chance.randrange(7000, 8000)} {last}",
    )
    chinese = f"010-{chance.randint(60000000, 89999999)}", f"0755-{chance.randint(2100000, 2999999)}8"
    return chance.choice((*forms, *european, *chinese))


def _key(chance: random.Random) -> str:
    def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(chance.choice(alphabet) for _ in range(count))

    payload = base64.urlsafe_b64encode(chance.randbytes(60)).decode().rstrip("=")
    return chance.choice(
        (
            f"sk-proj-{letters(40)}",
            f"ghp_{letters(36)}",
            f"AKIA{letters(16, string.ascii_uppercase + string.digits)}",
            f"bt_{letters(43)}",
            f"xoxb-{chance.randrange(10**11)}-{letters(24)}",
            f"AIza{letters(35)}",
            f"hf_{letters(34)}",
            f"eyJhbGciOiJIUzI1NiJ9.{payload}.{letters(43)}",
            base64.b64encode(chance.randbytes(33)).decode().replace("/", "x").replace("+", "y"),
        )
    )


def _address(chance: random.Random) -> str:
    four = ".".join(str(number) for number in (chance.randint(10, 255), *(chance.randrange(256) for _ in range(3))))
    six = ":".join(f"{chance.randrange(1, 65536):x}" for _ in range(8))
    return chance.choice((four, four, six, f"2001:db8::{chance.randrange(1, 65536):x}"))


VALUES: dict[str, Callable[[random.Random], str]] = {
    "mail": lambda chance: f"{chance.choice(FIRST)}@{chance.choice(HOSTS)}",
    "phone": lambda chance: chance.choice((_mobile, _phone))(chance),
    "identity": _identity,
    "card": lambda chance: chance.choice(("{}", "{}", "spaced")).format(
        _luhn(chance, chance.choice(("4", "51", "6222", "6217")), 16)
    ),
    "account": _iban,
    "address": _address,
    "key": _key,
}
ENGLISH = (
    "My {what} is {value}.",
    "{value}",
    "Please write to {value}, thank you",
    "Can you remember this for me: {value}?",
    "I told them {value} and then '{value2}' a second time.",
    "contact={value};",
    "(that is {value})",
    "It used to be {value} before we moved to Berlin in 2019.",
)
CHINESE = (
    "我的{what}是{value}。",
    "请联系{value}，谢谢",
    "{what}：{value}",
    "他说是{value}，不是{value2}。",
    "帮我记一下{value}好吗？",
    "（{value}）",
)
NAMES = {
    "mail": ("mail address", "邮箱"),
    "phone": ("number", "电话"),
    "identity": ("id", "身份证号"),
    "card": ("card", "银行卡号"),
    "account": ("account", "账号"),
    "address": ("server", "服务器地址"),
    "key": ("access", "访问凭证"),
}


def _number(chance: random.Random, digits: int) -> int:
    return chance.randrange(10 ** (digits - 1), 10**digits)


def _no_card(chance: random.Random) -> str:
    while privacy.passes_luhn(number := str(_number(chance, 16))):
        pass
    return number


def _date(chance: random.Random) -> tuple[int, int, int]:
    return chance.randint(1900, 2026), chance.randint(1, 12), chance.randint(1, 28)


def _innocent(chance: random.Random) -> str:
    """Something that only looks private."""
    year, month, day = _date(chance)
    small = [chance.randrange(20) for _ in range(6)]
    return chance.choice(
        (
            f"Order {_number(chance, 9)} came on {year}-{month:02}-{day:02}.",
            f"订单号{_number(chance, 12)}，共{_number(chance, 3)}.{_number(chance, 2)}元。",
            f"Version {small[0]}.{small[1]}.{_number(chance, 2)} or {small[2] % 10}.{small[3]}.{small[4]}.{small[5]}?",
            f"{_number(chance, 3)} + {_number(chance, 3)} = {_number(chance, 4)}, and pi is 3.14159265358979.",
            f"The commit is {chance.randbytes(20).hex()}, the short one {chance.randbytes(4).hex()}.",
            f"Its id is {uuid.UUID(bytes=chance.randbytes(16))}.",
            f"We meet at {small[0] + 4}:{_number(chance, 2) % 60:02} on {day}.{month}.{year}.",
            f"It costs {_number(chance, 2)},{_number(chance, 3)},{_number(chance, 3)}.{_number(chance, 2)} dollars.",
            f"{chance.choice(('52.5200', '39.9042'))}, {chance.choice(('13.4050', '116.4074'))} is where it lies.",
            f"ISBN 978-{small[0] % 10}-{_number(chance, 3)}-{_number(chance, 5)}-{small[1] % 10}",
            f"第{_number(chance, 2)}页第{small[0]}行，{year}年{month}月{day}日。",
            "def theVeryLongNameOfAFunctionThatDoesALot(anotherArgument: int) -> None: ...",
            "Supercalifragilisticexpialidocious and Donaudampfschifffahrtsgesellschaft are long words.",
            "Follow @somebody on that site, and see https://example.com/a/path-of/several-parts/index.html?page=2",
            f"The password is a secret, and the token of our love is {chance.choice(('a ring', 'a song', 'a book'))}.",
            "密码是什么？我忘记了。口令应该由管理员设置。",
            f"Postal code {_number(chance, 5)}, 邮编{_number(chance, 6)}.",
            _no_card(chance),
            "It took 1234567 steps, 7654321 microseconds and 99.999 percent of the time.",
            f"The scores were {small[0]}-{small[1]}, {small[2]}-{small[3]} and {small[4]}:{small[5]}.",
        )
    )


BY_HAND = """
Hi, this is Tom, you can reach me at «mail:tom.hanks77@example.net» or on «phone:(415) 555-0132», whatever is easier.
my new cell: «phone:+1 (628) 555-0174», text only pls
ring «phone:020 7946 0958» after six, the old one (7946 0958) is dead
Call my office «phone:+49 (0)30 5557 8899» ext 12
write to «mail:info [at] backtalk-users [dot] example» because of the spam
My SSN is «identity:123-45-6789» and I was born on 4/5/1982.
visa «card:4111 1111 1111 1111» exp 12/29 cvv 123
amex: «card:3782-822463-10005»
the card is «card:5555555555554444», the sum is 5555555555554445
IBAN «account:GB82 WEST 1234 5698 7654 32» please transfer 20 quid
export OPENAI_API_KEY=«key:sk-abcdEFGH1234ijklMNOP5678qrst»
git clone https://«key:bob:hunter22!»@git.example.com/repo.git
ssh root@«address:203.0.113.77» then look at 127.0.0.1
password: «key:Tr0ub4dor&3» works on every box, sadly
The server «address:2001:db8:85a3::8a2e:370:7334» is down, version 1.2.3.4 was fine
aws_secret_access_key = «key:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»
My order 20261126-0042 has not come; tracking 1Z999AA10123456784
The year 1999-2003 were good, 10.10.2010 was a Sunday
What is 4532015112830366 divided by 7?
I live at 221B Baker Street, come over any time
我叫王芳，手机«phone:13812345678»，微信同号
座机是«phone:010-62782033»，分机803
全角也行：«phone:１３９１２３４５６７８»
请把合同发到«mail:wang.fang@example.cn»，谢谢！
身份证：«identity:11010519491231002X»
卡号«card:6222 0200 0000 0000 000»，户名李雷
服务器地址«address:192.168.31.15»，端口8080
密码：«key:Abc@123456»，别告诉别人
我的邮箱是 «mail:lilei2008@qq.example»（工作日看）
打这个电话 «phone:+86 137-0013-8000» 或 «phone:0571-88157788»
今天是2026年11月26日，气温12.5度，湿度40%
订单号是202611260001234567，运单号SF1234567890123
圆周率是3.1415926535，自然对数的底是2.718281828
会议号 888-123-456，密码在群里
住在北京市海淀区中关村大街1号，邮编100080
密钥为«key:LTAI5tAbCdEf1234GhIjKlMn»，请尽快更换
QQ号12345678，加我的时候说一声
"""
"""Written as people write, before the rules were tried on it. «kind:value» is what should be found."""


def by_hand() -> Iterator[Sample]:
    """The texts above."""
    for line in BY_HAND.strip().splitlines():
        private = tuple((match[1], match[2]) for match in re.finditer("«([a-z]+):(.*?)»", line))
        text = re.sub("«[a-z]+:(.*?)»", r"\1", line)
        yield Sample(text, private, "hand")


def samples(seed: int, count: int) -> Iterator[Sample]:
    """`count` texts: two with something private for each one without."""
    chance = random.Random(seed)
    kinds = list(VALUES)
    for number in range(count):
        if number % 3 == 2:
            yield Sample(_innocent(chance), (), "none")
            continue
        kind = kinds[number % len(kinds)]
        language, forms = chance.choice((("en", ENGLISH), ("zh", CHINESE)))
        value, other = _value(kind, chance), _value(kind, chance)
        form = chance.choice(forms)
        text = form.format(what=NAMES[kind][language == "zh"], value=value, value2=other)
        private = ((kind, value), (kind, other)) if "{value2}" in form else ((kind, value),)
        yield Sample(text, private, language)


def _value(kind: str, chance: random.Random) -> str:
    value = VALUES[kind](chance)
    if kind == "card" and (value == "spaced" or chance.random() < 0.3):
        number = _luhn(chance, "4", 16)
        value = " ".join(number[start : start + 4] for start in range(0, 16, 4))
    return value


@dataclass(slots=True)
class Score:
    """Hits, misses and false alarms of one kind."""

    hit: int = 0
    missed: int = 0
    false: int = 0

    @property
    def recall(self) -> float:
        return self.hit / max(1, self.hit + self.missed)

    @property
    def precision(self) -> float:
        return self.hit / max(1, self.hit + self.false)


def judge(texts: Iterable[Sample]) -> tuple[dict[str, Score], list[str]]:
    """Scores by kind and language, such as `mail en`, and the texts that went wrong."""
    scores: dict[str, Score] = {}
    wrong: list[str] = []
    for sample in texts:
        wanted = list(sample.private)
        for finding in privacy.find(sample.text):
            score = scores.setdefault(f"{finding.kind} {sample.language}", Score())
            if (finding.kind, finding.text) in wanted:
                wanted.remove((finding.kind, finding.text))
                score.hit += 1
            else:
                score.false += 1
                wrong.append(f"false {finding.kind}: {finding.text!r} in {sample.text!r}")
        for kind, value in wanted:
            scores.setdefault(f"{kind} {sample.language}", Score()).missed += 1
            wrong.append(f"missed {kind}: {value!r} in {sample.text!r}")
    return scores, wrong


def run(seed: int, trials: int) -> figures.Outcome:
    """Judge `trials` texts; the measures are what is lost, so that the worst slice is the largest."""
    scores, _ = judge(samples(seed, trials))
    outcome = figures.Outcome(trials=trials)
    for kind in privacy.KINDS:
        for language in ("en", "zh"):
            score = scores.get(f"{kind} {language}", Score())
            outcome.measures[f"{kind} {language}, missed of 100"] = 100 * (1 - score.recall)
            outcome.measures[f"{kind} {language}, false of 100 found"] = 100 * (1 - score.precision)
    by_hand_scores = judge(by_hand())[0].values()
    hits, missed, false = (sum(getattr(one, name) for one in by_hand_scores) for name in ("hit", "missed", "false"))
    outcome.measures["written by hand, missed of 100"] = 100 * missed / (hits + missed)
    outcome.measures["written by hand, false of 100 found"] = 100 * false / (hits + false)
    innocent = sum(score.false for name, score in scores.items() if name.endswith("none"))
    outcome.measures["found in 100 innocent texts"] = 100 * innocent / max(1, trials // 3)
    return outcome


FIGURE = figures.Figure(
    name="F31",
    claim="Private things in texts are found, in English and in Chinese, and little else",
    unit="texts",
    run=run,
    minimum=5_000,
    goal=20_000,
    slice=5_000,
    faults="F31",
    limits=(
        "Texts are made from forms that the authors of the rules know; people write in more ways. "
        "Names of people and places are not looked for."
    ),
)
