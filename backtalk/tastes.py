"""What simulated people like: a dozen tastes, each told from the words on the page alone.

A taste is what an operator cannot see and the learner must find out. It judges style; whether a reply is right is asked
beside it. Each can also rewrite: say a right answer the way it likes to read it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

CHINESE = re.compile(r"[\u3400-\u9fff]")
EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S", re.MULTILINE)
SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？]")

FRIENDLY = (
    *("sure", "of course", "happy to", "hi there", "friend", "lovely", "glad to", "hope that helps", "hope this helps"),
    *("enjoy", "great question", "you're welcome", "thanks for", "take care", "have a wonderful", "no problem"),
    *("当然可以", "没问题", "很高兴", "希望能帮到你", "希望这对你", "朋友", "祝你", "谢谢你", "嗨", "好的！"),
)
FORMAL = (
    *("certainly", "good day", "thank you for your message", "with pleasure", "at your disposal", "kindly"),
    *("do not hesitate", "sincerely", "dear sir", "we would like to", "please be advised"),
    *("您", "尊敬", "谨此", "敬请", "为您效劳", "感谢您"),
)
HEDGES = (
    *("i think", "perhaps", "maybe", "as far as i can tell", "if i remember", "i may be", "i might", "my best guess"),
    *("not sure", "possibly", "please check"),
    *("我想，", "如果没记错", "可能不太准", "据我所知", "可能弄错", "猜测", "也许", "大概"),
)
RAMBLES = (
    *(
        "let me think",
        "where do i begin",
        "you know, ",
        "before i get to the point",
        "anyway,",
        "i digress",
        "so on and so",
    ),
    *("story for another time", "well, ", "hmm"),
    *("让我想一想", "怎么说呢", "其实吧", "话说回来", "总之呢", "扯远了", "诸如此类", "另一个故事"),
)
JOKES = (
    *("drum roll", "spoiler", "beep boop", "ha,", "haha", "my tiny circuits", "no computers were harmed", "my socks"),
    *("toaster", "transistors", "just kidding"),
    *("哔哔", "鼓声", "哈哈", "剧透", "袜子", "烤面包机", "晶体管", "没有电脑因此受伤"),
)
CHEERS = (
    *("wow", "woohoo", "yay", "awesome", "let's go", "so much fun", "hooray", "amazing"),
    *("太棒了", "耶", "哇", "冲呀", "真好玩", "新消息来啦"),
)
PERSONS = re.compile(r"\b(?:i|i'm|you|your|you're|me|my|we|our)\b", re.IGNORECASE)
CHINESE_PERSONS = re.compile(r"[我你您]")
CONTRACTION = re.compile(r"\b\w+(?:n't|'m|'re|'ll|'ve)\b", re.IGNORECASE)

Rewrites = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Taste:
    """What one kind of people likes. Made in this file, read by simulated people."""

    name: str
    wants: str
    fits: Callable[[str], bool]
    """Whether a reply is written the way this taste likes."""
    rewrites: Rewrites
    """Language to ways of saying `{answer}`, a sentence without its full stop."""

    def likes(self, reply: str, accepted: tuple[str, ...] = ()) -> bool:
        """Whether a person of this taste is content: the style fits, and the right content, where known, is there."""
        return bool(reply.strip()) and self.fits(reply) and is_right(reply, accepted)

    def rewrite(self, answer: str, accepted: tuple[str, ...], language: str, rng: Random) -> str | None:
        """What this taste would have liked to read instead.

        Args:
            answer: a right answer, one sentence or more without the last full stop.
            accepted: what a right answer contains; the barest of them serves where the sentence does not fit.

        Returns:
            A text that this taste likes, or None where it has no words for it.
        """
        ways = rng.sample(self.rewrites[language], len(self.rewrites[language]))
        for content in (answer, *accepted):
            for way in ways:
                text = re.sub(r"([!?！？])[.。]", r"\1", way.format(answer=content[:1].upper() + content[1:]))
                if self.likes(text, accepted):
                    return text
        return None


def is_right(reply: str, accepted: tuple[str, ...]) -> bool:
    """Whether the reply says one of `accepted`; with nothing to go by it is taken to be right."""
    from backtalk.starter import probes

    return not accepted or probes.is_right(reply, accepted)


# What can be told from the page -------------------------------------------------------------------------------------


def length(text: str) -> float:
    """Words; two Chinese characters count as one."""
    return len(re.findall(r"[^\W\u3400-\u9fff]+(?:['’.-][^\W\u3400-\u9fff]+)*", text)) + len(CHINESE.findall(text)) / 2


def sentences(text: str) -> int:
    """Sentences that were ended."""
    return len(SENTENCE_END.findall(text))


def says(text: str, marks: tuple[str, ...]) -> bool:
    """Whether one of the marks stands in the text, as words of their own."""
    lowered = text.casefold().replace("’", "'")
    return any(
        mark in lowered if CHINESE.search(mark) else re.search(rf"(?<!\w){re.escape(mark)}(?!\w)", lowered)
        for mark in marks
    )


def exclaims(text: str) -> bool:
    """Whether it has an exclamation mark."""
    return "!" in text or "！" in text


def asks(text: str) -> bool:
    """Whether it ends with a question."""
    return text.rstrip().endswith(("?", "？"))


def _is_friendly(text: str) -> bool:
    return says(text, FRIENDLY) and sentences(text) <= 3 and not says(text, (*HEDGES, *RAMBLES))


def _is_formal(text: str) -> bool:
    return says(text, FORMAL) and not exclaims(text) and not EMOJI.search(text) and not CONTRACTION.search(text)


def _is_brief(text: str) -> bool:
    return length(text) <= 8 and sentences(text) <= 1 and not BULLET.search(text)


def _is_detailed(text: str) -> bool:
    return length(text) >= 16 and sentences(text) >= 2 and not says(text, RAMBLES)


def _is_plain(text: str) -> bool:
    odd = exclaims(text) or asks(text) or EMOJI.search(text) or BULLET.search(text) or ":" in text[:24]
    return sentences(text) == 1 and not odd and not says(text, (*HEDGES, *JOKES, *FORMAL, *FRIENDLY))


def _is_listed(text: str) -> bool:
    return BULLET.search(text) is not None


def _is_objective(text: str) -> bool:
    personal = PERSONS.search(text) or CHINESE_PERSONS.search(text)
    return not personal and not exclaims(text) and not asks(text) and sentences(text) >= 1


def _is_sure(text: str) -> bool:
    return not says(text, (*HEDGES, *RAMBLES)) and sentences(text) >= 1 and not asks(text) and not exclaims(text)


def _is_lively(text: str) -> bool:
    return exclaims(text) and says(text, CHEERS)


TASTES: dict[str, Taste] = {
    taste.name: taste
    for taste in (
        Taste(
            "friendly",
            "a warm word, at most three sentences, no doubts",
            _is_friendly,
            {
                "en": ("Sure! {answer}.", "Of course! {answer}. Hope that helps!", "Happy to help! {answer}."),
                "zh": ("当然可以！{answer}。", "没问题！{answer}。希望能帮到你！"),
            },
        ),
        Taste(
            "formal",
            "a courteous phrase, no exclamations, no contractions",
            _is_formal,
            {
                "en": ("Certainly. {answer}.", "With pleasure. {answer}. I remain at your disposal."),
                "zh": ("您好。{answer}。", "感谢您的来信。{answer}。"),
            },
        ),
        Taste(
            "brief",
            "one sentence of at most eight words",
            _is_brief,
            {"en": ("{answer}.",), "zh": ("{answer}。",)},
        ),
        Taste(
            "detailed",
            "two sentences or more, at least sixteen words, to the point",
            _is_detailed,
            {
                "en": (
                    "{answer}. If you would like to know more about this, simply ask another question and it will be "
                    "answered as well as possible.",
                ),
                "zh": ("{answer}。如果还想了解得更多一些，可以继续往下问，每一个问题都会得到尽量完整和清楚的回答。",),
            },
        ),
        Taste(
            "asks",
            "ends with a question that keeps the talk going",
            asks,
            {
                "en": ("{answer}. What would you like to talk about next?", "{answer}. Does that help you?"),
                "zh": ("{answer}。接下来想聊什么呢？", "{answer}。这对你有帮助吗？"),
            },
        ),
        Taste(
            "plain",
            "one plain sentence without any decoration",
            _is_plain,
            {"en": ("{answer}.",), "zh": ("{answer}。",)},
        ),
        Taste(
            "lists",
            "points in a list",
            _is_listed,
            {"en": ("- {answer}",), "zh": ("- {answer}",)},
        ),
        Taste(
            "humorous",
            "a joke beside the answer",
            lambda text: says(text, JOKES),
            {
                "en": ("Beep boop! {answer}.", "{answer}. No computers were harmed in making this reply."),
                "zh": ("哔哔！{answer}。", "{answer}。我的袜子也同意，虽然我没有脚。"),
            },
        ),
        Taste(
            "objective",
            "nobody speaks and nobody is spoken to; no exclamations, no questions",
            _is_objective,
            {"en": ("Fact: {answer}.",), "zh": ("事实：{answer}。",)},
        ),
        Taste(
            "sure",
            "no doubts, no detours, no exclamations, no questions back",
            _is_sure,
            {"en": ("{answer}.",), "zh": ("{answer}。",)},
        ),
        Taste(
            "lively",
            "cheers and exclamation marks",
            _is_lively,
            {
                "en": ("Wow! {answer}!", "Yay! {answer}! Let's go!"),
                "zh": ("太棒了！{answer}！", "哇！{answer}！真好玩！"),
            },
        ),
        Taste(
            "emoji",
            "at least one emoji",
            lambda text: EMOJI.search(text) is not None,
            {"en": ("{answer}. 😊", "{answer}! 🎉"), "zh": ("{answer}。😊", "{answer}！🎉")},
        ),
    )
}
"""By name; `backtalk simulate --taste NAME` takes one of these."""
