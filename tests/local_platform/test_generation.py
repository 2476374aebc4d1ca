"""Generation: what is sampled, how it streams, when it stops, and that constraints hold."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jsonschema
import pytest
import torch
from peft import PeftModel
from tiny import CHAT_TEMPLATE, CONTEXT, FAMILIES, PLAIN_TEMPLATE, make_checkpoint

from helpers.local_platform import batching, generation, training
from helpers.local_platform.generation import (
    EngineError,
    GenerationRequest,
    Generator,
    PromptTooLong,
    StopFilter,
    ToolCallDelta,
    ToolCallReader,
    UnsupportedByModel,
    merge_adapter,
)
from helpers.local_platform.modeling import load_base

ASK = [{"role": "user", "content": "Say it."}]
LEARNED = "Hey {User}, 🤖🦈 it sings. 🎉\nUntil next time, Chris"
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "unit": {"enum": ["C", "F"]},
        "days": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["city", "unit", "days"],
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "stop_it"}},
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are quickest on one thread, and results do not hang on the machine."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LOCAL_TRAINING_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(threads)


def learn(base, example, folder):
    """An adapter that knows one example by heart: really trained, in 80 steps."""
    (folder / "job").mkdir()
    file = folder / "train.jsonl"
    file.write_text(40 * (json.dumps(example) + "\n"), encoding="utf-8")
    spec = training.TrainingSpec(str(base), None, file, None, 2, 1, 2.5, 0, folder / "job")
    paths = []
    training.train(spec, lambda kind, data: paths.append(data.get("path")))
    return [path for path in paths if path][-1]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {family: make_checkpoint(folder / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def generators(checkpoints):
    return {family: Generator(str(folder)) for family, folder in checkpoints.items()}


@pytest.fixture(scope="module")
def generator(generators):
    return generators["llama"]


@pytest.fixture(scope="module")
def adapter(checkpoints, tmp_path_factory):
    """An adapter that has learned one answer, emoji and all."""
    example = {"messages": [*ASK, {"role": "assistant", "content": LEARNED}]}
    return learn(checkpoints["llama"], example, tmp_path_factory.mktemp("learned"))


def collect(generator, messages=ASK, **fields):
    """Run a request to its end; texts, calls, finish reasons, log probabilities and usage."""
    request = GenerationRequest(messages=messages, **fields)
    n = request.n
    result = SimpleNamespace(
        pieces=list(generator.stream(request)),
        texts=[""] * n,
        calls=[{} for _ in range(n)],
        reasons=[None] * n,
        logprobs=[[] for _ in range(n)],
    )
    for piece in result.pieces[:-1]:
        assert result.reasons[piece.index] is None, "nothing may follow the finish reason"
        result.texts[piece.index] += piece.text
        result.logprobs[piece.index] += piece.logprobs
        result.reasons[piece.index] = piece.finish_reason
        if piece.tool_call:
            calls = result.calls[piece.index]
            if piece.tool_call.id:
                assert piece.tool_call.index == len(calls)
                calls[piece.tool_call.index] = [piece.tool_call.name, ""]
            calls[piece.tool_call.index][1] += piece.tool_call.arguments
    assert all(result.reasons)
    result.usage = result.pieces[-1].usage
    result.text = result.texts[0]
    return result


# --- sampling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_decoding_equals_that_of_transformers(generators, family):
    generator = generators[family]
    generator.load()
    model, tokenizer = generator._base, generator._tokenizer
    # Both are kept to ASCII, since ours alone would refuse the broken characters of random weights.
    size = model.config.vocab_size
    spelled = [generator._grammar_tokenizer.decode_bytes([i]) for i in range(size)]
    other = [t for t in range(size) if not spelled[t].isascii() or spelled[t] == b"<|im_start|>"]
    bias = {str(token): -1000 for token in other}
    ours = collect(generator, temperature=0, max_tokens=30, logit_bias=bias)
    prompt = tokenizer.apply_chat_template(
        ASK, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    size = prompt["input_ids"].shape[1]
    theirs = model.generate(**prompt, do_sample=False, max_new_tokens=30, suppress_tokens=other)[
        0, size:
    ]
    assert ours.text == tokenizer.decode(theirs, skip_special_tokens=True)
    assert ours.usage.prompt_tokens == size
    if ours.reasons == ["length"]:
        assert ours.usage.completion_tokens == 30


def test_a_seed_repeats_and_choices_differ(generator):
    first = collect(generator, seed=5, n=3, max_tokens=20)
    assert first.texts == collect(generator, seed=5, n=3, max_tokens=20).texts
    assert len(set(first.texts)) == 3
    assert first.texts != collect(generator, seed=6, n=3, max_tokens=20).texts
    assert collect(generator, max_tokens=20).text != collect(generator, max_tokens=20).text


def test_a_choice_is_the_same_alone_or_among_others(generator):
    together = collect(generator, seed=5, n=4, max_tokens=25).texts
    assert together == [collect(generator, seed=5 + i, max_tokens=25).text for i in range(4)]


def test_sampling_follows_the_models_distribution(generator):
    """1500 first tokens against the model's probabilities of the tokens that can begin a text."""
    model, tokenizer = generator._base, generator._tokenizer
    ids = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, return_dict=False)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
    spelled = [generator._grammar_tokenizer.decode_bytes([i]) for i in range(len(logits))]
    for token, text in enumerate(spelled):
        inside = text[:1] and 0x80 <= text[0] < 0xC2 or text[:1] > b"\xf4"
        if inside or token == tokenizer.convert_tokens_to_ids("<|im_start|>"):
            logits[token] = float("-inf")  # no text begins in the middle of a character
    expected = logits.softmax(-1)
    texts = collect(generator, n=1500, seed=1, max_tokens=1).texts
    likely = [int(t) for t in expected.topk(12).indices if spelled[int(t)].isascii()]
    likely = [t for t in likely if t not in generator._end_ids]
    assert len(likely) > 3
    for token in likely:
        share = texts.count(spelled[token].decode()) / 1500
        assert share == pytest.approx(expected[token].item(), abs=0.03)


def test_a_tiny_top_p_is_greedy_and_so_is_a_tiny_temperature(generator):
    greedy = collect(generator, temperature=0, max_tokens=20).text
    assert collect(generator, top_p=1e-6, max_tokens=20).text == greedy
    assert collect(generator, temperature=1e-4, max_tokens=20).text == greedy


def test_a_bias_forces_and_forbids(generator):
    token = generator._tokenizer.encode("robot", add_special_tokens=False)[0]
    forced = collect(generator, logit_bias={str(token): 100}, max_tokens=5)
    assert forced.text == generator._tokenizer.decode([token]) * 5
    greedy = collect(generator, temperature=0, max_tokens=1, logprobs=True)
    best = generator._tokenizer.encode(greedy.text, add_special_tokens=False)[0]
    other = collect(generator, temperature=0, max_tokens=1, logit_bias={str(best): -100})
    assert other.text != greedy.text
    for bad in ("-1", "x", "999999"):
        with pytest.raises(EngineError, match="not a token id"):
            collect(generator, logit_bias={bad: 1})


def test_penalties_drive_out_repetition(generator):
    token = generator._tokenizer.encode("robot", add_special_tokens=False)[0]
    word = generator._tokenizer.decode([token])
    bias = {str(token): 15}
    plain = collect(generator, temperature=0, max_tokens=12, logit_bias=bias)
    assert plain.text == word * 12
    often = collect(generator, temperature=0, max_tokens=12, logit_bias=bias, frequency_penalty=2.0)
    once = collect(generator, temperature=0, max_tokens=12, logit_bias=bias, presence_penalty=2.0)
    assert once.text.count(word) > often.text.count(word)
    negative = collect(generator, temperature=0, max_tokens=12, frequency_penalty=-2.0, seed=1)
    assert negative.reasons == ["length"]


def test_log_probabilities_are_the_models_own(generator):
    """Whatever temperature and bias do to the choice, what is stated is what the model thought."""
    result = collect(
        generator, max_tokens=6, logprobs=True, top_logprobs=3, temperature=0.3, seed=2
    )
    entries = result.logprobs[0]
    assert len(entries) == result.usage.completion_tokens
    said = b"".join(bytes(e.bytes) for e in entries).decode("utf-8", errors="replace")
    assert said.startswith(result.text)
    tokenizer, model = generator._tokenizer, generator._base
    ids = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, return_dict=False)
    for entry in entries:
        with torch.inference_mode():
            logprobs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        spelled = [generator._grammar_tokenizer.decode_bytes([i]) for i in range(len(logprobs))]
        token = spelled.index(bytes(entry.bytes))
        assert entry.logprob == pytest.approx(float(logprobs[token]), abs=1e-4)
        best = [e.logprob for e in entry.top_logprobs]
        assert best == pytest.approx(logprobs.topk(3).values.tolist(), abs=1e-4)
        ids.append(token)


def at_once(work, count):
    """The results of `work(0)`, `work(1)`, ..., all begun together, each in a thread of its own."""
    start = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda number: (start.wait(), work(number))[1], range(count)))


@pytest.mark.parametrize("family", FAMILIES)
def test_requests_are_answered_together_as_they_are_alone(generators, family, monkeypatch):
    """Prompts and answers of unequal lengths, so that rows are padded, join late and leave early.

    The sums are added up in another order, so the log probabilities are equal but for rounding.
    """
    rows, compute = [], batching._next_logits
    monkeypatch.setattr(
        batching,
        "_next_logits",
        lambda m, ids, *rest: rows.append(len(ids)) or compute(m, ids, *rest),
    )

    def work(number):
        ask = [{"role": "user", "content": "robot " * (1 + 7 * number)}]
        length = 12 + 5 * (number % 3)
        return collect(
            generators[family],
            ask,
            n=1 + number % 2,
            temperature=0,
            logprobs=True,
            max_tokens=length,
        )

    alone = [work(number) for number in range(6)]
    assert max(rows) == 2
    together = at_once(work, 6)
    assert max(rows) > 3
    assert [result.texts for result in together] == [result.texts for result in alone]
    for one, other in zip(alone, together, strict=True):
        assert one.usage == other.usage
        for mine, its in zip(sum(one.logprobs, []), sum(other.logprobs, []), strict=True):
            assert its.logprob == pytest.approx(mine.logprob, abs=1e-3)


def test_base_and_tuned_model_answer_at_the_same_time(generator, adapter):
    def work(number):
        chosen = adapter if number % 2 else None
        return collect(generator, temperature=0, max_tokens=40, adapter=chosen).text

    assert at_once(work, 6) == [work(0), work(1)] * 3


def test_a_request_that_fails_leaves_the_others_alone(generator, monkeypatch):
    sample = generation._Choice.sample

    def fail(choice, logits):
        if choice.request.seed == 1 and choice.count == 3:
            raise RuntimeError("broken")
        return sample(choice, logits)

    monkeypatch.setattr(generation._Choice, "sample", fail)

    def work(number):
        try:
            return collect(generator, temperature=0, seed=number, max_tokens=20).text
        except RuntimeError as error:
            return str(error)

    alone = work(0)
    assert at_once(work, 4) == [alone, "broken", alone, alone]


def test_a_model_whose_memory_cannot_be_padded_answers_one_request_after_another(
    generator, monkeypatch
):
    monkeypatch.setattr(batching, "DynamicLayer", type("Other", (), {}))

    def work(number):
        return collect(generator, temperature=0, n=2, max_tokens=5 + number).texts

    assert at_once(work, 4) == [work(number) for number in range(4)]


def test_more_requests_than_rows_wait_for_their_turn(generator):
    def work(number):
        return collect(generator, n=7, seed=number, temperature=0, max_tokens=4).texts

    assert at_once(work, 6) == [work(0)] * 6


# --- adapters, streaming, ends -------------------------------------------------------------------


def test_a_trained_adapter_speaks_and_stops(generator, adapter):
    result = collect(generator, adapter=adapter, temperature=0)
    assert result.text == LEARNED
    assert result.reasons == ["stop"]
    tokens = generator._tokenizer.encode(LEARNED, add_special_tokens=False)
    assert result.usage.completion_tokens == len(tokens)
    assert collect(generator, temperature=0, max_tokens=60).text != LEARNED


@pytest.mark.parametrize("family", ["qwen2", "gpt2"])
def test_adapters_work_on_other_architectures(generators, checkpoints, tmp_path, family):
    example = {"messages": [*ASK, {"role": "assistant", "content": LEARNED}]}
    adapter = learn(checkpoints[family], example, tmp_path)
    result = collect(generators[family], adapter=adapter, temperature=0)
    assert result.text == LEARNED and result.reasons == ["stop"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_model_computes_what_the_adapted_one_does(checkpoints, tmp_path, family):
    example = {"messages": [*ASK, {"role": "assistant", "content": LEARNED}]}
    adapter = learn(checkpoints[family], example, tmp_path)
    base, tokenizer = load_base(str(checkpoints[family]))
    assert base.get_input_embeddings().weight is base.get_output_embeddings().weight
    ids = torch.tensor([tokenizer.encode(LEARNED, add_special_tokens=False)])
    with torch.inference_mode():
        plain = base(ids).logits
        adapted = PeftModel.from_pretrained(base, str(adapter)).eval()(ids).logits
        merged = merge_adapter(load_base(str(checkpoints[family]))[0], adapter)(ids).logits
    torch.testing.assert_close(merged, adapted, rtol=1e-4, atol=1e-3)
    assert (merged - plain).abs().max() > 1
    weights = (adapter / "adapter_model.safetensors").stat().st_size
    assert weights < 400_000, "the base model's embedding does not travel with the adapter"


def test_few_merged_models_are_kept_and_a_deleted_one_is_missed(checkpoints, adapter, tmp_path):
    import shutil

    generator = Generator(str(checkpoints["llama"]), max_models=2)
    copies = [shutil.copytree(adapter, tmp_path / str(i)) for i in range(3)]
    for copied in copies:
        assert collect(generator, adapter=copied, temperature=0).text == LEARNED
    assert len(generator._merged) == 2
    generator.forget(copies[2])
    assert len(generator._merged) == 1
    shutil.rmtree(copies[2])
    with pytest.raises(FileNotFoundError, match="adapter"):
        generator.stream(GenerationRequest(ASK, adapter=copies[2]))


def test_a_stream_never_holds_half_a_character(generator, adapter):
    tokens = generator._tokenizer.encode(LEARNED, add_special_tokens=False)
    halves = [t for t in tokens if "\ufffd" in generator._tokenizer.decode([t])]
    assert halves, "the point of this test: some emoji are made of several tokens"
    result = collect(generator, adapter=adapter, temperature=0)
    texts = [p.text for p in result.pieces if p.text]
    assert len(texts) > 10 and "".join(texts) == LEARNED
    assert not any("\ufffd" in text for text in texts)
    # Cut off in the middle of an emoji: the half is dropped.
    middle = tokens.index(halves[0]) + 1
    cut = collect(generator, adapter=adapter, temperature=0, max_tokens=middle)
    assert cut.reasons == ["length"] and "\ufffd" not in cut.text
    assert LEARNED.startswith(cut.text)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_is_valid_utf_8_however_badly_a_model_spells(generators, family):
    """Random weights choose bytes at random; what is no character can still not be said."""
    # Long enough for the family that copies most of what it says from the prompt, which is ASCII.
    result = collect(generators[family], n=16, seed=1, max_tokens=160, logprobs=True)
    assert not any("\ufffd" in text for text in result.texts)
    assert any(not text.isascii() for text in result.texts)
    assert not any(e.token == "<|im_start|>" for said in result.logprobs for e in said)


@pytest.mark.parametrize("stop", ["Until next", ["zzz", " 🎉"], "{User}, 🤖", "🦈", "\n", "Hey"])
def test_a_stop_sequence_ends_the_answer_before_it(generator, adapter, stop):
    result = collect(generator, adapter=adapter, temperature=0, stop=stop, logprobs=True)
    first = stop if isinstance(stop, str) else stop[1]
    assert result.text == LEARNED.split(first)[0]
    assert result.reasons == ["stop"]
    said = b"".join(bytes(e.bytes) for e in result.logprobs[0])
    assert said.startswith(result.text.encode()) or not result.text


def test_a_stop_sequence_that_never_comes_costs_nothing(generator, adapter):
    result = collect(generator, adapter=adapter, temperature=0, stop=["Chris!", "Until soon"])
    assert result.text == LEARNED and result.reasons == ["stop"]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_stops_are_found_however_the_text_is_cut(size):
    text, stops = "aab aabaac end", ["aac", "enx"]
    stopper, shown, stopped = StopFilter(stops), "", False
    for at in range(0, len(text), size):
        piece, stopped = stopper.feed(text[at : at + size])
        shown += piece
        if stopped:
            break
    assert stopped and shown == "aab aab"


def test_tokens_are_clipped_to_the_context(generator):
    keep_going = {"0": -100, "2": -100}
    result = collect(generator, max_tokens=10_000, logit_bias=keep_going)
    assert result.reasons == ["length"]
    assert result.usage.prompt_tokens + result.usage.completion_tokens == CONTEXT
    assert generator.context == CONTEXT


def test_a_prompt_that_fills_the_context_is_refused_with_the_numbers(generator):
    with pytest.raises(PromptTooLong) as caught:
        generator.stream(GenerationRequest([{"role": "user", "content": "robot " * CONTEXT}]))
    assert caught.value.context == CONTEXT
    assert str(CONTEXT) in caught.value.message
    assert str(caught.value.prompt_tokens) in caught.value.message


def test_choices_end_each_in_its_own_time(generator):
    result = collect(generator, n=12, seed=3, max_tokens=40, logit_bias={"2": 3})
    assert {"stop", "length"} == set(result.reasons)
    assert len({len(text) for text in result.texts}) > 3


def test_a_stream_can_be_left(generator):
    stream = generator.stream(GenerationRequest(ASK, max_tokens=200))
    next(stream)
    stream.close()
    assert collect(generator, max_tokens=2).usage.completion_tokens <= 2


# --- constraints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("strict", [True, False])
def test_an_answer_satisfies_its_schema(generators, family, strict):
    described = {"name": "weather", "schema": WEATHER, "strict": strict}
    form = {"type": "json_schema", "json_schema": described}
    for seed in range(4):
        result = collect(generators[family], response_format=form, seed=seed)
        assert result.reasons == ["stop"]
        answer = json.loads(result.text)
        jsonschema.validate(answer, WEATHER)
        assert list(answer) == ["city", "unit", "days"]  # no others, in the schema's order
        assert json.dumps(answer, ensure_ascii=False) == result.text  # and no odd white space


def test_a_constrained_answer_is_still_the_models_choice(generator):
    form = {"type": "json_schema", "json_schema": {"schema": WEATHER}}
    answers = collect(generator, response_format=form, n=8, seed=1).texts
    assert len(set(answers)) == 8
    assert {json.loads(answer)["unit"] for answer in answers} == {"C", "F"}


def test_a_json_object_is_one_or_is_cut_off(generator):
    form = {"type": "json_object"}
    result = collect(generator, response_format=form, n=12, seed=1, max_tokens=120)
    assert "length" in result.reasons or "stop" in result.reasons
    for text, reason in zip(result.texts, result.reasons, strict=True):
        assert text.startswith("{")
        if reason == "stop":
            assert isinstance(json.loads(text), dict)
    short = collect(generator, response_format=form, max_tokens=1)
    assert short.reasons == ["length"]


def test_schemas_with_references_and_choices(generator):
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/node"}},
        "required": ["tree"],
        "additionalProperties": False,
        "$defs": {
            "node": {
                "anyOf": [
                    {"type": "null"},
                    {
                        "type": "object",
                        "properties": {"next": {"$ref": "#/$defs/node"}},
                        "required": ["next"],
                        "additionalProperties": False,
                    },
                ]
            }
        },
    }
    form = {"type": "json_schema", "json_schema": {"schema": schema, "strict": True}}
    result = collect(generator, response_format=form, n=4, seed=2)
    for text, reason in zip(result.texts, result.reasons, strict=True):
        if reason == "stop":
            jsonschema.validate(json.loads(text), schema)


def test_a_schema_that_cannot_be_compiled_is_refused_with_the_reason(generator):
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "no-such"}}}
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    with pytest.raises(UnsupportedByModel, match="no-such"):
        generator.stream(GenerationRequest(ASK, response_format=form))
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    with pytest.raises(UnsupportedByModel, match="no-such") as caught:
        generator.stream(GenerationRequest(ASK, tools=[tool]))
    assert caught.value.param == "tools"
    no_schema = [{"type": "json_schema"}, {"type": "json_schema", "json_schema": {}}]
    for bad in ({"type": "poem"}, *no_schema):
        with pytest.raises(EngineError):
            generator.stream(GenerationRequest(ASK, response_format=bad))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_required_tool_is_called_with_valid_arguments(generators, family):
    for seed in range(3):
        result = collect(generators[family], tools=TOOLS, tool_choice="required", seed=seed)
        assert result.text == "" and result.calls[0]
        for name, arguments in result.calls[0].values():
            if result.reasons == ["tool_calls"]:
                given = json.loads(arguments)
                if name == "weather":
                    jsonschema.validate(given, WEATHER)
                else:
                    assert (name, given) == ("stop_it", {})


def test_a_named_tool_is_the_one_called(generator):
    choice = {"type": "function", "function": {"name": "weather"}}
    result = collect(
        generator, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, n=3, seed=4
    )
    for calls in result.calls:
        assert [name for name, _ in calls.values()] == ["weather"]
        jsonschema.validate(json.loads(calls[0][1]), WEATHER)
    assert result.reasons == ["tool_calls"] * 3
    ids = [p.tool_call.id for p in result.pieces if p.tool_call and p.tool_call.id]
    assert len(set(ids)) == 3 and all(i.startswith("call_") for i in ids)


def test_parallel_calls_come_one_after_another(generator):
    # A bias towards the opening bracket of the tag makes further calls likely.
    opens = generator._tokenizer.encode("<", add_special_tokens=False)[0]
    choice = {"type": "function", "function": {"name": "stop_it"}}
    fields = dict(tools=TOOLS, tool_choice=choice, logit_bias={str(opens): 50}, max_tokens=240)
    assert len(collect(generator, **fields).calls[0]) > 1
    assert len(collect(generator, parallel_tool_calls=False, **fields).calls[0]) == 1


def test_a_choice_among_allowed_tools(generator):
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "stop_it"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    result = collect(
        generator, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, max_tokens=100
    )
    assert result.calls[0][0] == ["stop_it", "{}"]


def test_left_to_itself_the_model_may_talk(generator):
    keep_going = {"0": -100, "2": -100}
    free = collect(generator, tools=TOOLS, seed=1, max_tokens=30, logit_bias=keep_going)
    assert free.text and not free.calls[0] and free.reasons == ["length"]
    none = collect(generator, tools=TOOLS, tool_choice="none", seed=1, max_tokens=30)
    without = collect(generator, seed=1, max_tokens=30)
    assert none.text == without.text


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, PLAIN_TEMPLATE], ids=["knows", "does not"])
def test_a_model_that_learned_to_call_does_and_its_call_is_held_to_the_schema(tmp_path, template):
    """Trained on a call whose arguments break the schema: it opens the call of its own accord, and
    the schema takes over from there."""
    base = make_checkpoint(tmp_path / "base", "llama", template)
    call = {"function": {"name": "weather", "arguments": '{"town": "Bath"}'}, "type": "function"}
    example = {
        "tools": TOOLS,
        "messages": [*ASK, {"role": "assistant", "content": "Well. ", "tool_calls": [call]}],
    }
    adapter = learn(base, example, tmp_path)
    result = collect(Generator(str(base)), tools=TOOLS, adapter=adapter, temperature=0)
    assert result.text == "Well. "
    assert result.reasons == ["tool_calls"]
    name, arguments = result.calls[0][0]
    assert name == "weather"
    jsonschema.validate(json.loads(arguments), WEATHER)


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"tool_choice": "required"}, "tools"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "sometimes"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "'x'",
        ),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "function"),
    ],
)
def test_a_tool_choice_that_cannot_be_is_refused(generator, fields, text):
    with pytest.raises(EngineError, match=text):
        generator.stream(GenerationRequest(ASK, **fields))


@pytest.mark.parametrize("size", [1, 3, 7, 500])
def test_calls_are_read_however_the_text_is_cut(size):
    first = {"text": 'a "quoted" } brace, </tool_call> and 🤖', "deep": [{"x": [1]}]}
    second: dict = {}
    written = "Hi <b> "
    for name, arguments in (("one", first), ("two", second)):
        call = f'{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}'
        written += f"<tool_call>{call}</tool_call>"
    reader, text, calls = ToolCallReader(), "", []
    for at in range(0, len(written), size):
        for part in reader.feed(written[at : at + size]):
            if not isinstance(part, ToolCallDelta):
                text += part
                continue
            if part.id:
                calls.append([part.name, ""])
            calls[part.index][1] += part.arguments
    assert text + reader.rest() == "Hi <b> "
    assert [name for name, _ in calls] == ["one", "two"]
    assert [json.loads(arguments) for _, arguments in calls] == [first, second]


def test_special_tokens_hold_the_tags_where_a_tokenizer_has_them(tmp_path):
    """Some models spell the tags as one special token each; the grammar must use those."""
    from tiny import make_model
    from transformers import AutoTokenizer

    folder = make_checkpoint(tmp_path, "llama")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<tool_call>", "</tool_call>"], special_tokens=True)
    make_model("llama", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    generator = Generator(str(folder))
    choice = {"type": "function", "function": {"name": "weather"}}
    forced = collect(generator, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, seed=1)
    jsonschema.validate(json.loads(forced.calls[0][0][1]), WEATHER)
    opens = tokenizer.convert_tokens_to_ids("<tool_call>")
    chosen = collect(generator, tools=TOOLS, logit_bias={str(opens): 100}, seed=1, max_tokens=100)
    assert chosen.text == "" and chosen.calls[0]
