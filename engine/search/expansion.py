"""From answers to children: executes the answers of an actor in the environment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, cast

from engine.answers.form import AnswerForm
from engine.answers.reader import written_response
from engine.answers.written_calls import written_calls
from engine.base.text import clean, normalise_response, parse_action, stored_action
from engine.environment.at_node import EnvironmentAtNode
from engine.tree.events import MAX_INT, Child, Expanded, Repeat, Sampled, SearchSettings, TerminalReason, ToolCall
from engine.tree.folding.interventions import WRITTEN
from engine.tree.tree import SearchTree
from envs.base import EnvError, StateKeys, Unavailable
from envs.call_text import calls_text, split_results


class FailedStep(NamedTuple):
    """A draw that the environment did not step, and why."""

    draw: int
    error: str


class Stepped(NamedTuple):
    """What became of the answers of a node."""

    event: Expanded  # its `seq` is still to be set
    failed: list[FailedStep]  # actions at which the environment failed, and lived on
    gone: FailedStep | None  # where the environment could not be used any more: all of it is owed, and is done again


def step_answers(tree: SearchTree, stand: EnvironmentAtNode, settings: SearchSettings, parent: int) -> Stepped:
    """Step the answers of a node in the order of their draws.

    May run in the environment's thread: it reads the tree, which does not change below this node meanwhile, and writes
    nothing.

    `tree`: the search. `stand`: moves the environment to the node. `settings`: of the search. `parent`: the node.
    """
    answers = tree.pending.get(parent, {})
    steps, resets = stand.steps, stand.resets
    event = Expanded(seq=0, parent=parent, partial=_stays_partial(tree, settings, parent))
    failed: list[FailedStep] = []
    gone: FailedStep | None = None
    seen = {
        words_of(tree.nodes[child].response, tree.nodes[child].calls): tree.nodes[child].draw
        for child in tree.nodes[parent].children
    }
    next_id = len(tree.nodes)
    ready: set[int] = set()  # draws whose actions were taken care of
    for draw in sorted(answers):
        answer = answers[draw]
        response = normalise_response(answer.response)
        words = words_of(response, answer.tool_calls) if answer.tool_calls else response
        if words in seen:
            event.repeats.append(Repeat(draw, seen[words]))
            continue
        if stand.warms_up and draw not in ready:
            ready |= _prepare(stand, settings, parent, [answers[each] for each in sorted(answers) if each >= draw])
        try:
            child = step_answer(tree, stand, settings, parent, answer, response)
        except EnvError as error:
            step = FailedStep(draw, str(error))
            known = event.children[0].action if event.children else None
            if isinstance(error, Unavailable) or not stand.lives(parent, known):
                gone = step
                break
            failed.append(step)
            continue
        seen[words] = draw
        stand.remember_as(next_id + len(event.children))
        event.children.append(child)
    if gone is not None:
        stand.drop(next_id)
    event.steps, event.resets = stand.steps - steps, stand.resets - resets
    return Stepped(event, failed, gone)


def step_written(tree: SearchTree, stand: EnvironmentAtNode, settings: SearchSettings, parent: int, text: str) -> Child:
    """Step what a person wrote; returns the new child of `parent`. Raises `EnvError`.

    `tree`: the search. `stand`: moves the environment to the parent. `settings`: of the search. `parent`: the node.
    `text`: a thought and action, or an action alone.
    """
    response, calls = written_step(tree, stand.form, settings, text)
    answer = Sampled(seq=0, parent=parent, draw=WRITTEN, response=response, tool_calls=calls)
    child = step_answer(tree, stand, settings, parent, answer, response)
    child.response = response
    child.tool_calls = calls or None
    stand.remember_as(len(tree.nodes))
    return child


def written_step(
    tree: SearchTree, form: AnswerForm, settings: SearchSettings, text: str
) -> tuple[str, tuple[ToolCall, ...]]:
    """Returns the response of what a person wrote as a step, and its calls where the agent calls tools.

    `tree`: the search. `form`: the form of the environment's actions. `settings`: of the search. `text`: a thought and
    action, an action alone, or calls as text.
    """
    if tree.started is not None and tree.started.tools:
        said, calls = written_calls(clean(text))
        return said, tuple(ToolCall(call.name, call.arguments) for call in calls)
    return written_response(text, form) if settings.parse == "first" else normalise_response(clean(text)), ()


def words_of(response: str, calls: Sequence[ToolCall]) -> object:
    """Returns an answer in a form to compare: its response, and its calls in their canonical form."""
    return (response, _text_of(calls)) if calls else response


def _text_of(calls: Sequence[ToolCall]) -> str:
    return calls_text([(call.name, call.arguments) for call in calls])


def _prepare(stand: EnvironmentAtNode, settings: SearchSettings, parent: int, answers: Sequence[Sampled]) -> set[int]:
    """Let instances step the first of these answers at the same time, as many as there may be; returns their draws."""
    draws = {answers[0].draw}
    with suppress(EnvError):  # it is met again when the answer is stepped
        actions = {
            answer.draw: _action(stand, settings, parent, answer, normalise_response(answer.response))
            for answer in answers
        }
        done = stand.warm_up(parent, list(actions.values()))
        draws |= {draw for draw, action in actions.items() if action in done}
    return draws


def _action(stand: EnvironmentAtNode, settings: SearchSettings, parent: int, answer: Sampled, response: str) -> str:
    """What is executed. Raises `EnvError`."""
    if answer.action is not None:
        return answer.action
    if answer.tool_calls:
        action = _text_of(answer.tool_calls)
    else:
        action = parse_action(response) if settings.parse == "agent-r" else stored_action(response)
    # as the original: the nearest valid action
    return stand.executable(parent, action) if settings.algorithm == "agent-r" else action


def _stays_partial(tree: SearchTree, settings: SearchSettings, parent: int) -> bool:
    made, draws = tree.partial.get(parent, 0), tree.in_flight[parent].draws
    return draws > 0 and made + draws < settings.samples


def step_answer(
    tree: SearchTree, stand: EnvironmentAtNode, settings: SearchSettings, parent: int, answer: Sampled, response: str
) -> Child:
    """Step one answer; returns the new child. Raises `EnvError`.

    `tree`: the search. `stand`: moves the environment to `parent`. `settings`: of the search. `parent`: the node.
    `answer`: as it was stored; `response`: its text.
    """
    action = _action(stand, settings, parent, answer, response)
    observation, score, done = stand.try_action(parent, action)
    if isinstance(score, int) and abs(score) > MAX_INT:  # no trace could hold it
        raise EnvError("the environment gave a score beyond 2^53, which no float keeps exactly")
    if not math.isfinite(score):
        raise EnvError(f"the environment gave the score {score}")
    terminal: TerminalReason | None = None
    if score < 0:
        terminal, score = "disaster", 0
    elif done:
        terminal = "done"
    elif tree.nodes[parent].depth + 1 > settings.max_depth:
        terminal = "depth"
    several = len(answer.tool_calls)
    return Child(
        draw=answer.draw,
        action=action,
        observation=observation,
        reward=score,
        terminal=terminal,
        response=response if response != answer.response else None,
        state_key=cast(StateKeys, stand.env).state_key() if stand.has_keys else None,
        prior=answer.prior,
        results=tuple(split_results(observation, several)) if several > 1 else (),
    )
