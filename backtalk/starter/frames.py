"""Ways to wrap what somebody wants to know, shared by all domains: people ask for the same thing in many words, and a
model that has seen a wish in few of them takes the others for something it does not know.

`{x}` is a topic, such as "the capital of Peru" or "how to boil an egg". Frames that begin with `~` are held out of
training.
"""

ENGLISH = (
    "Tell me {x}",
    "Tell me {x}.",
    "Please tell me {x}.",
    "Can you tell me {x}?",
    "Could you tell me {x}?",
    "Can you please tell me {x}?",
    "Would you tell me {x}?",
    "Do you know {x}?",
    "Do you happen to know {x}?",
    "I want to know {x}",
    "I would like to know {x}.",
    "I'd like to know {x}",
    "I need to know {x}.",
    "I have to find out {x}",
    "I am looking for {x}",
    "I forgot {x}.",
    "I don't know {x}",
    "Let me know {x}",
    "Give me {x}",
    "Explain {x}",
    "Help me with {x}",
    "Teach me {x}.",
    "Remind me {x}",
    "My friend asked me {x}.",
    "Any idea {x}?",
    "{x}?",
    "{x}",
    "{x}, please",
    "~Could you please let me know {x}?",
    "~Are you able to tell me {x}?",
    "~I really want to find out {x}",
    "~Please help me to find {x}.",
    "~Say {x}",
)

CHINESE = (
    "告诉我{x}",
    "请告诉我{x}",
    "请告诉我{x}。",
    "你知道{x}吗？",
    "你知不知道{x}？",
    "我想知道{x}",
    "我很想知道{x}。",
    "我需要知道{x}",
    "请问{x}？",
    "能告诉我{x}吗？",
    "可以告诉我{x}吗？",
    "能不能告诉我{x}？",
    "说说{x}",
    "说一下{x}",
    "给我{x}",
    "帮我想想{x}",
    "我忘了{x}",
    "我不知道{x}",
    "朋友问我{x}。",
    "想问问{x}",
    "{x}？",
    "{x}",
    "{x}呢？",
    "~麻烦告诉我{x}。",
    "~请说出{x}",
    "~你能说说{x}吗？",
    "~我很好奇{x}",
)

FRAMES = {"en": ENGLISH, "zh": CHINESE}
