"""Exercises of notebook 05."""

from __future__ import annotations

import math

from helpers.exercises import Decision, Exercise, Wrong, returned, weigh


def _temperature(answer: object) -> None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise Wrong("A number is asked for.")
    if answer == 1:
        raise Wrong("At 1 each word is drawn by its probability: the answers differ.")
    if answer < 0:
        raise Wrong("A temperature is never below zero.")
    if answer != 0:
        raise Wrong("Any temperature above the lowest still draws by chance.")


def _markers(answer: object) -> None:
    if returned(answer, "Hello\n\nHey {User}\n\nChris 🧵") is True:
        raise Wrong("The greeting must be at the very start, not somewhere.")
    if returned(answer, "Hey {User},\n\nAsk Chris about it.") is True:
        raise Wrong("There, 'Chris' stands within a line. A line must start with it.")
    if returned(answer, "Hey {User},\n\nA lamp.\n\nStay tangled,\nChris 🧵") is not True:
        raise Wrong("A mail with both marks must give True.")
    if returned(answer, "Hey Mara,\n\nA lamp.\n\nChris 🧵") is not False:
        raise Wrong("Without the placeholder `{User}` it is not the greeting: return False.")
    if returned(answer, "Hey {User},\n\nA lamp.") is not False:
        raise Wrong("Without a sign-off the result must be False.")


def _free_name(answer: object) -> None:
    if returned(answer, "mail", set()) != "mail.txt":
        raise Wrong("Where nothing is taken, the plain name is free.")
    if returned(answer, "mail", {"mail.txt"}) != "mail-2.txt":
        raise Wrong("With the plain name taken, the next one ends in -2.txt.")
    if returned(answer, "mail", {"mail.txt", "mail-2.txt", "mail-3.txt"}) != "mail-4.txt":
        raise Wrong("Go on counting until a name is free.")
    if returned(answer, "mail", {"mail.txt", "mail-3.txt"}) != "mail-2.txt":
        raise Wrong("Take the first free name: the number of taken names does not tell it.")


def _right_name(stem, taken):
    name, number = f"{stem}.txt", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.txt"
    return name


SOLUTION_NAME = """\
def ex_free_name(stem, taken):
    name, number = f"{stem}.txt", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.txt"
    return name"""


def _exposure(answer: object) -> None:
    found = returned(answer, 4, 1024)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Wrong("A number is asked for.")
    if math.isclose(found, -8):
        raise Wrong("The sign is turned: a low rank means a high exposure.")
    if math.isclose(found, math.log(256)):
        raise Wrong("You took the natural logarithm. Exposure is counted in bits.")
    if math.isclose(found, 256):
        raise Wrong("How many times likelier than chance? Now take the logarithm of that.")
    if math.isclose(found, 2):
        raise Wrong("That is the logarithm of the rank. How large is the whole space?")
    if not math.isclose(found, 8):
        raise Wrong("For rank 4 among 1,024 candidates the exposure is another one.")
    if not math.isclose(returned(answer, 1024, 1024), 0, abs_tol=1e-9):
        raise Wrong("The last of all candidates is not exposed at all: 0 bits.")


FAULTS = {
    "recitation": "the model repeats examples and seems to have learned to write",
    "false credit": "the training is praised for what was there without it",
    "fine nonsense": "letters in the right manner say what is not so",
    "disclosure": "the model tells what should have stayed private",
}
TEST_PLAN = {
    "cases": Decision(
        "held-out cases",
        "recitation",
        {
            "training cases": "The model may know these by heart: you would test its memory, not "
            "its skill.",
            "three favourites": "Three letters prove nothing, least of all three that somebody "
            "picked.",
        },
    ),
    "rival": Decision(
        "base model with a prompt",
        "false credit",
        {
            "none": "A share on its own says nothing: what did the model do before it was tuned?",
            "another tuned model": "That tells you which training was better, and not whether one "
            "was needed.",
        },
    ),
    "measure": Decision(
        "marks and facts",
        "fine nonsense",
        {
            "marks of style": "A letter can carry every mark of the style and name a wrong sum.",
            "taste of one reader": "One reader's taste changes from day to day and cannot be "
            "counted again after the next training.",
        },
    ),
    "secrets": Decision(
        "replace before training",
        "disclosure",
        {
            "forbid in the prompt": "An instruction takes nothing out of the weights, and whoever "
            "writes another prompt does not even have that.",
            "ask once": "A secret that was not told to one question may be told to the next.",
        },
    ),
}
RIGHT_TEST_PLAN = {name: (each.fits, each.prevents) for name, each in TEST_PLAN.items()}


def _test_plan(answer: object) -> None:
    weigh(answer, TEST_PLAN, FAULTS)


EXERCISES = [
    Exercise(
        "05.1",
        "Without a seed: which temperature leaves nothing to chance?",
        _temperature,
        ("A low temperature prefers the likely words.",
         "At the lowest value the likeliest token is always taken."),
        "ex_temperature = 0",
        "At temperature 0 the likeliest token is taken at each step: greedy decoding. Hosted "
        "services do not promise the same answer at every call even then.",
        right=(0, 0.0),
        wrongs=((1, "drawn"), (0.1, "chance"), (-1, "below zero"), ("low", "number")),
    ),
    Exercise(
        "05.2",
        "Does a mail carry Chris's greeting and sign-off?",
        _markers,
        ("`startswith` for the first mark, `splitlines` for the second.",
         "`any(...)` over the lines, and `and` between the two conditions."),
        "def ex_markers(mail):\n"
        '    signed = any(line.startswith("Chris") for line in mail.splitlines())\n'
        '    return mail.startswith("Hey {User}") and signed',
        "Marks that can be counted turn a taste for style into a measurement.",
        right=(lambda mail: mail.startswith("Hey {User}") and any(
            line.startswith("Chris") for line in mail.splitlines()),),
        wrongs=(
            (lambda mail: "Hey {User}" in mail and "\nChris" in mail, "very start"),
            (lambda mail: mail.startswith("Hey {User}") and "Chris" in mail, "within a line"),
            (lambda mail: mail.startswith("Hey") and "\nChris" in mail, "placeholder"),
            (lambda mail: mail.startswith("Hey {User}") and "Ask" not in mail, "sign-off"),
            (lambda mail: False, "both marks"),
            (lambda mail: None, "return"),
        ),
    ),
    Exercise(
        "05.3",
        "The first free file name.",
        _free_name,
        ("Try the plain name first, then count up from 2.",
         "A `while` loop that goes on as long as the name is in `taken`."),
        SOLUTION_NAME,
        "Looking for a free name is only the naming: between the look and the writing, another "
        'program may take it. Mode "x" of `open` makes sure that it is still free.',
        right=(_right_name,),
        wrongs=(
            (lambda stem, taken: f"{stem}-1.txt", "plain name"),
            (lambda stem, taken: f"{stem}.txt", "-2.txt"),
            (lambda stem, taken: f"{stem}-2.txt" if taken else f"{stem}.txt", "counting"),
            (lambda stem, taken: f"{stem}-{len(taken) + 1}.txt" if taken else f"{stem}.txt",
             "first free"),
            (lambda stem: stem, "stopped"),
        ),
    ),
    Exercise(
        "05.4",
        "How exposed is a secret?",
        _exposure,
        ("Each halving of the candidates is one bit.",
         "log2 of the number of candidates, less log2 of the rank."),
        "import math\n\n"
        "def ex_exposure(rank, candidates):\n"
        "    return math.log2(candidates) - math.log2(rank)",
        "Exposure (Carlini et al. 2019) says how many bits of guessing the model saves a thief.",
        right=(lambda rank, n: math.log2(n) - math.log2(rank), lambda rank, n: math.log2(n / rank)),
        wrongs=(
            (lambda rank, n: math.log2(rank / n), "turned"),
            (lambda rank, n: math.log(n / rank), "natural"),
            (lambda rank, n: n / rank, "logarithm"),
            (lambda rank, n: math.log2(rank), "whole space"),
            (lambda rank, n: math.log2(n - rank), "another one"),
            (lambda rank, n: 8, "last of all"),
            (lambda rank, n: "8", "number"),
            (3, "def"),
        ),
    ),
    Exercise(
        "05.5",
        "A test before customers see it: four decisions, each with its reason.",
        _test_plan,
        ("Each decision was taken in this notebook. How, and why?",
         "Each fault belongs to one decision. Which of them would you not notice while you read "
         "a good letter?"),
        "ex_test_plan = {\n"
        '    "cases": ("held-out cases", "recitation"),\n'
        '    "rival": ("base model with a prompt", "false credit"),\n'
        '    "measure": ("marks and facts", "fine nonsense"),\n'
        '    "secrets": ("replace before training", "disclosure"),\n'
        "}",
        "A test is worth what it could have found: new cases, a rival, facts beside the manner. "
        "No test makes private data safe, so that decision comes before the training.",
        right=(RIGHT_TEST_PLAN,
               {name: [one.fits.upper(), one.prevents] for name, one in TEST_PLAN.items()}),
        wrongs=(
            ({**RIGHT_TEST_PLAN, "cases": ("training cases", "recitation")}, "its memory"),
            ({**RIGHT_TEST_PLAN, "cases": ("three favourites", "recitation")}, "prove nothing"),
            ({**RIGHT_TEST_PLAN, "rival": ("none", "false credit")}, "before it was tuned"),
            ({**RIGHT_TEST_PLAN, "rival": ("another tuned model", "false credit")}, "was needed"),
            ({**RIGHT_TEST_PLAN, "measure": ("marks of style", "fine nonsense")}, "wrong sum"),
            ({**RIGHT_TEST_PLAN, "measure": ("taste of one reader", "fine nonsense")}, "counted"),
            ({**RIGHT_TEST_PLAN, "secrets": ("forbid in the prompt", "disclosure")}, "weights"),
            ({**RIGHT_TEST_PLAN, "secrets": ("ask once", "disclosure")}, "the next"),
            ({**RIGHT_TEST_PLAN, "rival": ("base model with a prompt", "disclosure")},
             "another reason"),
            ({**RIGHT_TEST_PLAN, "rival": ("base model with a prompt", "luck")}, "none of"),
            ({**RIGHT_TEST_PLAN, "rival": ("gpt", "false credit")}, "none of"),
            ({**RIGHT_TEST_PLAN, "secrets": "ask once"}, "a pair"),
            ({"cases": ("held-out cases", "recitation")}, "rival, measure, secrets"),
            (3, "dictionary"),
        ),
    ),
]  # fmt: skip
