"""A grammar of messages with a record to extract: some fields named, their values in the text.

The record's shape changes from task to task (flat or nested, other names for the fields), so that
what is learned is to look a value up and to write it under the name that was asked for.
"""

from __future__ import annotations

import random
import re

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
MANY = {"twelve": 12, "fifteen": 15, "sixteen": 16, "twenty": 20, "twenty-five": 25, "thirty": 30,
        "forty": 40, "fifty": 50, "sixty": 60, "eighty": 80, "a dozen": 12, "half a dozen": 6,
        "two dozen": 24, "a hundred": 100, "one hundred": 100, "two hundred": 200}  # fmt: skip
HOLDERS = ["bag", "box", "pot", "tin", "roll", "sheet", "bottle", "pack", "sack", "tube", "bucket",
           "set", "pair", "crate", "litre", "metre"]  # fmt: skip
HALVES = ("knife", "shelf", "scarf", "leaf", "loaf", "half", "wolf", "calf")  # "knives"
AHEAD = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2}  # days from the message's own
# Names of the fields: of the record, of the customer, of a thing and of the appointment. Which
# go together is fixed, for the system prompt tells only the first.
NAMES_OF = [
    (("kind", "who", "things", "on", "bring"), ("name", "phone"), ("what", "count", "colour"),
     ("day", "time")),
    (("wish", "buyer", "articles", "date", "way"), ("called", "number"),
     ("name", "number", "shade"), ("weekday", "hour")),
    (("type", "client", "list", "appointment", "transport"), ("full_name", "telephone"),
     ("article", "pieces", "tint"), ("date", "clock")),
]  # fmt: skip


def task(words: dict, rng: random.Random) -> tuple[str, str, dict]:
    """One exercise: (system prompt, the user's message, the record that answers it)."""
    return rng.choices([_flat, _order, _written], [12, 38, 50])[0](words, rng)


def short_tasks(words: dict, rng: random.Random) -> tuple[str, list[tuple[str, object]]]:
    """Several short messages, of each one part of the record asked: (system prompt, turns).

    Half of a record's text decides nothing; here each sentence does.

    Returns: turns of (message, what answers it, to be written as JSON).
    """
    makers = [_short_wishes, _short_dates, _single_things, _weekdays]
    return rng.choices(makers, [30, 20, 30, 20])[0](words, rng)


def _short_wishes(words: dict, rng: random.Random):
    names = rng.choice(NAMES_OF)[2]
    kinds = rng.choices(["order", "return", "repair", "quote", "cancel"], k=rng.randint(3, 6))
    turns = []
    for spoken, things in (_wish(kind, words, rng) for kind in kinds):
        listed = [dict(zip(names, thing, strict=True)) for thing in things]
        turns.append((" ".join(spoken), listed))
    return f"Write the things as JSON: {', '.join(names)}.", turns


def _short_dates(words: dict, rng: random.Random):
    names, turns = rng.choice(NAMES_OF)[3], []
    while len(turns) < 6:
        sent, way = rng.choice(grammar.DAYS), rng.choice([None, None, "home", "pickup"])
        spoken, *when = _appointment(sent, way, words, rng)
        if spoken:
            date = dict(zip(names, when, strict=True))
            turns.append((f"Sent on {sent}\n\n{' '.join(spoken)}", date))
    return f"Write the time as JSON: {', '.join(names)}.", turns


def _single_things(words: dict, rng: random.Random):
    """Of "nine litres of clay" the thing, in the singular; or its number and colour, too."""
    names, whole = rng.choice(NAMES_OF)[2], rng.random() < 0.4
    turns = []
    for _ in range(6 if whole else 10):
        said, thing = _thing(_product(words, rng), words, rng)
        turns.append((said, dict(zip(names, thing, strict=True)) if whole else thing[0]))
    return f"Write the thing as JSON: {', '.join(names if whole else names[:1])}.", turns


def _weekdays(words: dict, rng: random.Random):
    """The weekday that "tomorrow" is: of all that a record asks for the only sum."""
    turns = []
    for _ in range(10):
        sent, ahead = rng.choice(grammar.DAYS), rng.choice(list(AHEAD))
        phrase, day = (ahead, _counted(sent, ahead)) if rng.random() < 0.5 else _day(sent, rng)
        said = rng.choice(words["orders"]["day"]).replace("{x}", phrase)
        turns.append((f"Sent on {sent}\n\n{rng.choice([phrase, grammar.upper(said)])}", day))
    return "Write the weekday as JSON.", turns


def _values(words: dict, rng: random.Random) -> dict:
    slot = grammar.slots(words, rng)
    phone = rng.choice(["555-01{:02d}", "01632 960{:03d}", "555 01{:02d}"])
    house = f"{rng.randint(1, 120)} {slot['street']}"
    return {
        "name": slot["person"]
        if rng.random() < 0.6
        else f"{rng.choice(words['people'])} {grammar.odd_name(words, rng)}",
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
    """A customer's wish with its things, changes of mind, name, day, time and way of delivery."""
    said, values = words["orders"], _values(words, rng)
    kind = rng.choice(["order", "order", "order", "return", "repair", "quote", "cancel"])
    spoken, things = _wish(kind, words, rng)
    sent = rng.choice(grammar.DAYS)
    way = frames = rng.choice([None, None, "home", "pickup"])
    if kind in ("return", "repair"):  # brought to the shop (no delivery), or somebody comes
        frames = "call" if way == "home" else rng.choice([None, "take_in"])
        way = None if way == "pickup" else way
    when, day, time = _appointment(sent, frames, words, rng)
    spoken += when
    if rng.random() < 0.15:
        past = rng.choice(said["past"])
        past = grammar.upper(past.replace("{x}", f"on {values['day']}"))
        spoken.insert(rng.choice([0, len(spoken)]), past)
    spoken += rng.sample(said["idle"], rng.choice([0, 0, 1, 1, 2]))
    if rng.random() < 0.15:  # a number or a colour that is none of the things'
        told = rng.choice(said["scene"]).replace("{n}", rng.choice(NUMBER_WORDS))
        spoken.append(grammar.upper(told.replace("{c}", _colour(words, rng))))
    signed, who = _signed(values["phone"], words, rng)
    spoken += signed
    if rng.random() < 0.2:  # name first, or the idle talk
        spoken = spoken[-1:] + spoken[:-1]
    return _record(sent, " ".join(spoken), (kind, who, things, (day, time), way), rng)


def _signed(phone: str, words: dict, rng: random.Random) -> tuple[list[str], tuple]:
    """How the customer is named, and (name, phone), each None where it is not said."""
    said, (written, name) = words["orders"], _customer(words, rng)
    named, called = rng.random() < 0.6, rng.random() < 0.4
    if named and called and rng.random() < 0.7:
        frame = "{x}, {y}" if rng.random() < 0.3 else rng.choice(said["name_phone"])
        return [frame.replace("{x}", written).replace("{y}", phone)], (name, phone)
    frame = "{x}" if rng.random() < 0.3 else rng.choice(said["name"])
    spoken = [frame.replace("{x}", written)] if named else []
    spoken += [rng.choice(said["phone"]).replace("{x}", phone)] if called else []
    return spoken, (name if named else None, phone if called else None)


def _customer(words: dict, rng: random.Random) -> tuple[str, str]:
    """A customer's name as written and as it is kept: without a title where a first name is told.

    A family, a person, a person with a title or a rank, a club or a firm.
    """

    def name(key: str) -> str:
        return grammar.odd_name(words, rng) if rng.random() < 0.4 else rng.choice(words[key])

    said, roll = words["orders"], rng.random()
    if roll < 0.03:
        family = name("surnames")
        return f"Family {family}", family
    if roll < 0.6:
        whole = name("people") if rng.random() < 0.35 else f"{name('people')} {name('surnames')}"
        return whole, whole
    if roll < 0.68:
        whole = f"{name('people')} {name('surnames')}"
        return f"{rng.choice(said['title'])} {whole}", whole
    if roll < 0.73:
        whole = f"{rng.choice(said['title'])} {name('surnames')}"
    elif roll < 0.82:
        whole = f"{rng.choice(said['rank'])} {name('surnames')}"
    else:
        whole = rng.choice(said["body"]).replace("{y}", name(rng.choice(["surnames", "towns"])))
    return whole, whole


def _written(words: dict, rng: random.Random) -> tuple[str, str, dict]:
    """A written message with its slots filled: `messages.jsonl` says which of them count."""
    piece, sent = rng.choice(words["messages"]), rng.choice(grammar.DAYS)
    said, meant = _values(words, rng), {}
    for place in ("1", "2", "3", "4", "9"):
        product = _product(words, rng)
        count, written = _count(rng)
        said[f"p{place}"], said[f"p{place}s"] = product, _many(product, 2)
        said[f"n{place}"], meant[f"n{place}"] = written, count
        said[f"c{place}"] = _colour(words, rng)
    other = _values(words, rng)
    said["name"], name = _customer(words, rng)
    said["time"] = rng.choice([said["time"], f"{rng.randint(1, 11)} pm", "noon"])
    said |= {"name9": other["name"], "day9": other["day"], "time9": other["time"]}
    ahead = rng.choice(list(AHEAD))
    said["ahead"] = ahead
    text = re.sub(r"\{(\w+)\}", lambda slot: said[slot[1]], piece["message"])
    day = {"day": said["day"], "ahead": _counted(sent, ahead)}.get(piece["when"])
    things = [
        (said[product], meant.get(count, count), said.get(colour))
        for product, count, colour in piece["items"]
    ]
    who = name if piece["name"] else None, said["phone"] if piece["phone"] else None
    when = day, said["time"] if piece["time"] else None
    values = piece["request"], who, things, when, piece["delivery"]
    return _record(sent, grammar.right_article(text), values, rng)


def _record(sent: str, text: str, values: tuple, rng: random.Random) -> tuple[str, str, dict]:
    """The exercise of a message and its values, under one of the sets of names."""
    kind, who, things, when, way = values
    names, client_names, thing_names, date_names = rng.choice(NAMES_OF)
    client = dict(zip(client_names, who, strict=True))
    listed = [dict(zip(thing_names, thing, strict=True)) for thing in things]
    date = dict(zip(date_names, when, strict=True))
    answer = dict(zip(names, (kind, client, listed, date, way), strict=True))
    return f"Write the message as JSON: {', '.join(names)}.", f"Sent on {sent}\n\n{text}", answer


def _wish(kind: str, words: dict, rng: random.Random) -> tuple[list[str], list[tuple]]:
    """Sentences that ask for things, and what is wanted in the end: (product, count, colour)."""
    if kind in ("repair", "return") and rng.random() < 0.5:
        return _fault(kind, words, rng)
    said = words["orders"]
    products = [_product(words, rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 3, 4, 4]))]
    phrases, things = zip(*(_thing(product, words, rng) for product in products), strict=True)
    things = list(things)
    joined = ", ".join(phrases[:-1]) + " and " + phrases[-1] if len(phrases) > 1 else phrases[0]
    if rng.random() < 0.05:  # taken back in the same breath
        joined += f", {rng.choice(said['not'])} the {_product(words, rng)},"
    spoken = [re.sub(r",(?=[,.?!;:])|,$", "", rng.choice(said[kind]).replace("{x}", joined))]
    roll, last = rng.random(), things[-1]
    if roll < 0.07 and len(things) > 1:
        spoken.append(rng.choice(said["drop"]).replace("{x}", "the " + _many(*last[:2])))
        things.pop()
    elif roll < 0.14:
        count, written = _count(rng)
        frame = rng.choice(said["recount"])
        spoken.append(frame.replace("{x}", _many(last[0], count)).replace("{y}", written))
        things[-1] = (last[0], count, last[2])
    elif roll < 0.22 and (len(things) == 1 or all(colour is None for _, _, colour in things)):
        colour = _colour(words, rng)
        named = "all of them" if len(things) > 1 else "the " + _many(*last[:2])
        frame = rng.choice(said["recolour"])
        spoken.append(frame.replace("{x}", named).replace("{y}", colour))
        things = [(product, count, colour) for product, count, _ in things]
    elif roll < 0.34 and last[1] > 2:  # a number that changes nothing
        fewer = rng.randint(2, min(last[1], 12))
        frame = rng.choice(said["aside"]).replace("{n}", NUMBER_WORDS[fewer - 1])
        spoken.append(frame.replace("{x}", _many(last[0], 2)))
    return [grammar.upper(sentence) for sentence in spoken], things


def _fault(kind: str, words: dict, rng: random.Random) -> tuple[list[str], list[tuple]]:
    """What is wrong with a thing, told before anything is asked: "The lid of my pan sticks"."""
    said = words["orders"]
    part, other = rng.sample(said["part"], 2)
    product = _product(words, rng)
    named = _owned(product, words, rng)
    spoken = f"{named} {_goes_wrong(kind, words, rng)}"
    if rng.random() < 0.12:  # two things at once
        second = _product(words, rng)
        spoken += f"{rng.choice([',', ''])} and {_owned(second, words, rng)} "
        spoken += _goes_wrong(kind, words, rng)
        wish = rng.choice(said["mend_both" if kind == "repair" else "give_back_both"])
        things = [(product, 1, None), (second, 1, None)]
        return [grammar.upper(f"{spoken}. {wish}".replace("{y}", part))], things
    if kind == "repair" and rng.random() < 0.35:
        spoken = f"the {part} of {named} {_goes_wrong(kind, words, rng)}"
        if rng.random() < 0.3:  # the part is the thing, where it is what the wish names
            product = part
    if rng.random() < 0.2:
        more = rng.choice(
            [f"and the {other} {_goes_wrong('repair', words, rng)}", "since we moved it"]
        )
        spoken += f" {more}"
    wish = rng.choice(said["mend" if kind == "repair" else "give_back"])
    if kind == "repair" and (product == part or rng.random() < 0.3):
        wish = rng.choice(said["mend_it"]).replace("{x}", product)
    mark = rng.choice([". ", ". ", ". ", "! ", ", "])
    if mark == ", " and not wish.startswith("I"):
        wish = wish[0].lower() + wish[1:]
    whole = f"{spoken}{mark}{wish if mark == ', ' else grammar.upper(wish)}".replace("{y}", part)
    return [grammar.upper(whole)], [(product, 1, None)]


def _owned(product: str, words: dict, rng: random.Random) -> str:
    """The thing with its owner, who is no part of it: "my son's scooter"."""
    if rng.random() < 0.75:
        return f"{rng.choice(['my', 'our', 'the', 'the', 'this'])} {product}"
    return f"{rng.choice(words['orders']['owner'])}'s {product}"


def _goes_wrong(kind: str, words: dict, rng: random.Random) -> str:
    """What a thing does that it should not: a phrase of `orders.json`, or any verb at all, so that
    what follows a thing is known for a verb by its place alone."""
    said, roll = words["orders"], rng.random()
    verb, *rest = rng.choice(words["verbs_base"]).split()
    if kind != "repair" or roll < 0.6:
        wrong = rng.choice(said["fault" if kind == "repair" else "complaint"])
        return wrong.replace("{c}", _colour(words, rng))
    if roll < 0.7:
        return " ".join([grammar.with_s(verb), *rest])
    if roll < 0.8:
        barred = ["does not", "does not", "doesn't", "will not", "won't", "cannot", "no longer"]
        no = rng.choice(barred)
        return f"{no} {grammar.with_s(verb) if no == 'no longer' else verb}"
    if roll < 0.9:
        return grammar.with_s(verb)
    return grammar.with_s(grammar.odd_word(words, rng))


def _appointment(
    sent: str, frames: str | None, words: dict, rng: random.Random
) -> tuple[list[str], str | None, str | None]:
    """Sentences on day, time and delivery; and the weekday and the time that they name.

    Args: `frames` the name of those of the delivery in `orders.json`, or None.
    """
    said, roll, spoken, day, time = words["orders"], rng.random(), [], None, None
    clock = rng.choice([grammar.slots(words, rng)["time"], f"{rng.randint(1, 11)} pm", "noon"])
    if roll < 0.6:
        phrase, day = _day(sent, rng)
        if frames and rng.random() < 0.6:
            frame = rng.choice(said[f"{frames}_day"])
            if rng.random() < 0.3:
                phrase, time = f"{phrase} at {clock}", clock
            return [grammar.upper(frame.replace("{x}", phrase))], day, time
        if rng.random() < 0.3:
            frame, time = rng.choice(said["day_time"]), clock
            spoken.append(grammar.upper(frame.replace("{x}", phrase).replace("{y}", clock)))
        else:
            spoken.append(grammar.upper(rng.choice(said["day"]).replace("{x}", phrase)))
    elif roll < 0.65:
        spoken, time = [grammar.upper(rng.choice(said["time"]).replace("{x}", clock))], clock
    if frames:
        spoken.append(rng.choice(said[frames]))
    return spoken, day, time


def _product(words: dict, rng: random.Random) -> str:
    """A thing in one word or two ("lamp", "watering can"), or a measure ("bag of cement").

    A third of the words are odd ones: what is ordered is often what no list of common words has.
    """

    def noun(key: str) -> str:
        return grammar.odd_word(words, rng) if rng.random() < 0.33 else rng.choice(words[key])

    roll = rng.random()
    if roll < 0.12:
        return f"{rng.choice(HOLDERS)} of {noun(rng.choice(['materials', 'plural_nouns']))}"
    if roll < 0.27:
        return rng.choice(words["products"])
    if roll < 0.3:
        return f"{noun('animals')}'s {noun('nouns')}"
    if roll < 0.34:
        return f"{noun('plural_nouns')} {noun('nouns')}"
    if roll < 0.38:
        return f"{rng.choice(words['orders']['doing'])} {noun('nouns')}"
    if roll < 0.41:
        return f"{noun('nouns')} {rng.choice(words['orders']['deed'])}"
    if roll < 0.43:
        return f"{noun('nouns')} {rng.choice(HALVES)}"
    return noun("nouns") if roll < 0.74 else f"{noun('nouns')} {noun('nouns')}"


def _colour(words: dict, rng: random.Random) -> str:
    """A colour, or what a thing is made of in its place ("a shelf in oak")."""
    return rng.choice(words["colours"] if rng.random() < 0.85 else words["materials"])


def _look(words: dict, rng: random.Random) -> str:
    """What a thing can be "in": a colour, or any word that stands for one ("a carpet in sand")."""
    if rng.random() < 0.65:
        return _colour(words, rng)
    return grammar.odd_word(words, rng) if rng.random() < 0.65 else rng.choice(words["nouns"])


def _thing(product: str, words: dict, rng: random.Random) -> tuple[str, tuple]:
    """How a thing is named in a message, and (product, count, colour)."""
    before, coloured = rng.random() < 0.5, rng.random() < 0.25
    draw = _colour if before else _look
    colour = draw(words, rng) if coloured else None
    count, written = (1, "") if rng.random() < 0.4 else _count(rng)
    named = _many(product, count)
    if colour:
        said = _slip(draw(words, rng), colour, rng)
        after = f"{named} in {said}" if rng.random() < 0.84 else f"{named} ({said})"
        named = f"{said} {named}" if before else after
    if count == 1:
        article = rng.choice(["the", "a", "my", "one", "a", "the", "a", "one", "my new", "an old"])
        other = f"{article} {_product(words, rng)}"
        return grammar.right_article(_slip(other, f"{article} {named}", rng)), (product, 1, colour)
    if count == 2 and rng.random() < 0.3:
        return f"both {rng.choice(['my', 'the', 'our'])} {named}", (product, 2, colour)
    if rng.random() < 0.06:
        return f"{written} of the {count + rng.randint(1, 9)} {named}", (product, count, colour)
    return _slip(_count(rng)[1], f"{written} {named}", rng), (product, count, colour)


def _slip(wrong: str, right: str, rng: random.Random) -> str:
    """What was meant, now and then after a slip of the tongue that is put right at once."""
    if rng.random() < 0.88:
        return right
    return f"{wrong}, {rng.choice(['no', 'no, wait', 'sorry', 'hm, no', 'I mean'])}, {right}"


def _count(rng: random.Random) -> tuple[int, str]:
    """A number above one, and how it is written."""
    if rng.random() < 0.15:
        written = rng.choice(list(MANY))
        return MANY[written], written
    count = rng.randint(2, 12)
    return count, str(count) if rng.random() < 0.3 else NUMBER_WORDS[count - 1]


def _many(product: str, count: int) -> str:
    """The product's name for that number: "bags of cement"."""
    head, of, rest = product.partition(" of ")
    return product if count == 1 else _plural(head) + of + rest


def _plural(noun: str) -> str:
    if noun.endswith("knife"):
        return noun[:-2] + "ves"
    if noun.endswith(HALVES):
        return noun[:-1] + "ves"
    # "Boots" and "scales" are many already.
    many = noun.endswith("s") and not noun.endswith(("ss", "us", "as"))
    return noun if many else grammar.with_s(noun)


def _counted(sent: str, said: str) -> str:
    """The weekday that a message sent on `sent` calls "tomorrow"."""
    return grammar.DAYS[(grammar.DAYS.index(sent) + AHEAD[said]) % 7]


def _day(sent: str, rng: random.Random) -> tuple[str, str]:
    """How a day is named in a message, and the weekday meant: the distance counts from `sent`."""
    if rng.random() < 0.45:
        said = rng.choice(list(AHEAD))
        return said, _counted(sent, said)
    day, said = rng.choice(grammar.DAYS), ""
    if rng.random() < 0.12:
        said = rng.choice([d for d in grammar.DAYS if d != day])
        said += rng.choice([", sorry, ", ", no, ", ", I mean "])
    return f"on {said}{day}", day
