"""Options of the verifier `openai`, for every command that may judge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
from cyclopts import Parameter

from agentr_tui.terminal.output import warn
from engine.base.errors import InputError
from engine.search.settings import with_body
from engine.trace.sources import load_any
from engine.tree.thresholds import Thresholds
from engine.verifiers.base import JudgeSettings, JudgeTotals
from engine.verifiers.judge_price import JudgePrice
from engine.verifiers.judging import complaint, has_failed, price_of_judging

if TYPE_CHECKING:
    from engine.samples.revise import ReviseSettings
    from engine.verifiers.judge_pool import JudgePool


class JudgeFlags(TypedDict, total=False):
    """One option for each field of `JudgeSettings`."""

    model: Annotated[str, Parameter(help="Of the verifier openai.")]
    base_url: Annotated[str, Parameter(help="Of its server; default: OpenAI's.")]
    key_env: Annotated[str, Parameter(help="Variable that holds the key.")]
    votes: Annotated[int, Parameter(help="Replies a step, of which more than half decide.")]
    temperature: Annotated[float, Parameter(help="Of the judge; default: 0 for one vote, 0.7 for several.")]
    max_tokens: Annotated[int, Parameter(help="Of a reply.")]
    timeout: Annotated[float, Parameter(help="Seconds a call.")]
    retries: Annotated[int, Parameter(help="After the first try of a call.")]
    price_in: Annotated[float, Parameter(help="US dollars a million prompt tokens.")]
    price_out: Annotated[float, Parameter(help="US dollars a million completion tokens.")]
    price_cached: Annotated[float, Parameter(help="Of prompt tokens that the server had cached; default: --price-in.")]
    top_p: Annotated[float, Parameter(help="Nucleus sampling; default: the server's own.")]
    reasoning_effort: Annotated[str, Parameter(help="low, medium, high: as the server knows it.")]
    extra_body: Annotated[str, Parameter(help="JSON object of further fields of every request; null takes one out.")]
    header: Annotated[list[str], Parameter(help="NAME=VARIABLE: a header whose value is in that variable.")]
    no_system: Annotated[bool, Parameter(negative="", help="Send the system turn as part of the user turn.")]
    structured: Annotated[Literal["", "json"], Parameter(help="json: ask for an object, which small models keep to.")]
    concurrency: Annotated[int, Parameter(help="Simultaneous calls; never changes a run.")]
    budget_tokens: Annotated[int, Parameter(help="Stop judging when so many tokens are used.")]
    budget_cost: Annotated[float, Parameter(help="Stop judging when so many US dollars are spent.")]
    budget_calls: Annotated[int, Parameter(help="Stop judging after so many calls.")]
    budget_seconds: Annotated[float, Parameter(help="Stop judging after so many seconds.")]


YesOption = Annotated[bool, Parameter(negative="", help="Do not ask before a model is paid.")]


def judge_of(flags: JudgeFlags | None) -> JudgeSettings:
    """The settings that the options make. Raises `InputError` naming the one that is unusable."""
    try:
        return msgspec.convert(with_body(dict(flags or {})), JudgeSettings)
    except msgspec.ValidationError as error:
        raise InputError(f"option of the judge: {error}") from error


def price_of_all(sources: Sequence[Path], settings: ReviseSettings, cache: Path) -> JudgePrice:
    """What the judge of these settings costs at most for all pairs of these sources. Raises `InputError`."""
    price = JudgePrice()
    for path in sources:
        tree = load_any(path, environment=settings.environment).tree
        assert tree.started is not None
        thresholds = Thresholds.for_range(tree.started.score_range, settings.alpha, settings.beta, settings.compat)
        price.include(
            price_of_judging(
                tree, thresholds, settings.judge, settings.verifier, max_pairs=settings.max_pairs,
                rank="return" if settings.compat else settings.rank, prompts=settings.prompts, cache=cache,
            )
        )  # fmt: skip
    return price


def confirm(price: JudgePrice, judge: JudgeSettings, yes: bool) -> None:
    """Say what judging may cost; ask where it costs or leaves this machine.

    Raises `InputError` where a person said no, or where nobody can be asked.
    """
    if not price.calls:
        return
    if not price.is_asked(judge):
        if sys.stderr.isatty():
            warn(str(price))
        return
    warn(str(price))
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("calls of a model may cost money, and nobody is here to be asked: --yes makes them")
    if input("go on? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise InputError("nothing was asked")


def judge_figures(totals: JudgeTotals | None) -> dict[str, Any]:
    """The figures of a judge as JSON; no calls where no model judged."""
    totals = totals or JudgeTotals()
    names = ("calls", "tokens_in", "tokens_out", "cost", "unread", "failed", "cached", "retried", "tokens_cached")
    return {name: getattr(totals, name) for name in names}


def told(totals: JudgeTotals) -> str:
    """What judging came to, in a line."""
    tokens = "unknown" if totals.tokens_in is None else f"{totals.tokens_in} + {totals.tokens_out or 0}"
    kept = f" ({totals.tokens_cached} of them cached)" if totals.tokens_cached else ""
    cost = "cost unknown" if totals.cost is None else f"${totals.cost:.4f}"
    odd = {"without a judgement": totals.unread, "failed": totals.failed, "attempts made again": totals.retried}
    more = "".join(f", {count} {word}" for word, count in odd.items() if count)
    return f"{totals.calls} calls, {totals.cached} known already, {tokens} tokens{kept}, {cost}{more}"


def complain(totals: JudgeTotals | None) -> int:
    """Warn of what was left out of requests, and where many votes came to nothing; returns the exit code."""
    if totals is not None and totals.left_out:
        warn(f"the judge's server refuses, and was asked without: {', '.join(totals.left_out)}")
    if said := complaint(totals):
        warn(said)
    return int(has_failed(totals))


@contextmanager
def progress(pairs: int, pool: JudgePool | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, with an estimate, while a model judges; it is told how many pairs are done."""
    if pool is None or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    asked = pool

    class Calls(ProgressColumn):
        """Calls and dollars so far."""

        def render(self, task: Task) -> Text:
            cost = f", ${asked.cost:.4f}" if asked.cost is not None else ""
            return Text(f"{asked.attempts} calls{cost}")

    columns = TextColumn("judging"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} pairs"), Calls()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=max(pairs, 1))
        yield lambda done: bar.update(task, completed=done)
