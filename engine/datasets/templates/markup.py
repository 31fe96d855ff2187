"""Chat templates as the pieces that stand around messages, and the table of families whose pieces are known.

The text that a template makes of a conversation is its start, then for each message what stands before its text, the
text, and what stands after. That holds for every family here; `engine.datasets.templates.model_template` finds the
pieces of a model's own template, and refuses one that is made otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.base.errors import InputError
from engine.datasets.templates.tool_calls import result_text, said_text
from engine.samples.splice import Turn

THINK = ("<think>\n", "\n</think>\n\n")
"""What stands around a response's reasoning, at its head."""

JOINT = "\n\n"
"""Between the system's text and the first user's, where both are one turn."""


@dataclass(frozen=True, slots=True)
class Markup:
    """A chat template: the texts around the text of a message."""

    name: str
    start: str  # of every conversation
    system: tuple[str, str] | None  # before and after the system's text; None: there is no system turn
    user: tuple[str, str]
    opening: str  # what a model is given to begin a response: not trained
    after: str  # ends a response; trained with it
    end: str  # the special token in `after`, which a model emits to end its turn
    model: str  # a model that has this template, for configurations
    title: str = ""  # for people; "" is the name
    lead: str = ""  # between the opening and the text; trained, since the model writes it
    unspoken: str = ""  # follows the start where the conversation has no system turn
    trim: bool = False  # whether white space around a message's text is dropped
    control: str = ""  # a regular expression: texts that the tokenizer reads as control tokens
    like: str = ""  # a word in the names of such models, as a regular expression
    thinks: str = ""  # what the model's own template adds to responses, or to what it is given
    llamafactory: str = ""  # LLaMA-Factory's name for these pieces; "": it has none
    calls: bool = False  # whether calls of tools have the form of `engine.datasets.templates.tool_calls`
    own_start: bool = True  # whether the tokenizer puts `start`, and nothing else, before a text

    def begin(self, turns: Sequence[Turn]) -> str:
        """Returns the text before the first message."""
        return self.start + ("" if turns and turns[0].role == "system" else self.unspoken)

    def head(self, turn: Turn) -> str:
        """Returns the text before a message's own text."""
        if turn.role == "assistant":
            return self.opening
        return self._around(turn.role)[0]

    def body(self, turn: Turn) -> str:
        """A message's text and the end of the turn: what is trained of a trained turn."""
        text = turn.content.strip() if self.trim else turn.content
        text = said_text(text, turn.calls) if turn.calls else result_text(text) if turn.role == "tool" else text
        if turn.role != "assistant":
            return text + self._around(turn.role)[1]
        thought = f"{THINK[0]}{turn.reasoning}{THINK[1]}" if turn.reasoning else ""
        return self.lead + thought + text + self.after

    def render(self, turn: Turn) -> str:
        """A message in the template."""
        return self.head(turn) + self.body(turn)

    def text(self, turns: Sequence[Turn]) -> str:
        """A conversation in the template."""
        return self.begin(turns) + "".join(self.render(turn) for turn in turns)

    @property
    def pieces(self) -> tuple[object, ...]:
        """All that decides the text of a conversation with a system turn."""
        return (self.start, self.system, self.user, self.opening, self.lead, self.after)

    def _around(self, role: str) -> tuple[str, str]:
        return self.user if role != "system" else self.system or ("", JOINT)


_CHATML = r"<\|(?:im_start|im_end|im_sep|endoftext)\|>"
_LLAMA = (
    r"<\|(?:begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id|python_tag|finetune_right_pad_id"
    r"|reserved_special_token_\d+)\|>"
)
_TAGS = r"</?(?:think|tool_call|tool_response|tools)>"
_MISTRAL = r"</?s>|<unk>|\[/?(?:INST|AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT|THINK)\]|\[TOOL_CALLS\]"
_GEMMA = r"<(?:bos|eos|pad|unk|start_of_turn|end_of_turn|unused\d+)>"
_DEEPSEEK = r"<｜[^<>｜\n]{1,60}｜>"
ANY_CONTROL = "|".join(
    (r"<\|[A-Za-z0-9_]{1,60}\|>", _TAGS, _MISTRAL, r"<</?SYS>>", _GEMMA, _DEEPSEEK),
)
"""A regular expression: control tokens of the families that are known, and of others that write them alike."""


def _chatml(name: str, title: str, model: str, unspoken: str = "", **more: object) -> Markup:
    said = f"<|im_start|>system\n{unspoken}<|im_end|>\n" if unspoken else ""
    return Markup(
        name=name,
        title=title,
        start="",
        system=("<|im_start|>system\n", "<|im_end|>\n"),
        user=("<|im_start|>user\n", "<|im_end|>\n"),
        opening="<|im_start|>assistant\n",
        after="<|im_end|>\n",
        end="<|im_end|>",
        model=model,
        unspoken=said,
        **more,  # type: ignore[arg-type]
    )


CHATML = _chatml("chatml", "ChatML", "Qwen/Qwen2.5-7B-Instruct", control=ANY_CONTROL, llamafactory="qwen", calls=True)
QWEN25 = _chatml(
    "qwen2.5",
    "Qwen 2.5",
    "Qwen/Qwen2.5-7B-Instruct",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    control=f"{_CHATML}|{_TAGS}",
    like=r"qwen-?2\.5",
    llamafactory="qwen",
    calls=True,
)
QWEN3 = _chatml(
    "qwen3",
    "Qwen 3",
    "Qwen/Qwen3-8B",
    control=f"{_CHATML}|{_TAGS}",
    like=r"qwen-?3(?![.\d])",
    thinks="writes an empty <think></think> before the last response",
    llamafactory="qwen3_nothink",
    calls=True,
)
SMOLLM2 = _chatml(
    "smollm2",
    "SmolLM 2",
    "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    control=_CHATML,
    like=r"smollm-?2",
    llamafactory="smollm2",
    own_start=False,
)
LLAMA3 = Markup(
    name="llama3",
    title="Llama 3",
    start="<|begin_of_text|>",
    system=("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
    user=("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    opening="<|start_header_id|>assistant<|end_header_id|>\n\n",
    after="<|eot_id|>",
    end="<|eot_id|>",
    model="meta-llama/Meta-Llama-3-8B-Instruct",
    trim=True,
    control=_LLAMA,
    like=r"llama-?3(?![.\d])",
    llamafactory="llama3",
)
_DATES = (
    "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
)
LLAMA31 = Markup(
    name="llama3.1",
    title="Llama 3.1 and 3.3",
    start="<|begin_of_text|>",
    system=(_DATES, "<|eot_id|>"),
    user=LLAMA3.user,
    opening=LLAMA3.opening,
    after="<|eot_id|>",
    end="<|eot_id|>",
    model="meta-llama/Llama-3.1-8B-Instruct",
    unspoken=f"{_DATES}<|eot_id|>",
    trim=True,
    control=_LLAMA,
    like=r"llama-?3\.[13]",
    llamafactory="llama3",
)
MISTRAL = Markup(
    name="mistral",
    title="Mistral 7B v0.3",
    start="<s>",
    system=None,
    user=("[INST] ", "[/INST]"),
    opening="",
    lead=" ",
    after="</s>",
    end="</s>",
    model="mistralai/Mistral-7B-Instruct-v0.3",
    control=_MISTRAL,
    like=r"mistral-7b-instruct-v0\.3",
    llamafactory="mistral",
)
GEMMA = Markup(
    name="gemma",
    title="Gemma 1 to 3",
    start="<bos>",
    system=None,
    user=("<start_of_turn>user\n", "<end_of_turn>\n"),
    opening="<start_of_turn>model\n",
    after="<end_of_turn>\n",
    end="<end_of_turn>",
    model="google/gemma-2-9b-it",
    trim=True,
    control=_GEMMA,
    like=r"gemma(?:-1\.1|-?[123])?-\d+b-it",
    llamafactory="gemma",
)
DEEPSEEK_R1 = Markup(
    name="deepseek-r1",
    title="DeepSeek R1 and its distilled models",
    start="<｜begin▁of▁sentence｜>",
    system=("", ""),
    user=("<｜User｜>", ""),
    opening="<｜Assistant｜>",
    after="<｜end▁of▁sentence｜>",
    end="<｜end▁of▁sentence｜>",
    model="deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
    control=f"{_DEEPSEEK}|{_TAGS}",
    like=r"deepseek-r1",
    thinks="gives the model <think> to begin a response with, and drops what stands before </think>",
    llamafactory="deepseek3",
)
FAMILIES = {
    markup.name: markup for markup in (CHATML, QWEN25, QWEN3, SMOLLM2, LLAMA3, LLAMA31, MISTRAL, GEMMA, DEEPSEEK_R1)
}
"""The families whose pieces are known, by name."""

MARKUPS = {markup.name: markup for markup in (CHATML, LLAMA3)}
"""What `--chat-template` may name."""


def markup_named(name: str) -> Markup:
    """The chat template of that name. Raises `InputError` with the names there are."""
    if name not in MARKUPS:
        raise InputError(f"unknown chat template {name!r}: one of {', '.join(MARKUPS)}; others: --for-model")
    return MARKUPS[name]


def family_of(name: str) -> Markup | None:
    """The family of a name, be it a family's own or a model's; None where it is not known."""
    low = name.lower()
    if low in FAMILIES:
        return FAMILIES[low]
    return next((each for each in FAMILIES.values() if each.like and re.search(each.like, low)), None)


def alike(markup: Markup) -> list[Markup]:
    """The families whose responses open and end as this one's do."""
    same = (markup.opening, markup.lead, markup.after)
    return [each for each in FAMILIES.values() if (each.opening, each.lead, each.after) == same]
