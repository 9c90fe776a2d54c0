"""The queries and passages that every model is scored on, in the compact form of `tests/fixtures/README.md`."""

from typing import Any

Text = str | dict[str, list[Any]]
Case = dict[str, Any]

QUERY = "Which planet is known as the Red Planet?"
PLANETS = [
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
]
MARS = PLANETS[1]
ODD = [
    "",
    "a",
    ".",
    "?!... --- (...)",
    " ",
    "\n",
    "Mars is red.",
    "  Mars is red.  ",
    "\n\nMars is red.\n",
    "Mars\nis\r\nred.\tIndeed.\n\nSo it is.",
    "MARS IS RED.",
    "mars is red.",
    "Mars is red.",
    "[CLS] Mars [SEP] <s> is </s> [MASK] red [Q] [D] <|im_end|>",
]
SCRIPTS = [
    "火星是红色行星。",
    "火星は赤い惑星として知られています。",
    "화성은 붉은 행성으로 알려져 있습니다.",
    "يُعرف المريخ بالكوكب الأحمر.",
    "मंगल को लाल ग्रह कहा जाता है।",
    "Марс - красная планета.",  # noqa: RUF001
    "La planète rouge, c'est Mars. Cafe\u0301, café, ﬁnd.",
    "Ｍａｒｓ　ｉｓ　ｒｅｄ．",  # noqa: RUF001
    "Mars\u200bis\u00a0red\ufeff",
    "ดาวอังคารเป็นสีแดง",
]
EMOJI = ["🚀", "👍🏽 👩‍🚀 🪐", "Mars 🔴 is 🟥 red 🚀🚀🚀", "no emoji here"]
WORDS = [
    "mars", "venus", "red", "planet", "the", "is", "of", "and", "moon", "star", "ring", "spot", "known",
    "called", "surface", "dust", "iron", "cold", "dry", "small", "fourth", "sun", "orbit", "year", "day",
    "rock", "rover", "water", "ice", "pole", "thin", "air", "wind", "storm", "crater", "canyon", "valley",
    "dark", "bright", "sky", "night", "twin", "earth", "close", "far", "size", "mass", "light", "slow", "fast",
    "old", "new", "42", "火星", "Planet", "Rot",
]  # fmt: skip


def repeat(part: Text, times: int) -> Text:
    """Return the compact form of a repeated text."""
    return {"repeat": [part, times]}


def join(*parts: Text) -> Text:
    """Return the compact form of texts joined without a separator."""
    return {"join": list(parts)}


def long_passages(times: int) -> list[Text]:
    """Return passages of which some exceed the limit.

    The first two differ only at the end, the third at the start, the last two are short.
    """
    body = repeat("The red planet is cold and dry, and its dust is full of iron. ", times)
    return [body, join(body, "Its name is Venus."), join("Mars! ", body), MARS, ""]


def case(name: str, query: Text, passages: list[Text] | dict[str, Any], **options: Any) -> Case:
    """Return one case."""
    return {"name": name, "query": query, "passages": passages, "options": options}


def common(times: int) -> list[Case]:
    """Return the cases of every model; `times` makes the repeated sentence longer than the model's limit."""
    long_query = repeat("which planet is red, and why is it so? ", times)
    mixed = [repeat(f"{word} of the red planet. ", 1 + 3 * place % 17) for place, word in enumerate(WORDS[:24])]
    return [
        case("basic", QUERY, PLANETS),
        case("one passage", QUERY, [MARS]),
        case("odd passages", QUERY, ODD),
        case("scripts", "火星 マルス 화성 Mars", SCRIPTS),
        case("emoji", "Is 🔴 the 🪐?", EMOJI),
        case("duplicates", QUERY, [MARS, PLANETS[0], MARS, MARS]),
        case("mixed lengths", QUERY, mixed),
        case("empty query", "", [MARS, "", "a"]),
        case("one-character query", "a", [MARS, "a", ""]),
        case("blank query", " \n ", [MARS, PLANETS[0]]),
        case("padded query", "  \n Which planet\nis red? \n ", [MARS, "  padded passage  ", PLANETS[0]]),
        case("long passages", QUERY, long_passages(times)),
        case("long query", long_query, [*PLANETS, ""]),
        case("long query and passages", long_query, long_passages(times)),
        case("500 passages", QUERY, {"generate": {"count": 500, "words": WORDS}}),
    ]
