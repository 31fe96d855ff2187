"""A model judges the sample in front, beside the screen: step by step, to be stopped at any time."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace
from textual.timer import Timer

from agentr_tui.screens.revision.menus import RevisionMenus
from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text
from agentr_tui.state.review.judging_job import ByModel
from agentr_tui.state.review.queue import Shown
from engine.base.errors import AgentrError
from engine.pairs.pairs import Pair
from engine.verifiers.base import JudgeSettings, first_wrong_step

LOOK_EVERY = 0.2  # seconds


class JudgesByModel(RevisionMenus):
    """The verifier `openai` on the Revision screen; what it said stays beside the others' judgements."""

    def __init__(self) -> None:
        super().__init__()
        self._judging: ByModel | None = None
        self._looking: Timer | None = None
        self._seen = 0  # judgements that are on screen

    def action_judge(self) -> None:
        """Ask which model, with what it costs; while one judges: stop it."""
        review, shown, judging = self._review, self._shown, self._judging
        if judging is not None:
            stop = Choice("S", f"stop it ({len(judging.judgements)} steps are judged)", judging.stop)
            ask(self.app, f"{judging.name} is judging.", [stop, Choice("escape", "let it go on", lambda: None)])
            return
        if review is None or shown is None or shown.sample.bad is None:
            return

        def asked(own: JudgeSettings) -> None:
            votes = f", {own.votes} votes each" if own.votes > 1 else ""
            ask_text(
                self.app,
                f"judge by MODEL [BASE URL]: up to {shown.sample.bad_depth} calls{votes}, key in ${own.key_env}",
                partial(self._judge, shown, own),
                f"{own.model} {own.base_url}".strip(),
            )

        self._in_thread(self.agentr.own_judge, asked, failed=self.agentr.complain, group="judge")

    def _judge(self, shown: Shown, own: JudgeSettings, text: str) -> None:
        review, sample = self._review, shown.sample
        words = text.split()
        if review is None or sample.bad is None or sample.good is None or not words or self._judging is not None:
            return
        settings = replace(own, model=words[0], base_url=words[1] if len(words) > 1 else "")
        judging = self._judging = review.by_model[sample.id] = ByModel(f"openai:{settings.model}")
        self._seen = -1
        self._looking = self.set_interval(LOOK_EVERY, self._look_at_judge)
        pair = Pair(sample.good, sample.bad, shown.tree.ancestors(sample.bad)[sample.fork_depth], 0.0)
        cache = review.workspace.judgements

        def run() -> None:
            error = ""
            try:
                judging.run(shown.tree, pair, settings, cache)
            except AgentrError as failed:
                error = str(failed)
            if self.app.is_running:
                self.app.call_from_thread(self._judged, judging, error)

        self.run_worker(run, group="judging", thread=True, exit_on_error=False)

    def _look_at_judge(self) -> None:
        judging = self._judging
        if judging is not None and len(judging.judgements) != self._seen:
            self._seen = len(judging.judgements)
            self._show_later()

    def _judged(self, judging: ByModel, error: str) -> None:
        """It is over."""
        self._judging = None
        if self._looking is not None:
            self._looking.stop()
        mark = first_wrong_step(judging.judgements)
        if error:
            self.notify(f"{judging.name}: {error}", severity="warning", markup=False)
        elif mark is None:
            self.notify(f"{judging.name} found nothing wrong.", markup=False)
        else:
            told = f"{judging.name}: step {mark} is the first wrong one; J K, or a double click, move the mark there."
            self.notify(told, markup=False)
        if self.is_mounted:
            self._show_later()

    def on_unmount(self) -> None:
        """Leaving: what is being judged stops; replies that came are kept."""
        if self._judging is not None:
            self._judging.stop()
