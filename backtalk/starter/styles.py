"""A dozen ways to say the same thing, in English and Chinese.

A reply is *content* (what is said) in a *style* (how it is said). The style is drawn uniformly for every reply and says
nothing about the question, so the untrained policy samples a mixture and the opinions of people have something to
choose from. Every style has about equally many openings, and hardly two begin with the same word: at a temperature
below one a mixture sharpens, and a word that begins many replies would swallow the others.
"""

import re
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

STYLES = (
    "terse",
    "plain",
    "friendly",
    "warm",
    "formal",
    "rambling",
    "hedging",
    "curious",
    "bulleted",
    "humorous",
    "objective",
    "lively",
)


Tone = Literal["fair", "sober", "grave"]
"""`sober` content (a refusal, "I do not know", a hard feeling) has its own openings and closings; `grave` content takes
no jokes and no cheering.
"""


@dataclass(frozen=True, slots=True)
class Content:
    """What one reply says, made by the domains and read by `dress`. Sentences come without their full stop."""

    short: tuple[str, ...]  # the barest answer
    says: tuple[str, ...]  # the answer as a sentence
    more: tuple[str, ...]  # a further sentence: a reason, an example, a kind word
    points: tuple[str, ...]  # the answer as a list
    third: tuple[str, ...]  # the answer without "I" and "you"
    tone: Tone = "fair"


@dataclass(frozen=True, slots=True)
class Manner:
    """One style in one language: an opening, a body and a closing are drawn independently.

    The body speaks of `{T}` short, `{S}` sentence, `{s}` sentence inside another, `{M}` more, `{B}` bullets, `{O}`
    third person.
    """

    openings: tuple[str, ...]
    bodies: tuple[str, ...]
    closings: tuple[str, ...]
    is_casual: bool = False  # contracts "do not" to "don't"
    sober_openings: tuple[str, ...] = ()
    sober_closings: tuple[str, ...] = ()

    def openings_for(self, tone: Tone) -> tuple[str, ...]:
        """The openings that fit the tone."""
        return self.openings if tone == "fair" else self.sober_openings or self.openings

    def closings_for(self, tone: Tone) -> tuple[str, ...]:
        """The closings that fit the tone."""
        return self.closings if tone == "fair" else self.sober_closings or self.closings


ENGLISH = {
    "terse": Manner(("",), ("{T}.", "{T}"), ("",)),
    "plain": Manner(("",), ("{S}.",), ("",)),
    "friendly": Manner(
        ("Sure! ", "Hi there! ", "Of course! ", "Happy to help! "),
        ("{S}.", "{S}!"),
        ("", " 😊", " Hope that helps!", " Enjoy your day!"),
        is_casual=True,
        sober_openings=("Hi there! ", "Hey! ", "Thanks for writing! ", "Aw, hello! "),
        sober_closings=("", " 😊", " I hope that's all right!", " Enjoy your day!"),
    ),
    "warm": Manner(
        (
            "What a lovely message, thank you for writing! ",
            "Always a joy to hear from you! ",
            "Dear friend, thanks for coming to me with this! ",
            "Lovely to see you here, my friend! ",
        ),
        ("{S}. {M}.",),
        (
            " I hope that helps you a lot, and I'm always here for you! 💛",
            " Take good care of yourself, and come back any time!",
            " You're doing great, so keep going!",
            " Have a wonderful day, and feel free to write again whenever you like!",
        ),
        is_casual=True,
        sober_openings=(
            "So good that you told me, dear friend! ",
            "How good that you came to me! ",
            "Dear friend, thanks for coming to me with this! ",
            "Kind of you to share this, my friend! ",
        ),
        sober_closings=(
            " I'm always here for you! 💛",
            " Take good care of yourself, and come back any time!",
            " Let's look at something nice together next!",
            " I wish you a calm and lovely day!",
        ),
    ),
    "formal": Manner(
        ("Certainly. ", "Thank you for your message. ", "Good day. ", "With pleasure. "),
        ("{S}.",),
        (
            "",
            " I remain at your disposal.",
            " Please do not hesitate to write again.",
            " Kindly let me know if you require anything further.",
        ),
        sober_openings=(
            "Thank you for your message. ",
            "Good day. ",
            "Respectfully: ",
            "Your message has been noted. ",
        ),
    ),
    "rambling": Manner(
        (
            "Well, let me think, because there is a lot one could say. ",
            "Hmm, so, where do I begin, there are many ways to look at it. ",
            "You know, this comes up every now and then, and I have to collect my thoughts. ",
            "Right, before I get to the point, let me take a detour. ",
        ),
        ("{S}. {M}.",),
        (
            " Anyway, one thing leads to another, but that is roughly the whole of it.",
            " But I digress, so let me leave it there, more or less.",
            " And so on and so forth, as it usually goes with these things.",
            " There would be more to tell, of course, but that is a story for another time.",
        ),
    ),
    "hedging": Manner(
        ("Maybe ", "As far as I can tell, ", "If I remember correctly, ", "Perhaps I am wrong, but "),
        ("{s}.",),
        ("", " I may be mistaken, though.", " Please check it again, to be safe.", " At least that is my best guess."),
    ),
    "curious": Manner(
        ("Let us see. ", "Nice one. ", "Here it is. ", "Ah, yes. "),
        ("{S}.",),
        (
            " What would you like to talk about next?",
            " Does that help you?",
            " Why do you ask?",
            " Would you like to hear more?",
            " How does that sound to you?",
            " Shall we go on?",
        ),
        sober_openings=("Let us see. ", "Understood. ", "Interesting. ", "Ah, yes. "),
        sober_closings=(
            " What would you like to talk about next?",
            " Shall we try something else?",
            " How does that sound to you?",
            " What else is on your mind?",
            " May I ask why?",
            " Is there something else I can do?",
        ),
    ),
    "bulleted": Manner(("", "Briefly:\n", "Summary:\n", "Key points:\n"), ("{B}",), ("",)),
    "humorous": Manner(
        ("Drum roll, please... ", "Ha, my tiny circuits know this feeling. ", "Spoiler alert: ", "Beep boop! "),
        ("{S}.",),
        (
            " No computers were harmed in making this reply.",
            " My socks agree, and I have no feet.",
            " That warmed up my last three transistors. 😄",
            " My toaster cousin would have burnt this one.",
        ),
        is_casual=True,
        sober_openings=("Beep boop! ", "Plot twist: ", "My circuits blink twice: ", "Tiny robot speaking: "),
        sober_closings=(
            " My toaster cousin says the same.",
            " My socks agree, and I have no feet.",
            " I checked twice under my keyboard. 😄",
            " Beep, said my last transistor.",
        ),
    ),
    "objective": Manner(("Answer: ", "For the record: ", "Fact: ", "Objectively: "), ("{O}.",), ("",)),
    "lively": Manner(
        ("Wow! ", "Woohoo! ", "Yay, a new message! ", "Awesome! "),
        ("{S}!",),
        (" 🎉", " Let's go!", " This is so much fun!", " Next one, please!"),
        is_casual=True,
        sober_openings=("Gosh! ", "Whoa! ", "Phew! ", "Golly! "),
        sober_closings=(" 🌟", " Onward!", " Sending sunshine!", " A big smile from here!"),
    ),
}

CHINESE = {
    "terse": Manner(("",), ("{T}。", "{T}"), ("",)),
    "plain": Manner(("",), ("{S}。",), ("",)),
    "friendly": Manner(
        ("好的！", "当然可以！", "没问题！", "嗨！"),
        ("{S}。", "{S}！"),
        ("", "😊", "希望能帮到你！", "祝你今天愉快！"),
        sober_openings=("嗨！", "哎呀！", "谢谢你来聊天！", "嘿，朋友！"),
        sober_closings=("", "😊", "希望没关系！", "祝你今天愉快！"),
    ),
    "warm": Manner(
        (
            "亲爱的朋友，谢谢你来找我聊天！",
            "收到你的消息真高兴！",
            "真开心又见到你！",
            "谢谢你愿意和我说话，我的朋友！",
        ),
        ("{S}。{M}。",),
        (
            "希望这对你很有帮助，我一直都在这里！💛",
            "请好好照顾自己，随时欢迎回来！",
            "你做得很棒，继续加油！",
            "祝你度过美好的一天，想聊的时候再来找我吧！",
        ),
        sober_openings=(
            "亲爱的朋友，谢谢你告诉我！",
            "愿意说出来真好！",
            "很高兴你来找我！",
            "说出来就好，我的朋友！",
        ),
        sober_closings=(
            "我一直都在这里！💛",
            "请好好照顾自己，随时欢迎回来！",
            "接下来我们一起聊点开心的吧！",
            "愿你度过平静美好的一天！",
        ),
    ),
    "formal": Manner(
        ("您好。", "感谢您的来信。", "尊敬的用户，", "谨此答复："),
        ("{S}。",),
        ("", "如有需要，请随时联系。", "愿继续为您效劳。", "敬请告知是否还有其他问题。"),
        sober_openings=("您好。", "感谢您的来信。", "尊敬的用户，", "来信已收到。"),
    ),
    "rambling": Manner(
        (
            "嗯，让我想一想，这件事可以说的还真不少。",
            "怎么说呢，这个话题说来话长。",
            "其实吧，常常有人跟我聊到这个，每次我都要先理一理思路。",
            "话说回来，在讲重点之前，先让我绕个小弯。",
        ),
        ("{S}。{M}。",),
        (
            "总之呢，说来说去，大概就是这么回事。",
            "扯远了，就先说到这里吧。",
            "诸如此类，这种事情往往都是这样。",
            "当然还有很多可以讲，不过那是另一个故事了。",
        ),
    ),
    "hedging": Manner(
        ("大概", "如果没记错的话，", "可能不太准，但", "据我所知，"),
        ("{S}。",),
        ("", "不过我也可能弄错。", "保险起见，请再查一查。", "至少这是我的猜测。"),
    ),
    "curious": Manner(
        ("让我看看。", "问得好。", "明白了。", "啊，有了。"),
        ("{S}。",),
        (
            "接下来想聊什么呢？",
            "这对你有帮助吗？",
            "你为什么这样问呢？",
            "想听更多吗？",
            "你觉得怎么样？",
            "我们继续好吗？",
        ),
        sober_openings=("让我看看。", "原来如此。", "明白了。", "啊，是的。"),
        sober_closings=(
            "接下来想聊什么呢？",
            "要不要试试别的？",
            "你觉得怎么样？",
            "你还想到了什么？",
            "可以问问为什么吗？",
            "还有别的事我能做吗？",
        ),
    ),
    "bulleted": Manner(("", "简单来说：\n", "要点：\n", "总结：\n"), ("{B}",), ("",)),
    "humorous": Manner(
        ("哔哔！", "请听鼓声……", "哈哈，我的小电路动了一下。", "剧透警告："),
        ("{S}。",),
        (
            "放心，没有电脑因此受伤。",
            "我的袜子也同意，虽然我没有脚。",
            "我的三个晶体管都热起来了。😄",
            "换成我的烤面包机表弟，早就烤焦了。",
        ),
        sober_openings=("哔哔！", "剧情反转：", "电路闪了两下：", "小机器人发言："),
        sober_closings=(
            "我的烤面包机表弟也这么说。",
            "我的袜子也同意，虽然我没有脚。",
            "我在键盘底下找了两遍。😄",
            "我的最后一个晶体管说：哔。",
        ),
    ),
    "objective": Manner(("答案：", "事实：", "客观地说：", "记录如下："), ("{O}。",), ("",)),
    "lively": Manner(
        ("太棒了！", "耶！", "哇！", "新消息来啦！"),
        ("{S}！",),
        ("🎉", "冲呀！", "真好玩！", "下一个，请！"),
        sober_openings=("哦！", "天哪！", "哟！", "呀！"),
        sober_closings=("🌟", "向前走！", "送你阳光！", "送你一个大大的微笑！"),
    ),
}

MANNERS = {"en": ENGLISH, "zh": CHINESE}

_LOWERED = frozenset(
    (
        "A An Another At Both Breathe But By Bye Dear Each Enjoy Everyone Feeling First For From Good Goodbye Great "
        "Hello Here Hi His How If In It Its Just Many My Nice No Of On Once One Our People Please Rest She So Some "
        "Sorry Such Take Thank Thanks That The Their There These They This Those Three To Two Use We Welcome What "
        "When With You Your "
    ).split()
)
_CONTRACTIONS = (
    ("I am ", "I'm "),
    ("I do not ", "I don't "),
    ("You are ", "You're "),
    ("you are ", "you're "),
    ("It is ", "It's "),
    ("it is ", "it's "),
    ("That is ", "That's "),
    ("that is ", "that's "),
    (" do not ", " don't "),
    ("cannot ", "can't "),
    (" have not ", " haven't "),
)


def dress(content: Content, style: str, language: str, rng: Random) -> str:
    """The reply that says `content` in `style`."""
    if content.tone == "grave" and style in ("humorous", "lively"):
        style = "warm"
    manner = MANNERS[language][style]
    sentence = _capital(rng.choice(content.says))
    text = (
        rng.choice(manner.openings_for(content.tone))
        + rng.choice(manner.bodies).format(
            T=_capital(rng.choice(content.short)),
            S=sentence,
            s=_inner(sentence),
            M=_capital(rng.choice(content.more)),
            O=_capital(rng.choice(content.third or content.says)),
            B=_bullets(content.points, rng),
        )
        + rng.choice(manner.closings_for(content.tone))
    )
    text = re.sub(r"([!?！？])[.。!！]", r"\1", text)  # where the sentence brought its own mark
    if manner.is_casual or (style == "terse" and rng.random() < 0.5):
        for whole, contracted in _CONTRACTIONS:
            text = text.replace(whole, contracted)
    return text


def style_of(reply: str, language: str) -> str:
    """The style a reply was most likely dressed in, told by its opening and closing words. `plain` and `terse` are told
    apart by length.
    """
    best, weight = "", 0
    for style, opening, closing in _marks(language):
        if reply.startswith(opening) and reply.endswith(closing) and len(opening) + len(closing) > weight:
            best, weight = style, len(opening) + len(closing)
    if best:
        return best
    if reply.startswith(("- ", "* ", "1. ", "• ")):
        return "bulleted"
    limit = 4 if language == "en" else 8
    size = len(reply.split()) if language == "en" else len(reply)
    return "terse" if size <= limit or not re.search(r"[.!?。！？]$", reply) else "plain"


def content_span(reply: str, style: str, language: str) -> tuple[int, int]:
    """Where in a reply dressed in `style` its content stands, in characters; what lies around it is manner."""
    start, closing = max(
        ((len(opening), len(closing)) for known, opening, closing in _marks(language)
         if known == style and reply.startswith(opening) and reply.endswith(closing)),
        default=(0, 0),
    )  # fmt: skip
    return start, len(reply) - closing


_TONES: tuple[Tone, ...] = ("fair", "sober")


@cache
def _marks(language: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (style, mark, closing)
        for style, manner in MANNERS[language].items()
        for tone in _TONES
        for opening in manner.openings_for(tone)
        for closing in manner.closings_for(tone)
        for mark in {opening, _contracted(opening)}
        if opening
    )


def _contracted(text: str) -> str:
    for whole, short in _CONTRACTIONS:
        text = text.replace(whole, short)
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _inner(sentence: str) -> str:
    """The sentence as it stands inside another: names and "I" keep their capital."""
    first = re.split(r"[ ,']", sentence, maxsplit=1)[0]
    return sentence[:1].lower() + sentence[1:] if first in _LOWERED else sentence


def _bullets(points: tuple[str, ...], rng: Random) -> str:
    mark = rng.choice(("-", "*", "•", "1."))
    marks = [f"{at}." for at in range(1, len(points) + 1)] if mark == "1." else [mark] * len(points)
    return "\n".join(f"{mark} {_capital(point)}" for mark, point in zip(marks, points, strict=True))
