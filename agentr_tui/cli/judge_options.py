"""Options of commands that judge: what the verifier `openai` is, what it may cost, what is judged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.model_options import (
    BaseUrlOption,
    ExtraBodyOption,
    HeaderOption,
    KeyEnvOption,
    PriceCachedOption,
    PriceInOption,
    PriceOutOption,
    ReasoningEffortOption,
    RetriesOption,
    TimeoutOption,
    TopPOption,
)
from agentr_tui.cli.options import BUDGETS, JUDGE, MODEL, PAIRS, option_of
from agentr_tui.terminal.output import warn
from engine.base.errors import InputError, refused_value
from engine.base.secrets import check_body, check_url
from engine.base.text import many
from engine.environment.opened import at_hand
from engine.samples.settings import rank_of, thresholds_of
from engine.samples.splice import BeforeFork
from engine.search.settings import with_body
from engine.verifiers.base import JudgeSettings, JudgeTotals
from engine.verifiers.judge_price import JudgePrice
from engine.verifiers.parallel_judging import complaint, has_failed, price_of_judging

if TYPE_CHECKING:
    from engine.samples.settings import ReviseSettings
    from engine.verifiers.judge_pool import JudgePool


_option = partial(option_of, JudgeSettings)


JudgePromptsOption = Annotated[
    str, Parameter(group=JUDGE, show_default=False, help="Folder of prompts that replace the shipped ones.")
]
BeforeForkOption = Annotated[
    BeforeFork,
    Parameter(
        group=PAIRS,
        show_default="recover",
        help="What becomes of a wrong step that the good trajectory shares: recover, keep, move or refuse.",
    ),
]


class JudgeFlags(TypedDict, total=False):
    """One option for each field of `JudgeSettings`."""

    model: Annotated[str, _option(MODEL, "model", "Model of the verifier openai.")]
    base_url: BaseUrlOption
    key_env: KeyEnvOption
    votes: Annotated[int, _option(JUDGE, "votes", "Number of replies for each step. More than half must agree.")]
    temperature: Annotated[
        float,
        _option(
            JUDGE,
            "temperature",
            "Sampling temperature of the judge. The default is 0 for one vote and 0.7 for several.",
        ),
    ]
    max_tokens: Annotated[int, _option(JUDGE, "max_tokens", "Maximum tokens of one reply.")]
    timeout: TimeoutOption
    retries: RetriesOption
    price_in: PriceInOption
    price_out: PriceOutOption
    price_cached: PriceCachedOption
    top_p: TopPOption
    reasoning_effort: ReasoningEffortOption
    extra_body: ExtraBodyOption
    header: HeaderOption
    no_system: Annotated[
        bool, _option(MODEL, "no_system", "Send the system message as part of the user message.", negative="")
    ]
    structured: Annotated[
        Literal["", "json"],
        _option(JUDGE, "structured", "Ask for a JSON object, which helps small models: json.", show_choices=False),
    ]
    concurrency: Annotated[int, _option(JUDGE, "concurrency", "Number of simultaneous calls. It never changes a run.")]
    budget_tokens: Annotated[int, _option(BUDGETS, "budget_tokens", "Stop judging after this many tokens.")]
    budget_cost: Annotated[float, _option(BUDGETS, "budget_cost", "Stop judging after this many US dollars.")]
    budget_calls: Annotated[int, _option(BUDGETS, "budget_calls", "Stop judging after this many calls.")]
    budget_seconds: Annotated[float, _option(BUDGETS, "budget_seconds", "Stop judging after this many seconds.")]


def judge_of(flags: JudgeFlags | None) -> JudgeSettings:
    """The settings that the options make. Raises `InputError` naming the one that is unusable."""
    try:
        settings = msgspec.convert(with_body(dict(flags or {})), JudgeSettings)
        check_url(settings.base_url)
        check_body(settings.extra_body)
        return settings
    except msgspec.ValidationError as error:
        raise InputError("option {} of the judge: {}".format(*refused_value(error))) from error


def price_of_all(sources: Sequence[Path], settings: ReviseSettings, cache: Path, broken: BrokenFiles) -> JudgePrice:
    """Returns what the judge costs at most for all pairs of these sources. Raises `InputError`.

    `sources`: traces and tree files. `settings`: of the run. `cache`: folder of replies, of which known ones cost
    nothing. `broken`: takes the sources that can't be read.
    """
    price = JudgePrice()
    for _, source in broken.each(sources, settings.environment):
        tree = source.tree
        price.include(
            price_of_judging(
                tree, thresholds_of(tree, settings), settings.judge, settings.verifier, max_pairs=settings.max_pairs,
                rank=rank_of(settings), prompts=settings.prompts, cache=cache,
            )
        )  # fmt: skip
    return price


def price_of_all_seams(sources: Sequence[Path], settings: ReviseSettings, broken: BrokenFiles) -> JudgePrice:
    """Returns what judging the seams of these sources costs at most. Raises `InputError`.

    `sources`: traces and tree files. `settings`: of the run. `broken`: takes the sources that can't be read.
    """
    from engine.verifiers.seam_judge import price_of_seams

    price = JudgePrice()
    for _, source in broken.each(sources, settings.environment):
        tree, started = source.tree, source.tree.started
        if started is None or at_hand(settings.environment or started.environment):
            continue  # what is replayed has no seam to judge
        terms = thresholds_of(tree, settings)
        price.include(price_of_seams(tree, terms, settings.seam, settings.judge, settings.max_pairs))
    return price


def confirm(price: JudgePrice, judge: JudgeSettings, yes: bool) -> None:
    """Say what judging may cost; ask where it costs or leaves this machine. Raises `InputError` where a person said no,
    or where nobody can be asked.

    `price`: calls and cost. `judge`: the model's settings. `yes`: whether `--yes` was given.
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
        raise InputError("this calls a paid model, and there is no terminal to confirm it on: pass --yes to go ahead")
    if input("continue? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise InputError("cancelled; no model was called")


def judge_figures(totals: JudgeTotals | None) -> dict[str, Any]:
    """The figures of a judge as JSON; no calls where no model judged."""
    totals = totals or JudgeTotals()
    names = ("calls", "tokens_in", "tokens_out", "cost", "unread", "failed", "cached", "retried", "tokens_cached")
    return {name: getattr(totals, name) for name in names}


def format_totals(totals: JudgeTotals) -> str:
    """Returns the figures of judging, in a line."""
    tokens = "unknown" if totals.tokens_in is None else f"{totals.tokens_in} + {totals.tokens_out or 0}"
    kept = f" ({totals.tokens_cached} of them cached)" if totals.tokens_cached else ""
    cost = "cost unknown" if totals.cost is None else f"${totals.cost:.4f}"
    odd = {"without a judgement": totals.unread, "failed": totals.failed}
    more = "".join(f", {count} {word}" for word, count in odd.items() if count)
    more += f", {many(totals.retried, 'attempt')} made again" if totals.retried else ""
    return f"{many(totals.calls, 'call')}, {totals.cached} known already, {tokens} tokens{kept}, {cost}{more}"


def complain(totals: JudgeTotals | None, structured: bool) -> int:
    """Warn about parameters that were left out of requests, and about many unread votes; returns the exit code."""
    if totals is not None and totals.left_out:
        warn(f"the judge's server refuses these parameters, so they were left out: {', '.join(totals.left_out)}")
    if said := complaint(totals, structured):
        warn(said)
    return int(has_failed(totals))


@contextmanager
def progress(pairs: int, pool: JudgePool | None) -> Iterator[Callable[[int], None]]:
    """Shows a bar on a terminal, with an estimate, while a model judges; it is called with the number of finished
    pairs."""
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
            return Text(f"{many(asked.attempts, 'call')}{cost}")

    columns = TextColumn("judging"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} pairs"), Calls()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=max(pairs, 1))
        yield lambda done: bar.update(task, completed=done)
