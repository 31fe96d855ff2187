"""Revision thoughts that name the mistake: the step, what was answered or why it leads nowhere, and what is needed.

A thought is made of facts alone: the wrong step and what the environment truly answered, whether the environment
refused it, whether it changed the state, whether its plan got longer, and the environment's own words for the steps
that come next (`envs.base.Needs`). Where a fact is not known, the thought does not speak of it. The sentences are in
`prompts/reasons.txt`; a sample and a seed choose one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.base.step_kind import only_looks, refused
from engine.base.text import clean, flatten
from engine.environment.replay import Replayer
from engine.environment.states import START, States
from engine.models.prompts import prompt
from engine.samples.sample import Sample, splice_of, steps_to_replay
from engine.samples.thoughts.writers import REASON
from engine.tree.tree import SearchTree
from envs.base import EnvError, Needs, Words

LIST = "reasons.txt"

Kind = Literal["refused", "looks", "idle", "loop", "farther", "judged"]
"""What was wrong with a step, from facts; `judged`: somebody says that it is wrong, and no fact is known."""

KINDS: tuple[Kind, ...] = ("refused", "looks", "idle", "loop", "farther", "judged")
MOST_QUOTED = 80  # characters of an answer that is quoted; a longer one is a page, not an answer
SHORT = 60  # characters that are left of a longer refusal
MOST_ACTION = 120  # characters of an action
NAMES = ("action", "answer", "fault", "need", "why")


class Mistake(NamedTuple):
    """What is known of a wrong step."""

    kind: Kind
    action: str
    answer: str  # as the environment truly answered; "" where it is too long to be quoted
    words: Words = Words()


def reasoned(tree: SearchTree, sample: Sample, replayer: Replayer, seed: int = 0, prompts: str = "") -> Sample:
    """Returns the sample with a thought that names its mistake; unchanged where no step is marked, or in `compat`.
    Raises `InputError` for a file of sentences that can't be read.

    Asks the environment; where that is not at hand, the thought says what the tree knows.

    `tree`: the sample's. `sample`: the sample. `replayer`: of that tree. `seed`: of the choice among sentences.
    `prompts`: a folder whose files replace the sentences; empty: none.
    """
    mistake = None if sample.compat or sample.mark is None else mistake_of(tree, sample, replayer)
    if mistake is None or (mistake.kind == "judged" and not _reason(sample)):
        return sample
    return replace(sample, thought=thought_of(mistake, sample.id, seed, prompts), thought_by=REASON)


def _reason(sample: Sample) -> str:
    """Why the marked step is wrong, in the verifier's words; empty where it gave none, or a person moved the mark."""
    return next((each.reason for each in sample.judgements if each.step == sample.mark and each.word == "Bad"), "")


def thought_of(mistake: Mistake, sample: str, seed: int = 0, prompts: str = "") -> str:
    """Returns one of the sentences for a kind of mistake, the same for the same sample and seed.

    `mistake`: fills the sentence. `sample`: its id. `seed`: of the choice. `prompts`: a folder whose files replace the
    sentences; empty: none.
    """
    patterns = sentences(prompt(LIST, prompts))[mistake.kind]
    return fill(random.Random(f"{seed}/{sample}").choice(patterns), mistake)


# -- sentences -----------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def sentences(text: str) -> Mapping[Kind, tuple[str, ...]]:
    """The sentences of a file, by kind of mistake. Raises `InputError` where a kind has none or a name is unknown."""
    found: dict[str, list[str]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line[0] == "[" and line[-1] == "]" and line[1:-1] in KINDS:
            section = line[1:-1]
            continue
        unknown = [name for name in re.findall(r"\{(\w+)\}", line) if name.lower() not in NAMES]
        if unknown or not section or line.count("[") != line.count("]") or "{action}" not in line:
            why = (
                f"no name {{{unknown[0]}}} is filled in" if unknown else "a sentence needs a section, {action}, and [ ]"
            )
            raise InputError(f"{LIST}:{number}: {why}")
        found.setdefault(section, []).append(line)
    for kind in KINDS:
        if not found.get(kind):
            raise InputError(f"{LIST}: holds no sentence for [{kind}]")
    return {kind: tuple(found[kind]) for kind in KINDS}


_GROUP = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"\{(\w+)\}")


def fill(pattern: str, mistake: Mistake) -> str:
    """Returns a sentence with its names filled in. A group in brackets is left out where one of its names is empty; of
    alternatives (`|`) the first that can be filled is taken."""
    values = {
        "action": _code(mistake.action),
        "answer": f'"{mistake.answer}"' if mistake.answer else "",
        "fault": mistake.words.fault,
        "need": mistake.words.need,
        "why": mistake.words.why,
    }
    values |= {name.capitalize(): text[:1].upper() + text[1:] for name, text in values.items()}
    held: list[str] = []  # what was filled in, so that brackets in it are not looked at

    def group(match: re.Match[str]) -> str:
        for choice in match[1].split("|"):
            if all(values[name] for name in _NAME.findall(choice)):
                lead = " " if match[1].startswith(" ") and not choice.startswith(" ") else ""
                held.append(lead + choice)
                return f"\0{len(held) - 1}\0"
        return ""

    text = pattern
    while _GROUP.search(text):
        text = _GROUP.sub(group, text)
    while "\0" in text:
        text = re.sub(r"\0(\d+)\0", lambda match: held[int(match[1])], text)
    told = _NAME.sub(lambda match: values[match[1]], text).strip()
    return told[:1].upper() + told[1:]


def _code(action: str) -> str:
    action = " ".join(action.split()).replace("`", "'")
    return f"`{action if len(action) <= MOST_ACTION else action[: MOST_ACTION - 1] + '…'}`"


def quotable(observation: str, refused: bool = False) -> str:
    """An answer as it is quoted: without a full stop at its end. One that is too long for that is a page, and empty; a
    refusal is cut after a word."""
    text = " ".join(observation.split()).replace('"', "'").rstrip(".")
    if len(text) <= MOST_QUOTED:
        return text
    return f"{text[:SHORT].rsplit(' ', 1)[0]} …" if refused else ""


# -- facts ---------------------------------------------------------------------------------------------


def mistake_of(tree: SearchTree, sample: Sample, replayer: Replayer) -> Mistake | None:
    """Returns what is known about the marked step; None where a sample has none.

    `tree`: the sample's. `sample`: the sample. `replayer`: of that tree.
    """
    steps = steps_to_replay(tree, sample)
    bad = splice_of(tree, sample).bad
    if not bad:
        return None
    assert tree.started is not None
    at = len(bad) - 1
    true = sample.replay.observations if sample.replay is not None and not sample.compat else {}
    answer = true.get(at, steps[at].observation)
    ended = sample.replay.ended if sample.replay is not None else None
    ahead = [step.action for step in steps[len(bad) : ended]]
    facts = _stand(tree, bad, steps[at].action, answer, ahead, replayer.states)
    kind = _kind(tree, sample, bad, answer, facts)
    return Mistake(kind, steps[at].action, quotable(answer, kind == "refused"), facts.words)


class _Facts(NamedTuple):
    """What the environment says around a wrong step; None: unknown."""

    states: Sequence[int] = ()  # before the first bad step and after each, where states can be compared
    left: tuple[int | None, int | None] | None = None  # the plan's steps before and after the wrong one
    words: Words = Words()


def _stand(
    tree: SearchTree, bad: Sequence[int], taken: str, answer: str, ahead: Sequence[str], states: States
) -> _Facts:
    """Ask the environment just before and just after the wrong step."""
    try:
        path = [START]
        for id in bad:
            path.append(states.step(path[-1], tree.nodes[id].action).to)
        keys = path if states.has_keys else []
        left = (states.steps_left(path[-2]), states.steps_left(path[-1])) if states.plans else None
        words = states.ask(path[-1], lambda env: env.words(taken, answer, ahead) if isinstance(env, Needs) else Words())
    except (InputError, EnvError):
        return _Facts()
    return _Facts(keys, left, Words(*(clean(flatten(part)) for part in words)))


def _kind(tree: SearchTree, sample: Sample, bad: Sequence[int], answer: str, facts: _Facts) -> Kind:
    assert tree.started is not None
    environment, action = tree.started.environment, tree.nodes[bad[-1]].action
    if refused(environment, action, answer):
        return "refused"
    if only_looks(environment, action):
        return "looks"
    states = facts.states
    if len(states) > 1:
        if states[-1] == states[-2]:
            return "idle"
        if states[-1] in states[:-2]:
            return "loop"
    if facts.left is not None:
        before, after = facts.left
        if before is not None and (after is None or after > before):
            return "farther"
    return "judged"
