"""The shipped data sets: complete, free of duplicates, and with gold that can be right."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from helpers import config, dataset, evaluation


def read(name: str) -> list[dict]:
    return dataset.read_jsonl(config.DATA / name)


def newsletters() -> list[str]:
    return [example["messages"][2]["content"] for example in dataset.build_examples()]


def chats() -> list[str]:
    rows = read("telecom/chats.jsonl")
    return ["\n".join(turn["text"] for turn in row["turns"]) for row in rows]


# What is read for variety, by folder: the texts of that data set.
TEXTS = {
    "newsletter": newsletters,
    "faq": lambda: [f"{row['question']} {row['answer']}" for row in read("faq/faq.jsonl")],
    "telecom": chats,
    "orders": lambda: [row["message"] for row in read("orders/orders.jsonl")],
    "law": lambda: [row["text"] for row in read("law/documents.jsonl")],
    "messages": lambda: [row["text"] for row in read("messages/messages.jsonl")],
}


@pytest.fixture(scope="module")
def faq() -> list[dict]:
    return read("faq/faq.jsonl")


def test_every_folder_of_data_has_a_card():
    folders = [folder for folder in config.DATA.iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert "CC BY 4.0" in card
        assert "imits" in card


def test_there_are_120_questions_with_three_paraphrases_each(faq):
    assert len(faq) == len({entry["id"] for entry in faq}) == 120
    for entry in faq:
        wordings = [entry["question"], *entry["paraphrases"], *entry.get("oblique", [])]
        assert len(entry["paraphrases"]) == 3
        assert len({wording.lower() for wording in wordings}) == len(wordings)


def test_each_key_stands_in_its_own_answer_only(faq):
    for entry in faq:
        holders = [e["id"] for e in faq if evaluation.contains_answer(e["answer"], entry["key"])]
        assert holders == [entry["id"]]
        assert not any(evaluation.contains_answer(q, entry["key"]) for q in entry["paraphrases"])


def test_25_facts_change_and_the_new_answer_drops_the_old_key(faq):
    known = {entry["id"]: entry for entry in faq}
    changed = read("faq/changed_facts.jsonl")
    assert len(changed) == len({row["id"] for row in changed}) == 25
    for row in changed:
        assert row["old_key"] == known[row["id"]]["key"]
        assert evaluation.contains_answer(row["answer"], row["key"])
        assert not evaluation.contains_answer(row["answer"], row["old_key"])


@pytest.mark.parametrize("name", TEXTS)
def test_the_variety_of_a_data_set_is_what_the_overview_says(name):
    measured = evaluation.variety(TEXTS[name]())
    assert measured.near_duplicates < 0.01
    overview = (config.DATA / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| \[{name}\].*$", overview, re.MULTILINE)[0]
    said = [cell.strip() for cell in row.split("|")[4:-1]]
    assert said == [
        f"{measured.words:,}",
        f"{measured.type_token_ratio:.2f}",
        f"{measured.distinct_2:.2f}",
        f"{measured.near_duplicates:.1%}",
    ]


def test_no_two_newsletters_are_near_duplicates():
    texts = newsletters()
    assert len(texts) == 200
    shingles = [shingle(text) for text in texts]
    for one, other in combinations(shingles, 2):
        assert len(one & other) / len(one | other) < 0.2


def shingle(text: str, width: int = 5) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)}


def test_the_drafts_hold_little_that_their_mails_do_not_say():
    covered = [
        evaluation.coverage(example["messages"][1]["content"], example["messages"][2]["content"])
        for example in dataset.build_examples()
    ]
    assert sum(covered) / len(covered) > 0.95


def test_the_law_has_150_texts_and_120_questions_that_point_into_them():
    documents, questions = read("law/documents.jsonl"), read("law/questions.jsonl")
    known = {document["id"]: document for document in documents}
    assert len(known) == len(documents) == 150
    assert len({question["question"] for question in questions}) == len(questions) == 120
    assert {document["type"] for document in documents} == {"statute", "decision", "article"}
    for question in questions:
        grades = [*question["exact"], *question["related"], *question["traps"]]
        assert len(set(grades)) == len(grades)
        assert set(grades) <= set(known)


def test_every_trap_of_the_law_shares_a_stem_with_the_texts_that_count():
    known = {document["id"]: document for document in read("law/documents.jsonl")}

    def stems(names: list[str]) -> set[str]:
        texts = (known[name]["title"] + " " + known[name]["text"] for name in names)
        return {word[:5] for text in texts for word in evaluation.content_words(text)}

    for question in read("law/questions.jsonl"):
        assert stems(question["exact"] + question["related"]) & stems(question["traps"])


def test_no_two_legal_texts_are_near_duplicates():
    shingles = [shingle(document["text"]) for document in read("law/documents.jsonl")]
    for one, other in combinations(shingles, 2):
        assert len(one & other) / len(one | other) < 0.2


def test_there_are_400_orders_and_each_value_of_the_gold_stands_in_its_message():
    rows = read("orders/orders.jsonl")
    assert len({row["id"] for row in rows}) == len({row["message"] for row in rows}) == 400
    for row in rows:
        gold, message = row["gold"], row["message"]
        said = [*gold["customer"].values(), gold["when"]["time"]]
        assert all(value in message for value in said if value)
        for item in gold["items"]:
            assert item["quantity"] >= 1
            assert all(word[:3] in message.lower() for word in item["product"].lower().split())
            assert (item["colour"] or "") in message.lower()


def test_the_day_of_an_order_follows_from_the_day_it_was_sent():
    week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    later = {"today": 0, "tomorrow": 1, "the day after tomorrow": 2}
    for row in read("orders/orders.jsonl"):
        text, day = row["message"].lower(), row["gold"]["when"]["day"]
        sent = week.index(row["sent"])
        possible = {week[(sent + days) % 7] for word, days in later.items() if word in text}
        assert day is None or day in possible or day.lower() in text, row["id"]


def test_there_are_300_support_chats_of_three_kinds():
    rows = read("telecom/chats.jsonl")
    assert len({row["id"] for row in rows}) == len({row["topic"] for row in rows}) == len(rows)
    assert len(rows) >= 300
    for kind in ("billing", "troubleshooting", "product"):
        assert sum(row["category"] == kind for row in rows) >= 95
    for row in rows:
        roles = [turn["role"] for turn in row["turns"]]
        assert len(roles) >= 4
        assert roles == (["customer", "agent"] * len(roles))[: len(roles)], row["id"]


def test_every_number_and_address_in_a_chat_is_on_its_list_of_personal_data():
    pattern = re.compile(r"[\w.+-]+@[\w-]+\.\w+|555-01\d\d|01632 ?960 ?\d{3}|ORR-\d{5}-\d\d")
    planted = 0
    for row, text in zip(read("telecom/chats.jsonl"), chats(), strict=True):
        listed = [item["text"] for item in row["personal_data"]]
        planted += len(listed)
        assert all(item in text for item in listed), row["id"]
        for found in pattern.findall(text):
            assert any(found in item for item in listed), (row["id"], found)
    assert planted > 500
