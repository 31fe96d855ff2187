"""`trl-stepwise`: labelled steps for a process reward model, as TRL's PRM trainer reads them.

The steps are those of the bad trajectory up to the first wrong one, each an action and the observation it got, since
that is what a verifier judges. Good gives `true`, Bad `false`. An Uncertain step has no label of its own, and no label
is made up for it: its text stands at the head of the next labelled step; where none follows, it is left out.

Where the mark is not the step that the verifier judged Bad, a person's word is needed: `false` is put at a mark that a
person set or accepted, and what the verifier said of the steps before is taken as far as it is Good. A mark that was
only moved after the fork by rule is nobody's judgement: such a sample gives no record.
"""

from __future__ import annotations

from engine.datasets.formats.agent_r import low_end
from engine.datasets.formats.base import Format, Item, Record, register
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.preparation import escaped
from engine.datasets.formats.rules import EMPTY, SHAPE
from engine.datasets.templates.tool_calls import as_texts, said_text
from engine.samples.splice import Turn, header_turns
from engine.tree.node import Node

KEYS = ("prompt", "completions", "labels")
SEPARATOR = "\n"  # between steps; TRL's default
UNJUDGED = "no judged step"


def labels_of(item: Item) -> list[tuple[int, bool | None]]:
    """Returns the steps from 1 on with their labels, up to the first wrong step; None where no step was judged."""
    sample = item.sample
    words = {judgement.step: judgement.word for judgement in sample.judgements}
    wrong = sample.mark
    if wrong is not None and wrong != sample.found and not item.approved:
        return []
    last = wrong if wrong is not None else max(words, default=0)
    labels: list[tuple[int, bool | None]] = []
    overruled = wrong is not None and wrong != sample.found  # a Bad before the mark: a person set it elsewhere
    for step in range(1, last + 1):
        word = words.get(step)
        if step == wrong:
            labels.append((step, False))
        elif word == "Bad":
            labels.append((step, None if overruled else False))
        else:
            labels.append((step, True if word == "Good" else None))
    return labels


def build(item: Item, options: FormatOptions) -> list[Record]:
    """One record; none where no step has a label, or the first that has does not fit."""
    tree, sample = item.tree, item.sample
    if sample.kind == "good":
        return []
    path = tree.ancestors(low_end(tree, sample))
    cut = {each.node for each in sample.cut if each.part == "context"}  # these are not part of the trajectory
    # TRL and axolotl put the first step right behind the prompt; the separator follows each step only
    header = as_texts(header_turns(tree), options.tools)
    prompt = "\n\n".join(turn.content for turn in header if _in_prompt(turn)) + SEPARATOR
    prompt = text_of(prompt, options)
    left = None if options.max_length is None else options.max_length - options.measure(prompt)
    steps: list[str] = []
    labels: list[bool] = []
    waiting: list[str] = []
    for step, label in labels_of(item):
        if path[step] in cut:
            continue
        text = text_of(step_text(tree.nodes[path[step]]), options)
        if left is not None:
            left -= options.measure(text + SEPARATOR)
            if left < 0:
                break
        waiting.append(text)
        if label is not None:
            steps.append(SEPARATOR.join(waiting))
            labels.append(label)
            waiting = []
    return [{"prompt": prompt, "completions": steps, "labels": labels}] if steps else []


def _in_prompt(turn: Turn) -> bool:
    return turn.part == "prefix" or turn.role != "assistant"  # the header's `Ok.` says nothing


def text_of(text: str, options: FormatOptions) -> str:
    """A text without control tokens, where they are to be escaped."""
    return escaped(text, options.control) if options.escape else text


def step_text(node: Node) -> str:
    """A step as text."""
    return f"{said_text(node.response, node.calls)}\nObservation: {node.observation}"


def validate(record: Record) -> list[str]:
    """What is wrong with a record."""
    if tuple(record) != KEYS:
        return [SHAPE]
    prompt, steps, labels = (record[key] for key in KEYS)
    if not isinstance(prompt, str) or not isinstance(steps, list) or not isinstance(labels, list):
        return [SHAPE]
    if len(steps) != len(labels) or any(type(label) is not bool for label in labels):
        return [SHAPE]
    if not labels:
        return [UNJUDGED]
    texts_ok = all(isinstance(text, str) and text.strip() for text in [prompt, *steps])
    return [] if texts_ok else [EMPTY]


register(
    Format(
        name="trl-stepwise",
        summary="steps with labels from the verifier's judgements, for TRL's PRM trainer (up to 1.13) and axolotl",
        array=False,
        extension=".jsonl",
        data_types=("centric",),
        mask="none: a label a step (Good true, Bad false; an Uncertain step is joined to the next)",
        validate=validate,
        build=build,
        empty=UNJUDGED,
        columns=True,
        calls="text",
        spliced=False,
        trainer="trl-prm",
    )
)
