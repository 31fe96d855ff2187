"""Accepting what waits for a verdict and passes the replay, all at once, after a question. No Textual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentr_tui.screens.dataset.run_watch import RunWatch
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.screens.shared.services import Services
from engine.base.text import many
from engine.environment.replay import HOLDS
from engine.review.curation import review_settings
from engine.review.decisions import Decided
from engine.samples.sample import Sample


def waiting(samples: Sequence[Sample], current: Mapping[str, Decided]) -> list[str]:
    """Returns the ids of revision samples that pass the replay, and that nobody decided about.

    `samples`: of the run. `current`: the decisions in force, by sample id.
    """
    return [
        sample.id
        for sample in samples
        if sample.kind != "good"
        and sample.verdict in HOLDS
        and not sample.no_wrong_step
        and not ((decided := current.get(sample.id)) is not None and decided.by_reviewer)
    ]


def ask_accept_all(services: Services, runs: RunWatch) -> None:
    """Ask whether to accept all that wait, of those that are counted; say so where none waits.

    `services`: of the screen. `runs`: the run that is shown.
    """
    if runs.counted is None:
        return
    session, summary = services.session, runs.counted.summary
    if review_settings(session.workspace.settings_file).blind:
        services.say("Blind mode: decide one by one, on Revision.", severity="warning")
        return
    found = waiting(summary.left, summary.current)
    if not found:
        services.say("Nothing waits: every sample that passes the replay has a verdict.")
        return

    def accepted(_: object) -> None:
        services.say(f"{many(len(found), 'sample')} accepted: u on Revision takes that back")
        runs.look()

    def accept() -> None:
        services.in_thread(lambda: session.decisions.decide_all(found, "accepted"), accepted, "accept")

    services.choose(
        f"Accept {many(len(found), 'sample')} that pass the replay, unseen?",
        [Choice("y", "accept all of them", accept), Choice("escape", "none", lambda: None)],
    )
