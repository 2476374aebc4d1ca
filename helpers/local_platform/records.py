"""A grammar of messages with a record to extract: some fields named, their values in the text.

The record's shape changes from task to task (flat or nested, other names for the fields), so that
what is learned is to look a value up and to write it under the name that was asked for.
"""

from __future__ import annotations

import random

from helpers.local_platform import grammar

NUMBER_WORDS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
NAMES = {  # field -> other names it may be asked for by
    "name": ["name", "customer", "sender", "contact"],
    "product": ["product", "article", "thing"],
    "town": ["town", "city", "place"],
    "day": ["day", "date", "weekday"],
    "time": ["time", "hour"],
    "amount": ["amount", "price", "sum"],
    "company": ["company", "firm", "shop"],
    "phone": ["phone", "number", "telephone"],
    "colour": ["colour", "shade"],
    "street": ["street", "address"],
    "problem": ["problem", "fault"],
}
SAID = {
    "name": ["This is {x}.", "My name is {x}.", "{x} here.", "It's {x} again."],
    "product": ["I ordered the {x}.", "It is about my {x}.", "Your {x} is my third one."],
    "town": ["I live in {x}.", "Please deliver to {x}.", "We moved to {x} last week."],
    "day": ["It should arrive on {x}.", "{x} suits me.", "Please come on {x}."],
    "time": ["After {x} somebody is at home.", "Best at {x}.", "Around {x} would be fine."],
    "amount": ["I paid {x} euro.", "The bill says {x} euro.", "That came to {x} euro."],
    "company": ["I work at {x}.", "The shop was {x}.", "It goes to {x}."],
    "phone": ["Call me on {x}.", "My number is {x}.", "You reach me on {x}."],
    "colour": ["I would like it in {x}.", "The {x} one, please.", "Is there one in {x}?"],
    "street": ["The address is {x}.", "Leave it at {x}.", "We are at {x}."],
    "problem": ["It has {x}.", "There is {x}.", "I found {x}."],
}
FILLERS = [
    "Hello,",
    "Good morning.",
    "Hi there!",
    "Thanks a lot.",
    "Sorry to bother you again.",
    "The last one was fine, by the way.",
    "I hope this reaches the right person.",
    "No hurry.",
    "Please write back soon.",
    "Otherwise all is well.",
]
WISHES = {
    "order": ["I'd like to order {x}.", "Please send me {x}.", "We need {x}.", "Can I get {x}?"],
    "return": ["I want to return {x}.", "Please take back {x}.", "I am sending back {x}."],
    "repair": ["Can you repair {x}?", "Please mend {x}.", "I have {x} that needs a repair."],
    "quote": ["What would you charge for {x}?", "Please quote me a price for {x}."],
    "cancel": ["Please cancel {x}.", "I no longer want {x}.", "Take {x} off my order."],
}


def task(words: dict, rng: random.Random) -> tuple[str, str, dict]:
    """One exercise: (system prompt, the user's message, the record that answers it)."""
    return _flat(words, rng) if rng.random() < 0.45 else _order(words, rng)


def _values(words: dict, rng: random.Random) -> dict:
    slot = grammar.slots(words, rng)
    phone = rng.choice(["555-01{:02d}", "01632 960{:03d}", "555 01{:02d}"])
    house = f"{rng.randint(1, 120)} {slot['street']}"
    return {
        "name": slot["person"],
        "product": slot["product"],
        "town": slot["town"],
        "day": slot["day"],
        "time": slot["time"],
        "amount": slot["number"],
        "company": slot["company"],
        "phone": phone.format(rng.randint(0, 99)),
        "colour": slot["colour"],
        "street": house,
        "problem": slot["problem"],
    }


def _flat(words: dict, rng: random.Random) -> tuple[str, str, dict]:
    values = _values(words, rng)
    asked = rng.sample(list(NAMES), rng.randint(2, 5))
    called = {field: rng.choice(NAMES[field]) for field in asked}
    said = [field for field in asked if rng.random() < 0.8]
    said += rng.sample([field for field in NAMES if field not in asked], rng.choice([0, 0, 1, 2]))
    spoken = [rng.choice(SAID[field]).replace("{x}", values[field]) for field in said]
    spoken += rng.sample(FILLERS, rng.choice([0, 1, 1, 2]))
    rng.shuffle(spoken)
    answer = {called[field]: values[field] if field in said else None for field in asked}
    message = f"Fields: {', '.join(called.values())}\n\n{' '.join(spoken)}"
    return "Write the named fields as JSON.", message, answer


def _order(words: dict, rng: random.Random) -> tuple[str, str, dict]:
    """A customer's wish with its things, their number and colour, and perhaps a day."""
    values = _values(words, rng)
    kind = rng.choice(list(WISHES))
    things, listed = [], []
    for product in rng.sample(words["products"], rng.choice([1, 1, 1, 2, 2, 3])):
        phrase, thing = _thing(product, words, rng)
        things.append(thing)
        listed.append(phrase)
    joined = ", ".join(listed[:-1]) + " and " + listed[-1] if len(listed) > 1 else listed[0]
    spoken = [rng.choice(WISHES[kind]).replace("{x}", joined)]
    who = values["name"] if rng.random() < 0.65 else None
    phone = values["phone"] if rng.random() < 0.5 else None
    sent, (day_text, day) = rng.choice(grammar.DAYS), (None, None)
    if rng.random() < 0.6:
        day_text, day = _day(sent, rng)
        spoken.append(day_text)
    spoken += rng.sample(FILLERS, rng.choice([0, 1, 1, 2]))
    spoken += [rng.choice(SAID["name"]).replace("{x}", who)] if who else []
    spoken += [rng.choice(SAID["phone"]).replace("{x}", phone)] if phone else []
    if rng.random() < 0.5:
        rng.shuffle(spoken)
    names = rng.choice([("kind", "who", "things", "on"), ("wish", "buyer", "articles", "day")])
    answer = dict(zip(names, (kind, {"name": who, "phone": phone}, things, day), strict=True))
    system = f"Write the message as JSON: {', '.join(names)}."
    return system, f"Sent on {sent}\n\n{' '.join(spoken)}", answer


def _thing(product: str, words: dict, rng: random.Random) -> tuple[str, dict]:
    count = rng.choice([1, 1, 2, 3, 4, 5, 6, rng.randint(7, 12)])
    colour = rng.choice(words["colours"]) if rng.random() < 0.35 else None
    what = f"{colour} {product}" if colour else product
    written = str(count) if rng.random() < 0.4 else NUMBER_WORDS[count - 1]
    if count == 1:
        text = f"{rng.choice(['the', 'a', 'my', 'one'])} {what}"
        text = text.replace("a " + what, ("an " if what[0] in "aeiou" else "a ") + what)
    else:
        text = f"{written} {_plural(what)}"
        if rng.random() < 0.15:  # a slip of the tongue, put right at once
            other = rng.choice([n for n in range(2, 13) if n != count])
            text = f"{other}, no, {text}"
    return text, {"what": product, "count": count, "colour": colour}


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def _day(sent: str, rng: random.Random) -> tuple[str, str]:
    """A sentence that names a day, and the weekday meant: the distance counts from `sent`."""
    ahead = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2}
    if rng.random() < 0.4:
        said = rng.choice(list(ahead))
        day = grammar.DAYS[(grammar.DAYS.index(sent) + ahead[said]) % 7]
    else:
        said = day = rng.choice(grammar.DAYS)
        if rng.random() < 0.15:
            other = rng.choice([d for d in grammar.DAYS if d != day])
            said = f"{other}, sorry, {day}"
    when = said if said in ahead else f"on {said}"
    frame = rng.choice(["Can you come {on}?", "I need it {on}.", "{x} would be good."])
    return grammar.upper(frame.replace("{on}", when).replace("{x}", said)), day
