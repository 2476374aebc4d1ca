"""The architecture with a pointer head: one distribution, the same however it is computed."""

from __future__ import annotations

import pytest
import torch
from tiny import make_model, make_tokenizer
from transformers import DynamicCache

from helpers.local_platform import pretrain, training


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    made = make_model("copy_llama", len(tokenizer)).eval()
    made.read_vocabulary(tokenizer)
    # Zero in a new model: nothing would be tested.
    for fresh in (made.follow, made.leave, made.gate_seen):
        torch.nn.init.normal_(fresh, std=0.5)
    return made


def turns_of(tokenizer, *turns) -> torch.Tensor:
    """The ids of some turns, the token that ends one between any two: (1, tokens)."""
    said = [tokenizer(turn)["input_ids"] for turn in turns]
    ends = [[], *[[tokenizer.eos_token_id]] * (len(said) - 1)]
    return torch.tensor([[i for end, ids in zip(ends, said, strict=True) for i in end + ids]])


@pytest.fixture(scope="module")
def ids(tokenizer):
    said = "Tea is hot. The robot, the shed!\nWhat does the robot do? It does what it did."
    return turns_of(tokenizer, said, "The robot, the shed! The robot")


@torch.inference_mode()
def test_logits_are_the_logarithm_of_one_distribution(model, ids):
    sums = model(input_ids=ids).logits.exp().sum(dim=-1)
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


@torch.inference_mode()
def test_a_token_at_a_time_gives_what_the_whole_text_gives(model, ids):
    whole = model(input_ids=ids).logits
    cache = DynamicCache(config=model.config)
    parts = [
        model(input_ids=ids[:, i : i + 1], past_key_values=cache, use_cache=True).logits
        for i in range(ids.shape[1])
    ]
    assert torch.allclose(whole, torch.cat(parts, dim=1), atol=1e-4)


@torch.inference_mode()
def test_padding_on_the_left_changes_nothing(model, ids):
    pad = torch.full((1, 5), model.config.pad_token_id)
    mask = torch.cat([torch.zeros_like(pad), torch.ones_like(ids)], dim=1)
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    padded = model(
        input_ids=torch.cat([pad, ids], dim=1), attention_mask=mask, position_ids=places
    ).logits
    assert torch.allclose(padded[:, 5:], model(input_ids=ids).logits, atol=1e-4)


@torch.inference_mode()
def test_the_loss_of_pre_training_is_the_cross_entropy_of_the_logits(model, ids):
    read, targets = ids[:, :-1], ids[:, 1:]
    quick = model(input_ids=read, targets=targets).loss
    logits = model(input_ids=read).logits
    slow = torch.nn.functional.cross_entropy(logits[0], targets[0], reduction="none")
    assert torch.allclose(quick[0], slow, atol=1e-4)


@torch.inference_mode()
def test_the_loss_of_the_look_is_what_it_leaves_of_the_sentence_that_was_copied(model, ids):
    read, targets = ids[:, :-1], ids[:, 1:]
    plain = model(input_ids=read, targets=targets).loss[0]
    origins = torch.full_like(targets, -1)
    assert torch.equal(model(input_ids=read, targets=targets, origins=origins).loss[0], plain)
    origins[0, -1] = 0  # the last token, as if copied from the first sentence
    taught = model(input_ids=read, targets=targets, origins=origins).loss[0]
    assert torch.equal(taught[:-1], plain[:-1])
    assert taught[-1] > plain[-1]
    origins[0, -1] = -1
    origins[0, 0] = 0  # only one token is read there: the look cannot be wrong
    taught = model(input_ids=read, targets=targets, origins=origins).loss[0]
    assert torch.allclose(taught, plain, atol=1e-3)


def test_a_sentence_gets_the_next_number_after_an_end_stop_or_a_new_line(model, tokenizer):
    text = "Tea is hot. The robot, the shed!\nWhat does the robot do? It does what it did."
    _, notes = model._note(turns_of(tokenizer, text), None)
    said = {}
    for token, number in notes[0, :, :2].tolist():
        said[number] = said.get(number, "") + tokenizer.decode([token])
    assert list(said.values()) == [
        "Tea is hot.",
        " The robot, the shed!",
        "\nWhat does the robot do?",
        " It does what it did.",
    ]


def test_a_word_is_known_with_another_space_and_another_capital(model, tokenizer):
    (token,) = tokenizer(" the")["input_ids"]
    forms = model.forms[:, token].tolist()
    for form, text in zip(forms, (" the", "the", " the", "The", " The"), strict=True):
        pieces = tokenizer(text)["input_ids"]
        assert form == (pieces[0] if len(pieces) == 1 else token)
    assert (model.forms[1:] != torch.arange(len(tokenizer))).any()  # some words do have others
    (mark,) = tokenizer("!")["input_ids"]
    assert set(model.forms[1:, mark].tolist()) == {mark}  # never padding: that would end the text


def test_it_learns_to_copy_what_it_has_never_seen(tokenizer):
    """Random strings, each once and again: only a pointer can know the second half."""
    torch.manual_seed(0)
    model = make_model("copy_llama", len(tokenizer), seed=1)
    model.read_vocabulary(tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def loss() -> torch.Tensor:
        half = torch.randint(3, len(tokenizer), (16, 12))
        both = torch.cat([half, half], dim=1)
        weights = torch.cat([half * 0, half * 0 + 1.0], dim=1)
        return pretrain.loss_of(model, both, weights, torch.full_like(both, -1)) / 192

    before = loss().item()
    for _ in range(150):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < before / 2


def test_a_word_has_one_stem_however_it_is_cut(model, tokenizer):
    def stems(text):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        _, notes = model._note(ids, None)
        return {n[2] for n in notes[0].tolist()}, notes[0, -1, 2].item(), ids.shape[1]

    _, capital, pieces = stems("Robots")
    _, small, others = stems(" robots")
    _, one, _ = stems("robot")
    assert capital == small == one
    assert pieces > 1 or others > 1
    assert stems("robin")[1] != one


def read(model, tokenizer, ids):
    """The tokens' words, and the turn that each is of."""
    words = [tokenizer.decode([token]).strip().lower() for token in ids[0].tolist()]
    return words, (ids == model.config.eos_token_id).cumsum(dim=1)


def test_it_is_told_what_followed_the_same_token_and_whether_a_word_goes_on(model, tokenizer):
    ids = turns_of(tokenizer, "Qazzix, the robot.", "Then qaz qaz")
    plain, turns = read(model, tokenizer, ids)
    now = turns[0].tolist().index(1)
    follows = [n for n in range(1, now) if plain[n - 1] == plain[-1]]
    follow_both = [n for n in follows if n > 1 and plain[n - 2] == plain[-2]]
    assert follow_both, "the word is cut into pieces, and the first two come again"

    (once, twice), goes_on = model._matches(ids, turns, tokens=1)
    assert once[0, 0].nonzero().flatten().tolist() == follows
    assert twice[0, 0].nonzero().flatten().tolist() == follow_both
    assert goes_on[0, 0].nonzero().flatten().tolist() == [n for n in follows if plain[n].isalpha()]


@pytest.mark.parametrize("written", ["The robot", "A robot the robot, so the robot", "Shed the"])
def test_it_is_told_what_stands_in_its_turn_already(model, tokenizer, written):
    ids = turns_of(tokenizer, "The robot. The shed, the robot!", written)
    plain, turns = read(model, tokenizer, ids)
    now = turns[0].tolist().index(1)
    for tokens in (1, ids.shape[1]):
        second, first = (rows[0, -1] for rows in model._covered(ids, turns, tokens))
        pairs = set(zip(plain[now:], plain[now + 1 :], strict=False))
        held = [n for n in range(1, now) if (plain[n - 1], plain[n]) in pairs]
        assert second.nonzero().flatten().tolist() == held
        assert first.nonzero().flatten().tolist() == [n - 1 for n in held]
    earlier, _ = model._covered(ids, turns, ids.shape[1])
    assert not earlier[0, now].any()  # nothing is written yet where the turn begins


def test_an_adapter_leaves_the_finishing_of_words_as_it_is(model):
    added = {"follow", "leave", "gate_seen"}
    assert not added & set(training.linear_layers(model))
    new = make_model("copy_llama", model.config.vocab_size)
    assert not any(getattr(new, name).any() for name in added)
