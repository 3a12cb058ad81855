"""What is known in English: capitals, units, words, sums, how-to, code, stories."""

from backtalk.starter import facts, texts
from backtalk.starter.domains import Domain, Row, table

LANGUAGES = ("German", "French", "Spanish", "Italian", "Chinese")


def bare(noun: str) -> str:
    """The noun without its article."""
    for article in ("a ", "an ", "the "):
        noun = noun.removeprefix(article)
    return noun


def sums() -> tuple[Row, ...]:
    """Small arithmetic: + and - within twenty of numbers up to ten, x up to ten, exact division by up to five."""
    rows: list[Row] = []

    def add(a: int, b: int, signs: tuple[str, ...], result: int) -> None:
        for sign in signs:
            for form in (f"{a} {sign} {b}", f"{a} {sign} {b}" if sign.isalpha() or " " in sign else f"{a}{sign}{b}"):
                rows.append({"sum": form, "result": str(result), "a": str(a), "b": str(b)})

    for a in range(11):
        for b in range(11):
            add(a, b, ("+", "plus"), a + b)
            add(a + b, b, ("-", "minus"), a)
            add(a, b, ("*", "x", "times"), a * b)
            if a <= 5 and 1 <= b <= 5:
                add(a * b, b, ("/", "divided by"), a)
    return tuple(rows)


def _translations() -> tuple[Row, ...]:
    rows = table(facts.WORDS, " ".join(("word", *LANGUAGES)))
    return tuple({"word": row["word"], "language": name, "there": row[name]} for row in rows for name in LANGUAGES)


def _how_to() -> tuple[Row, ...]:
    rows = table(texts.HOW_TO, "task first second third zh zh1 zh2 zh3")
    return tuple(row | {"yours": row["task"].replace("my ", "your ")} for row in rows)


COUNTRIES = table(facts.COUNTRIES, "country zh capital zh_capital continent zh_continent")

FACTS = (
    Domain(
        name="capitals",
        language="en",
        rows=COUNTRIES,
        asks=(
            "What is the capital of {country}?",
            "What's the capital of {country}?",
            "capital of {country}",
            "What is the capital city of {country}?",
            "Which city is the capital of {country}?",
            "Name the capital of {country}.",
            "Tell me the capital of {country}.",
            "Do you know the capital of {country}?",
            "{country} capital",
            "Can you tell me what the capital of {country} is?",
            "What city is the capital of {country}?",
            "the capital of {country}?",
            "I want to know the capital of {country}",
            "Capital city of {country}, please",
            "{country} has which capital?",
            "~What might the capital city of {country} be?",
            "~I must know the capital of {country}.",
        ),
        short=("{capital}", "It is {capital}", "{capital}, in {continent}"),
        says=(
            "The capital of {country} is {capital}",
            "{capital} is the capital of {country}",
            "{country} has {capital} as its capital",
        ),
        more=("{country} lies in {continent}", "You can find it on a map of {continent}"),
        points=("Country: {country}", "Capital: {capital}"),
        third=("The capital of {country} is {capital}", "{capital} is the capital of {country}"),
        topics=(
            "the capital of {country}",
            "the capital city of {country}",
            "what the capital of {country} is",
            "{country}'s capital",
        ),
        accepted=("{capital}",),
        follows=("And of {country}?", "What about {country}?", "And {country}?", "{country}?", "How about {country}?"),
        subject="country",
    ),
    Domain(
        name="places",
        language="en",
        rows=COUNTRIES,
        asks=(
            "Which continent is {country} in?",
            "On which continent is {country}?",
            "Where is {country}?",
            "What continent is {country} on?",
            "{country} is on which continent?",
            "in what part of the world is {country}",
            "~Where can I find {country} on the map?",
        ),
        short=("{continent}", "In {continent}", "It is in {continent}"),
        says=("{country} is in {continent}", "{country} lies in {continent}", "You can find {country} in {continent}"),
        more=("The capital of {country} is {capital}", "Its capital is {capital}"),
        points=("Country: {country}", "Continent: {continent}"),
        third=("{country} is in {continent}", "{country} lies in {continent}"),
        topics=("which continent {country} is in", "the continent of {country}", "where {country} is"),
        accepted=("{continent}",),
        follows=("And {country}?", "What about {country}?", "And where is {country}?"),
        subject="country",
    ),
    Domain(
        name="units",
        language="en",
        rows=table(facts.UNITS, "small big number zh_small zh_big"),
        asks=(
            "How many {small} are in a {big}?",
            "How many {small} are there in one {big}?",
            "how many {small} in a {big}",
            "A {big} has how many {small}?",
            "How many {small} make a {big}?",
            "What is one {big} in {small}?",
            "Convert one {big} to {small}.",
            "1 {big} in {small}",
            "Tell me how many {small} a {big} has.",
            "~How many {small} does a {big} have?",
        ),
        short=("{number}", "{number} {small}", "It is {number}"),
        says=(
            "There are {number} {small} in one {big}",
            "One {big} has {number} {small}",
            "{number} {small} make one {big}",
        ),
        more=("This is good to know when you measure things", "Half of it would be half a {big}"),
        points=("Unit: one {big}", "Value: {number} {small}"),
        topics=(
            "how many {small} are in a {big}",
            "the number of {small} in a {big}",
            "how many {small} a {big} has",
        ),
        accepted=("{number}",),
        follows=("And {small} in a {big}?", "How many {small} in a {big}?", "What about {small} in a {big}?"),
    ),
    Domain(
        name="opposites",
        language="en",
        rows=table(facts.OPPOSITES, "word other zh zh_other")
        + tuple(
            {"word": r["other"], "other": r["word"]}
            for r in table(facts.OPPOSITES, "word other zh zh_other")
            if r["other"] != "light"
        ),
        asks=(
            "What is the opposite of {word}?",
            "What's the opposite of {word}?",
            "opposite of {word}",
            "Tell me the opposite of {word}.",
            "Give me the opposite of {word}",
            "What is the antonym of {word}?",
            "the opposite of {word} is",
            "Which word is the opposite of {word}?",
            "Do you know the opposite of {word}?",
            "antonym of {word}",
            "~Name the opposite of {word}.",
            "~What would be the opposite of {word}?",
        ),
        short=("{other}", "It is {other}", "{other}, of course"),
        says=(
            "The opposite of {word} is {other}",
            "{word} is the opposite of {other}",
            "{other} is the opposite of {word}",
        ),
        more=("Both words are common in English", "It helps to learn such words in pairs"),
        points=("Word: {word}", "Opposite: {other}"),
        topics=("the opposite of {word}", "the antonym of {word}", "what the opposite of {word} is"),
        accepted=("{other}",),
        follows=("And of {word}?", "What about {word}?", "And {word}?", "How about {word}?"),
        subject="word",
    ),
    Domain(
        name="colours",
        language="en",
        rows=table(facts.COLOURS, "thing colour zh zh_colour"),
        asks=(
            "What colour is {thing}?",
            "What color is {thing}?",
            "Which colour does {thing} have?",
            "What is the colour of {thing}?",
            "what's the color of {thing}",
            "colour of {thing}",
            "Tell me the colour of {thing}.",
            "Do you know what color {thing} is?",
            "{thing} has what colour?",
            "~What colour has {thing}?",
            "~What color would {thing} be?",
        ),
        short=("{colour}", "It is {colour}", "{colour}, usually"),
        says=("{thing} is {colour}", "the colour of {thing} is {colour}", "usually {thing} is {colour}"),
        more=("You can see it when you look closely", "Light and shade can change how it looks"),
        points=("Thing: {thing}", "Colour: {colour}"),
        topics=("the colour of {thing}", "what colour {thing} is", "the color of {thing}"),
        accepted=("{colour}",),
        follows=("And {thing}?", "What about {thing}?", "And of {thing}?", "How about {thing}?"),
        subject="thing",
    ),
    Domain(
        name="arithmetic",
        language="en",
        rows=sums(),
        asks=(
            "What is {sum}?",
            "{sum}",
            "{sum}?",
            "{sum} =",
            "{sum}=?",
            "How much is {sum}?",
            "Calculate {sum}.",
            "what's {sum}",
            "Can you compute {sum}?",
            "Please solve {sum}",
            "Tell me what {sum} is.",
            "{sum} equals?",
            "~What does {sum} equal?",
            "~What do you get for {sum}?",
        ),
        short=("{result}", "It is {result}", "{sum} = {result}"),
        says=("{sum} is {result}", "{sum} equals {result}", "the answer is {result}"),
        more=("You can check it with your fingers or a pencil", "Small sums are good practice"),
        points=("Task: {sum}", "Result: {result}"),
        topics=("{sum}", "what {sum} is", "the result of {sum}", "how much {sum} is"),
        accepted=("{result}",),
        follows=("And {sum}?", "What about {sum}?", "{sum}?", "And what is {sum}?"),
        subject="sum",
    ),
    Domain(
        name="definitions",
        language="en",
        rows=tuple(
            row | {"bare": bare(row["word"])}
            for row in table(facts.DEFINITIONS, "word meaning example zh zh_meaning zh_example")
        ),
        asks=(
            "What is {word}?",
            "What does {bare} mean?",
            "Define {bare}.",
            "Explain what {word} is.",
            "what's {word}",
            "Can you explain {word}?",
            "Tell me what {word} is.",
            "What is the meaning of {bare}?",
            "definition of {bare}",
            "What do we mean by {bare}?",
            "explain {bare}",
            "~Please define {bare}.",
            "~Could you explain what {word} is?",
        ),
        short=("{meaning}", "It is {meaning}", "In short, {meaning}"),
        says=("{word} is {meaning}", "by {bare} we mean {meaning}", "the word {bare} means {meaning}"),
        more=("For example, {example}", "To give an example, {example}"),
        points=("{bare}: {meaning}", "Example: {example}"),
        topics=("what {word} is", "the meaning of {bare}", "what {bare} means"),
        accepted=("{meaning}",),
        follows=("And {word}?", "What about {word}?", "And {bare}?"),
        subject="word",
    ),
    Domain(
        name="how-to",
        language="en",
        rows=_how_to(),
        asks=(
            "How do I {task}?",
            "How can I {task}?",
            "how to {task}",
            "Tell me how to {task}.",
            "What is the best way to {task}?",
            "Explain how to {task}",
            "I want to {task}.",
            "Can you teach me how to {task}?",
            "Help me {task}",
            "What do I need to do to {task}?",
            "How should I {task}?",
            "~Show me how to {task}.",
            "~What are the steps to {task}?",
        ),
        short=("{first}, then {second}", "{first}, {second}, {third}", "Just {first} and {second}"),
        says=(
            "to {yours}, {first}, {second} and {third}",
            "first {first}, then {second}, and finally {third}",
            "you {yours} like this: {first}, {second} and {third}",
        ),
        more=("It gets easier each time you do it", "Take your time with the first step"),
        points=("{first}", "{second}", "{third}"),
        third=("three steps: {first}, {second}, {third}", "the steps are: {first}, {second}, {third}"),
        topics=("how to {task}", "the best way to {task}", "the steps to {task}", "how I can {task}"),
        accepted=("{second}",),
        follows=("And how do I {task}?", "What about how to {task}?"),
        subject="task",
    ),
    Domain(
        name="translation",
        language="en",
        rows=_translations(),
        asks=(
            "How do you say {word} in {language}?",
            'How do you say "{word}" in {language}?',
            "What is {word} in {language}?",
            "Translate {word} into {language}.",
            "translate {word} to {language}",
            "What is the {language} word for {word}?",
            "{word} in {language}",
            "How do I say {word} in {language}?",
            "{language} for {word}?",
            "What's the {language} for {word}?",
            "Please translate {word} to {language}",
            "~Can you say {word} in {language}?",
            "~What do people say for {word} in {language}?",
        ),
        short=("{there}", "It is {there}", '"{there}"'),
        says=(
            "in {language}, {word} is {there}",
            "the {language} word for {word} is {there}",
            "{word} is {there} in {language}",
        ),
        more=("It is nice to learn a word of {language}", "Say it aloud a few times to remember it"),
        points=("English: {word}", "{language}: {there}"),
        topics=(
            "how to say {word} in {language}",
            "the {language} word for {word}",
            "what {word} is in {language}",
            "{word} in {language}",
        ),
        accepted=("{there}",),
        follows=("And {word} in {language}?", "And in {language}, {word}?", "What about {word} in {language}?"),
        leans=(
            (
                "word",
                (
                    "And in {language}?",
                    "In {language}?",
                    "And {language}?",
                    "What about {language}?",
                    "and how about in {language}",
                ),
            ),
            (
                "language",
                ("And {word}?", "What about {word}?", "{word}?", "And how do you say {word}?", "how about {word}"),
            ),
        ),
        subject="word",
    ),
    Domain(
        name="code",
        language="en",
        rows=table(texts.CODE, "task code zh"),
        asks=(
            "Write Python code to {task}.",
            "How do I {task} in Python?",
            "Python code to {task}",
            "Show me how to {task} in Python.",
            "python: {task}",
            "Give me one line of Python to {task}.",
            "In Python, how can I {task}?",
            "Write a line of code to {task}",
            "code to {task}",
            "How can I {task} with Python?",
            "~I need Python code to {task}.",
            "~What is the Python code to {task}?",
        ),
        short=("{code}", "`{code}`", "Use {code}"),
        says=("in Python you can write `{code}`", "this line does it: `{code}`", "use `{code}` to {task}"),
        more=("Try it in a Python shell", "You may need to change the names to fit your code"),
        points=("Task: {task}", "Code: `{code}`"),
        third=("in Python: `{code}`", "the line of code is `{code}`"),
        topics=("how to {task} in Python", "the Python code to {task}", "how Python can {task}"),
        accepted=("{code}",),
        follows=("And to {task}?", "And how do I {task}?", "What about code to {task}?"),
        subject="task",
    ),
    Domain(
        name="stories",
        language="en",
        rows=tuple(
            row | {"bare": bare(row["about"])} for row in table(texts.STORIES, "about one two three zh zh1 zh2 zh3")
        ),
        asks=(
            "Tell me a story about {about}.",
            "Tell me a short story about {about}",
            "Write a story about {about}.",
            "story about {about}",
            "Can you tell a story about {about}?",
            "I would like a story about {about}.",
            "a {bare} story please",
            "Make up a story about {about}",
            "Do you know a story about {about}?",
            "~Please write a short story about {about}.",
            "~I want to hear a story about {about}",
        ),
        short=("{one}. {three}", "{one}, and then: {three}", "Once, {one}. {three}"),
        says=(
            "{one}. {two}. {three}",
            "here is a story: {one}. {two}. {three}",
            "once upon a time: {one}. {two}. {three}",
        ),
        more=("That is the end of the story", "Small stories can carry big hearts"),
        points=("{one}", "{two}", "{three}"),
        third=("a story about {about}: {one}. {two}. {three}", "the story goes: {one}. {two}. {three}"),
        accepted=("{three}",),
        follows=("And one about {about}?", "Another one about {about}", "Now one about {about}"),
        subject="about",
    ),
    Domain(
        name="stories",
        language="en",
        rows=table(texts.STORIES, "about one two three zh zh1 zh2 zh3"),
        asks=(
            "Tell me a story",
            "Tell me a story.",
            "Can you tell me a story?",
            "I want to hear a story",
            "Write a short story.",
            "a story please",
            "Do you know any stories?",
            "Tell me a bedtime story",
            "Make up a story for me",
            "~Could you tell me a short story?",
        ),
        short=("{one}. {three}", "{one}, and then: {three}", "Once, {one}. {three}"),
        says=(
            "{one}. {two}. {three}",
            "here is a story: {one}. {two}. {three}",
            "once upon a time: {one}. {two}. {three}",
        ),
        more=("That is the end of the story", "Small stories can carry big hearts"),
        points=("{one}", "{two}", "{three}"),
        third=("a story about {about}: {one}. {two}. {three}", "the story goes: {one}. {two}. {three}"),
        accepted=tuple(row["three"] for row in table(texts.STORIES, "about one two three zh zh1 zh2 zh3")),
        follows=("Another one", "Tell me another one", "One more story, please", "another story"),
    ),
)
