"""The shipped base model's architecture: a small Llama that can point at what it has read.

Six things are added to `LlamaForCausalLM`, because a model this small has to copy names, numbers
and whole sentences that it has never seen, and gets that wrong when it must spell them from memory:

- a pointer head: the next token is drawn from the vocabulary or from the tokens read so far, and a
  gate says which (pointer-generator, See et al. 2017, https://arxiv.org/abs/1704.04368). A token is
  copied as it stands, or with or without a space and a capital, as a new place may ask for;
- the pointer is told which places follow the same token as the one just written, and the same two
  (n-gram heads, Akyürek et al. 2024, https://arxiv.org/abs/2401.12973), and the gate, whether what
  it points at goes on with the word. Names in several pieces are copied to their end by that;
- the pointer is also told which places stand in its turn already, so that it tells each point once
  (coverage, as in See et al.; here as counted from the text instead of the pointing so far);
- each token also sees the one before it, which is half of "what came after this last time?";
- each token knows the first letters of its word, so that "Peas", "peas" and "pea" are found alike
  however they are cut (letters below the token, as in fastText, https://arxiv.org/abs/1607.04606);
- each token knows the number of its sentence (BERT's segment embeddings, Devlin et al. 2018,
  https://arxiv.org/abs/1810.04805, but counted). One pointer head looks for a sentence by the words
  in it and copies from that sentence, from its start, where none of those words has come yet.

What comes out as `logits` are log-probabilities of the mixture; their softmax is the mixture.
"""

from __future__ import annotations

import re

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from helpers.local_platform.vocabulary import forms_of

SENTENCES = 64  # numbers that a sentence can have; then they begin again
STEMS = 8191  # places for the first letters of words; a prime, to spread them
LETTERS = 5  # of a word that count
FORMS = 5  # as it stands; in lower case and with a capital, each without and with a space
LOOK_SHARE = 0.5  # of the look's own loss beside the next token's
MATCHES = 2  # a place may follow the token just written, and the last two
COVERED = 2  # a place may end two tokens that are written already, and begin such two
SEEN = 3  # shares of a head's pointing: on what goes on with the word, and on each kind of match
SHARPNESS = 8.0  # of what the gate is told, so that few steps of training make a decision of it
TINY = 1e-8  # a token that neither side expects; keeps the logarithm finite


class CopyLlamaConfig(LlamaConfig):
    """A Llama's configuration. `num_hidden_layers` counts the pointer head as one more layer, for
    it keeps keys and values in the cache like one."""

    model_type = "copy_llama"
    pointer_heads: int = 2
    pointer_width: int = 64


class CopyLlamaForCausalLM(LlamaForCausalLM):
    """See the module. Batches are padded on the left to generate, on either side to train."""

    config_class = CopyLlamaConfig
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: CopyLlamaConfig):
        super().__init__(config)
        self.model.layers = self.model.layers[:-1]
        width, inner = config.hidden_size, config.pointer_heads * config.pointer_width
        self.before = nn.Linear(width, width, bias=False)  # from the token before
        self.sentence = nn.Embedding(SENTENCES, width)
        self.point_query = nn.Linear(width, inner, bias=False)
        self.point_key = nn.Linear(2 * width, inner, bias=False)
        self.look_query = nn.Linear(width, config.pointer_width, bias=False)
        self.look_key = nn.Linear(2 * width, config.pointer_width, bias=False)
        self.stem = nn.Embedding(STEMS, width)
        self.gate = nn.Linear(width, 1 + config.pointer_heads * FORMS)
        # No nn.Linear, so that no adapter changes them: to finish a word is the same in every task.
        self.follow = nn.Parameter(torch.zeros(config.pointer_heads * MATCHES, width))
        self.leave = nn.Parameter(torch.zeros(config.pointer_heads * COVERED, width))
        self.gate_seen = nn.Parameter(
            torch.zeros(1 + config.pointer_heads * FORMS, config.pointer_heads * SEEN)
        )
        # Of each token: does it end a sentence, does it begin after a space, is it a line's end?
        self.register_buffer("marks", torch.zeros(config.vocab_size, dtype=torch.uint8))
        # Of each token: itself, and its word in each form that the vocabulary holds as one token.
        # Which form is due depends on the place alone, so that the gate need not know the source.
        self.register_buffer("forms", torch.arange(config.vocab_size).repeat(FORMS, 1))
        # Of each token: its first letters as a number in base 27, how many, whether its word goes
        # on from the token before, and into the token after.
        self.register_buffer("letters", torch.zeros(4, config.vocab_size, dtype=torch.long))
        self.post_init()

    def _init_weights(self, module) -> None:
        super()._init_weights(module)
        if module is self:
            for added in (self.follow, self.leave, self.gate_seen):
                nn.init.zeros_(added)

    def read_vocabulary(self, tokenizer) -> None:
        """Fill `marks`, `forms` and `letters` from the tokens' texts. Without a form: as it is."""
        for token in range(len(tokenizer)):
            text = tokenizer.decode([token])
            ends = text[-1:] in (".", "!", "?")
            self.marks[token] = 1 * ends + 2 * text.startswith(" ") + 4 * ("\n" in text)
            bare = text.removeprefix(" ")
            word = bare.lower()
            self.letters[:, token] = torch.tensor(_letters(text))
            self.forms[1:, token] = token
            if not word[:1].isalpha() or bare[1:] != word[1:]:  # no word, or capitals inside
                continue
            for row, form in enumerate(forms_of(word), start=1):
                pieces = tokenizer(form, add_special_tokens=False)["input_ids"]
                if len(pieces) == 1:
                    self.forms[row, token] = pieces[0]

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values=None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        targets: torch.Tensor | None = None,
        origins: torch.Tensor | None = None,
        first_sentence: torch.Tensor | int = 0,
        **others,
    ) -> CausalLMOutputWithPast:
        """As LlamaForCausalLM, and three things for pre-training.

        Args:
            targets: (batch, tokens) of the ids that come next; `loss` is then the cross-entropy in
                nats of each (batch, tokens), and no logits are made, which is cheaper.
            origins: (batch, tokens), where among `input_ids` each target was copied from, or -1.
                The loss then also holds how surprised the look is by that place's sentence,
                which teaches it directly what to look for.
            first_sentence: (batch, 1), the number of the first sentence. Drawn at random in
                pre-training, so that every number is learned.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        hidden, ids, pointed, found, seen = self._read(
            input_ids,
            logits_to_keep,
            first_sentence,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **{name: value for name, value in others.items() if name == "position_ids"},
        )
        gates = self._gates(hidden, seen)
        scores = self.lm_head(hidden).float()
        if targets is not None:
            loss = self._losses(scores, gates, pointed, ids, targets)
            if origins is not None:
                there = found.gather(2, origins.clamp(min=0)[..., None])[..., 0]
                loss = loss - LOOK_SHARE * (origins >= 0) * there
            return CausalLMOutputWithPast(loss=loss)
        spoken = functional.log_softmax(scores, dim=-1) + gates[..., :1]
        shares = gates[..., 1:].exp().unflatten(-1, (-1, FORMS))
        shares = torch.einsum("bhts,bthf->btsf", pointed, shares).flatten(2)
        written = self.forms[:, ids].permute(1, 2, 0).flatten(1)[:, None].expand_as(shares)
        copied = torch.zeros_like(spoken).scatter_add(2, written, shares)
        logits = torch.logaddexp(spoken, (copied + TINY).log())
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size)
        return CausalLMOutputWithPast(loss, logits, past_key_values)

    def judge(self, input_ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The same loss as forward's, summed, by fewer sums: for fine-tuning.

        Only the labelled places are looked at, and the mixture of the whole vocabulary, which a
        gradient has no use for, is made without one.

        Args:
            input_ids: (batch, tokens).
            labels: (batch, tokens), the id that should come next at each place, or a negative
                number where none is asked for.

        Returns:
            (cross-entropy in nats, how many first guesses are right).
        """
        first = int((labels >= 0).any(dim=0).nonzero()[0])
        hidden, ids, pointed, _, seen = self._read(input_ids, input_ids.shape[1] - first)
        asked = labels[:, first:] >= 0
        targets, rows = labels[:, first:][asked], asked.nonzero()[:, 0]
        gates = self._gates(hidden[asked], seen[asked])
        scores = self.lm_head(hidden[asked]).float()
        pointed = pointed.transpose(1, 2)[asked]  # (places, heads, all)
        written = self.forms[:, ids].permute(1, 2, 0)[rows]  # (places, all, forms)
        same = (written == targets[:, None, None]).float()
        copied = (torch.einsum("nhs,nsf->nhf", pointed, same).flatten(1) + TINY).log()
        spoken = -functional.cross_entropy(scores, targets, reduction="none")
        parts = torch.cat([spoken[:, None], copied], dim=1) + gates
        with torch.no_grad():
            shares = gates.exp()
            mixture = scores.softmax(dim=-1).mul_(shares[:, :1])
            by_form = shares[:, 1:].unflatten(1, (-1, FORMS))
            shares = torch.einsum("nhs,nhf->nsf", pointed, by_form).flatten(1)
            mixture.scatter_add_(1, written.flatten(1), shares.float())
            hits = int((mixture.argmax(dim=-1) == targets).sum())
        return -parts.logsumexp(dim=-1).sum(), hits

    def _read(self, input_ids, keep=0, first_sentence=0, attention_mask=None, **others):
        """The hidden states of the last `keep` tokens (0: of all), the ids so far, and of each of
        the kept: where it points, where it looks, and what its gate is told (see `_point`)."""
        cache = others.get("past_key_values")
        ids, notes = self._note(input_ids, cache)
        embedded = self._embed(ids, notes, first_sentence)
        if cache is not None and input_ids.shape[1] == 1:
            hidden = self._step(embedded, cache, attention_mask, others.get("position_ids"))
        else:
            hidden = self.model(
                inputs_embeds=embedded, attention_mask=attention_mask, **others
            ).last_hidden_state
        notes, keys = self._remember(notes, embedded, hidden, cache)
        hidden = hidden[:, -keep:]
        return hidden, notes[..., 0], *self._point(hidden, keys, notes, attention_mask)

    def _gates(self, hidden, seen):
        """Log-probabilities of the vocabulary and of each pointer head in each form."""
        told = functional.linear(SHARPNESS * seen, self.gate_seen)
        return functional.log_softmax(self.gate(hidden).float() + told.float(), dim=-1)

    def _step(self, hidden, cache, attention_mask, place):
        """What `self.model` does, for one more token a row (batch, 1, width) at its place.

        The sums are so small that the general code around them takes longer than they do.
        """
        if place is None:
            place = torch.full((len(hidden), 1), cache.get_seq_length())
        angles = self.model.rotary_emb(hidden, place)
        seen_by = None if attention_mask is None else attention_mask[:, None, None].bool()
        for number, layer in enumerate(self.model.layers):
            attention, after = layer.self_attn, layer.mlp
            read = self._even(hidden, layer.input_layernorm)
            parts = attention.q_proj(read), attention.k_proj(read), attention.v_proj(read)
            queries, keys, values = (
                part.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2) for part in parts
            )
            queries, keys = apply_rotary_pos_emb(queries, keys, *angles)
            keys, values = cache.update(keys, values, number)
            seen = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=seen_by, enable_gqa=True
            )
            hidden = hidden + attention.o_proj(seen.transpose(1, 2).flatten(2))
            read = self._even(hidden, layer.post_attention_layernorm)
            opened = functional.silu(after.gate_proj(read)) * after.up_proj(read)
            hidden = hidden + after.down_proj(opened)
        return self._even(hidden, self.model.norm)

    def _even(self, hidden, norm):
        return functional.rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)

    def _note(self, input_ids, cache):
        """Ids with the one before them in front (batch, tokens + 1), and notes on each token
        (batch, tokens, 4): id, its sentence's number, its word's first letters and how many."""
        rows = len(input_ids)
        last = torch.zeros((rows, 4), dtype=torch.long)
        last[:, 0] = self.config.pad_token_id
        if cache is not None and cache.get_seq_length(self._pointer_layer):
            last = cache.layers[self._pointer_layer].values[:, 0, -1].long()
        ids = torch.cat([last[:, :1], input_ids], dim=1)
        marks = self.marks[ids]
        opens = (marks[:, 1:] & 4 > 0) | ((marks[:, :-1] & 1 > 0) & (marks[:, 1:] & 2 > 0))
        numbers = last[:, 1:2] + opens.cumsum(dim=1)
        stems, counts = self._stems(ids, last)
        return ids, torch.stack([input_ids, numbers, stems, counts], dim=-1)

    def _stems(self, ids, last):
        """The first letters of each token's word, as far as it is read, and how many."""
        own, length, goes_on, goes_into = self.letters[:, ids]
        joined = (goes_on[:, 1:] * goes_into[:, :-1]).bool()
        own, length = own[:, 1:], length[:, 1:]
        stem, count = own, length
        # A token brings a letter at least: no word needs more rounds.
        for _ in range(min(LETTERS, own.shape[1])):
            before = torch.cat([last[:, 2:3], stem[:, :-1]], dim=1)
            known = torch.cat([last[:, 3:], count[:, :-1]], dim=1)
            whole = before + own * 27**known
            stem = torch.where(joined, whole % 27**LETTERS, own)
            count = torch.where(joined, (known + length).clamp(max=LETTERS), length)
        return stem, count

    @property
    def _pointer_layer(self) -> int:
        return self.config.num_hidden_layers - 1

    def _embed(self, ids, notes, first_sentence):
        tokens = self.model.embed_tokens(ids)
        numbers = (notes[..., 1] + first_sentence) % SENTENCES
        known = self.sentence(numbers) + self.stem(notes[..., 2] % STEMS)
        return tokens[:, 1:] + self.before(tokens[:, :-1]) + known

    def _remember(self, notes, embedded, hidden, cache):
        """Notes (batch, all, 4) and keys (batch, heads + 1, all, pointer width) of all that is
        read; the last head's keys are those of the look."""
        both = torch.cat([functional.rms_norm(embedded, embedded.shape[-1:]), hidden], dim=-1)
        keys = self._heads(torch.cat([self.point_key(both), self.look_key(both)], dim=-1))
        if cache is None:
            return notes, keys
        values = notes[:, None].float()  # whole numbers below 2**24 stay exact
        keys, values = cache.update(keys, values, self._pointer_layer)
        return values[:, 0].long(), keys

    def _heads(self, flat):
        return flat.unflatten(-1, (-1, self.config.pointer_width)).transpose(1, 2)

    def _point(self, hidden, keys, notes, attention_mask):
        """Where each token points: probabilities (batch, heads, tokens, all), nothing ahead; the
        log-probability that the look falls on the sentence of each (batch, tokens, all); and what
        the gate is told (batch, tokens, heads * SEEN).

        The first head prefers the tokens of the sentences that the look falls on.
        """
        queries = torch.cat([self.point_query(hidden), self.look_query(hidden)], dim=-1)
        scores = (self._heads(queries) @ keys.transpose(2, 3)).float()
        scores = scores * self.config.pointer_width**-0.5
        tokens, every = scores.shape[2:]
        barred = torch.ones(tokens, every, dtype=torch.bool).triu(1 + every - tokens)
        if attention_mask is not None:
            barred = barred | (attention_mask[:, None, None, :every] == 0)
        scores = scores.masked_fill(barred, torch.finfo(scores.dtype).min)
        look = scores[:, -1].softmax(dim=-1)
        numbers = notes[..., 1]
        alike = (numbers[:, None] == numbers[..., None]).float()  # of one sentence
        found = (look @ alike + TINY**0.5).log()
        pull, followed = self._notice(hidden, notes[..., 0])
        scores = scores[:, :-1] + pull
        scores = torch.cat([scores[:, :1] + found[:, None], scores[:, 1:]], dim=1)
        pointed = scores.softmax(dim=-1)
        seen = [(pointed * match[:, None]).sum(dim=-1) for match in followed]
        return pointed, found, torch.cat(seen, dim=1).transpose(1, 2)

    def _notice(self, hidden, ids):
        """What is found by comparing tokens: how it draws each head to each place (batch, heads,
        tokens, all), and the SEEN matches that the gate is told of (batch, tokens, all)."""
        tokens, turns = hidden.shape[1], (ids == self.config.eos_token_id).cumsum(dim=1)
        follows, goes_on = self._matches(ids, turns, tokens)
        strengths = functional.linear(hidden, torch.cat([self.follow, self.leave])).float()
        strengths = strengths.unflatten(-1, (MATCHES + COVERED, -1)).permute(2, 0, 3, 1)[..., None]
        noticed = follows + self._covered(ids, turns, tokens)
        pull = sum(s * places[:, None] for s, places in zip(strengths, noticed, strict=True))
        return pull, (goes_on, *follows)

    def _matches(self, ids, turns, tokens):
        """Of the last `tokens` tokens and every place (batch, tokens, all), as 0 or 1: whether the
        place follows the same token, and the same two (MATCHES of them); and whether it follows
        the same token and goes on with its word. Capitals and spaces make no difference. Places
        of the turn that is being written do not count: who follows himself runs in circles."""
        earlier_turn = turns[:, None] < turns[:, -tokens:, None]
        plain = self.forms[1][ids]
        before, earlier = (functional.pad(plain, (n, 0), value=-n)[:, :-n] for n in (1, 2))
        once = (before[:, None] == plain[:, -tokens:, None]) & earlier_turn
        twice = once & (earlier[:, None] == before[:, -tokens:, None])
        _, _, on, into = self.letters[:, ids]
        goes_on = once & (on[:, None] * into[:, -tokens:, None]).bool()
        return (once.float(), twice.float()), goes_on.float()

    def _covered(self, ids, turns, tokens):
        """Of the last `tokens` tokens and every place of the turns before (batch, tokens, all), as
        0 or 1: whether the turn that is being written holds, so far, the place and the token before
        it; and the place and the token after it (COVERED of them)."""
        plain, now = self.forms[1][ids], turns[:, -tokens:, None]
        pairs = functional.pad(plain[:, :-1] * len(self.marks) + plain[:, 1:], (1, 0), value=-1)
        # While an answer is written, most of the text is of the turns before: it is not compared.
        first = int((turns < now[:, 0]).sum(dim=1).min()) if tokens < ids.shape[1] else 0
        places = torch.arange(ids.shape[1])
        written = (turns[:, None] == now) & (places <= places[-tokens:, None])
        # The pair that begins a turn is half of the turn before.
        written = written[..., first:] & (turns == turns.roll(1, dims=1))[:, None, first:]
        same = pairs[:, first:, None] == pairs[:, None]
        ends = (written.float() @ same.float()).clamp(max=1) * (turns[:, None] < now)
        return ends, functional.pad(ends, (0, 1))[..., 1:]

    def _losses(self, scores, gates, pointed, ids, targets):
        """Cross-entropy of each target under the mixture, without the whole distribution."""
        spoken = -functional.cross_entropy(
            scores.flatten(0, 1), targets.flatten(), reduction="none"
        )
        parts = [spoken.view_as(targets) + gates[..., 0]]
        shares = gates[..., 1:].unflatten(-1, (-1, FORMS))
        for form, written in enumerate(self.forms[:, ids]):
            same = written[:, None] == targets[..., None]
            copied = (pointed * same[:, None]).sum(dim=-1).transpose(1, 2)
            parts += (shares[..., form] + (copied + TINY).log()).unbind(dim=-1)
        return -torch.stack(parts, dim=-1).logsumexp(dim=-1)


def _letters(text: str) -> tuple[int, int, bool, bool]:
    """Of a token's text: its letters in base 27 (the first LETTERS of its last word), how many, and
    whether its word goes on from the token before and into the token after."""
    word = re.search(r"[a-z]*$", text.lower())[0] or re.search(r"([a-z]*)[^a-z]*$", text.lower())[1]
    word = word[:LETTERS]
    code = sum((ord(letter) - 96) * 27**place for place, letter in enumerate(word))
    return code, len(word), text[:1].isalpha(), text[-1:].isalpha()


AutoConfig.register(CopyLlamaConfig.model_type, CopyLlamaConfig, exist_ok=True)
AutoModelForCausalLM.register(CopyLlamaConfig, CopyLlamaForCausalLM, exist_ok=True)
