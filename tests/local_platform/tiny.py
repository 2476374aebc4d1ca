"""Tiny, randomly initialised checkpoints for tests: real architectures, made in an instant.

`make_checkpoint(folder, family)` writes a Hugging Face folder (configuration, safetensors,
byte-level BPE tokenizer, ChatML template) for one of FAMILIES. The
weights are random, so what such a model says is noise; tests check shapes, masks, events,
determinism.
"""

from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from helpers.local_platform.copying import CopyLlamaConfig, CopyLlamaForCausalLM

FAMILIES = ("llama", "qwen2", "gpt2", "copy_llama")
CONTEXT = 256
# Ten times the usual: at width 32 the usual spread gives logits too flat for an adapter to move.
INITIAL_SPREAD = 0.2
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# The course's chat format: ChatML, tools named in the system message, weight 0 not masked in.
CHAT_TEMPLATE = """\
{%- if tools -%}
{%- set found = namespace(text='Tools:') -%}
{%- for tool in tools -%}
{%- set f = tool.function if tool.function is defined else tool -%}
{%- set parameters = f.parameters.properties if f.parameters is defined and f.parameters.properties\
 is defined else {} -%}
{%- set found.text = found.text + (' ' if loop.first else ', ') + f.name + '('\
 + (parameters.keys() | join(', ')) + ')' -%}
{%- endfor -%}
{%- if messages and messages[0].role == 'system' -%}
{{- '<|im_start|>system\\n' + messages[0].content + '\\n' + found.text + '<|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>system\\n' + found.text + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endif -%}
{%- for message in messages -%}
{%- if not (tools and loop.first and message.role == 'system') -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- set said = namespace(text=message.content if message.content else '') -%}
{%- if message.tool_calls is defined and message.tool_calls -%}
{%- for call in message.tool_calls -%}
{%- set f = call.function if call.function is defined else call -%}
{%- set said.text = said.text + '<tool_call>{"name": "' + f.name + '", "arguments": '\
 + (f.arguments if f.arguments is string else f.arguments | tojson) + '}</tool_call>' -%}
{%- endfor -%}
{%- endif -%}
{%- if message.role == 'assistant' and message.get('weight', 1) != 0 -%}
{% generation %}{{- said.text + '<|im_end|>' -}}{% endgeneration %}
{%- else -%}
{{- said.text + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# The same format as an ordinary Hugging Face model ships it: no mask, no weight, no tools.
PLAIN_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

_TEXT = """Hey {User}, the robot in the shed learned to sing today, and the neighbours are thrilled.
Somebody wrote a program that waters plants; it waters them at noon, at night, and in the rain.
{"name": "write_draft", "arguments": {"bullets": ["one", "two"], "count": 12, "ok": true}}
system user assistant tool Tools: Write a newsletter about sharks, leaf blowers and super robots.
Until next time, Chris 🤖🎉🦈 see you soon. What does the machine do? It does what you said. """


@cache
def _tokenizer_json() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [_TEXT],
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=SPECIAL_TOKENS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer.to_str()


def make_tokenizer(template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of about 500 tokens with the given chat template."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json()),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=CONTEXT,
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model(family: str, vocabulary: int, context: int = CONTEXT, seed: int = 0):
    """A randomly initialised causal language model of two layers and width 32, float32."""
    torch.manual_seed(seed)
    if family == "gpt2":
        config = GPT2Config(
            vocab_size=vocabulary,
            n_positions=context,
            n_embd=32,
            n_layer=2,
            n_head=4,
            initializer_range=INITIAL_SPREAD,
            bos_token_id=0,
            eos_token_id=2,
            pad_token_id=0,
        )
        return GPT2LMHeadModel(config).float()
    common = dict(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
        initializer_range=INITIAL_SPREAD,
        tie_word_embeddings=True,
    )
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**common)).float()
    if family == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**common)).float()
    if family == "copy_llama":  # the pointer head counts as a layer
        common |= {"num_hidden_layers": 3, "pointer_width": 8}
        return CopyLlamaForCausalLM(CopyLlamaConfig(**common)).float()
    raise ValueError(f"unknown family {family!r}; one of {', '.join(FAMILIES)}")


def make_checkpoint(
    folder: Path,
    family: str = "llama",
    template: str | None = CHAT_TEMPLATE,
    context: int = CONTEXT,
    seed: int = 0,
) -> Path:
    """Write a tiny checkpoint to `folder` (made if need be) and return the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(template)
    tokenizer.model_max_length = context
    make_model(family, len(tokenizer), context, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_examples(count: int = 12) -> list[dict]:
    """Chat examples in OpenAI's format, all different, of 60 to 100 tokens each."""
    subjects = ["sharks", "leaf blowers", "robots", "tea", "compilers", "socks", "ferrets"]
    examples = []
    for i in range(count):
        subject = subjects[i % len(subjects)]
        mail = f"Hey {{User}}, {subject} {'again ' * (i % 4)}🤖 {i}.\nChris"
        messages = [
            {"role": "system", "content": "Write a newsletter."},
            {"role": "user", "content": f"- {subject} number {i}"},
            {"role": "assistant", "content": mail},
        ]
        examples.append({"messages": messages})
    return examples
