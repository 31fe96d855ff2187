"""A model judges the sample in front, beside the screen: step by step, to be stopped at any time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.services import RevisionServices
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.state.review.judging_job import ByModel
from agentr_tui.state.review.shown_sample import Shown
from engine.base.text import many
from engine.pairs.pairs import Pair
from engine.verifiers.base import JudgeSettings, first_wrong_step

LOOK_EVERY = 0.2  # seconds


class ModelJudge:
    """The verifier `openai` on the Revision screen; its judgements stay beside those of others."""

    def __init__(self, services: RevisionServices, front: SampleInFront) -> None:
        self._services = services
        self._front = front
        self._judging: ByModel | None = None
        self._stop_looking: Callable[[], None] = lambda: None
        self._seen = 0  # judgements that are on screen

    def ask(self) -> None:
        """Ask which model, with what it costs; while one judges: stop it."""
        judging, shown = self._judging, self._front.shown
        if judging is not None:
            stop = Choice(
                "S", f"stop it ({many(len(judging.judgements), 'step is', 'steps are')} judged)", judging.stop
            )
            self._services.choose(f"{judging.name} is judging.", [stop, Choice("escape", "let it go on", lambda: None)])
            return
        if self._front.review is None or shown is None or shown.sample.bad is None:
            return

        def asked(own: JudgeSettings) -> None:
            votes = f", {own.votes} votes each" if own.votes > 1 else ""
            self._services.ask_text(
                f"judge by MODEL [BASE URL]: up to {shown.sample.bad_depth} calls{votes}, key in ${own.key_env}",
                partial(self._judge, shown, own),
                f"{own.model} {own.base_url}".strip(),
            )

        self._services.with_consent(self._services.own_judge, asked, "judge", failed=self._services.complain)

    def _judge(self, shown: Shown, own: JudgeSettings, text: str) -> None:
        review, sample = self._front.review, shown.sample
        words = text.split()
        if review is None or sample.bad is None or sample.good is None or not words or self._judging is not None:
            return
        settings = replace(own, model=words[0], base_url=words[1] if len(words) > 1 else "")
        judging = self._judging = review.by_model[sample.id] = ByModel(f"openai:{settings.model}")
        self._seen = -1
        self._stop_looking = self._services.every(LOOK_EVERY, self._look)
        pair = Pair(sample.good, sample.bad, shown.tree.ancestors(sample.bad)[sample.fork_depth], 0.0)
        cache = review.workspace.judgements
        self._services.in_thread(
            lambda: judging.run(shown.tree, pair, settings, cache),
            lambda _: self._over(judging, ""),
            "judging",
            failed=partial(self._over, judging),
        )

    def _look(self) -> None:
        judging = self._judging
        if judging is not None and len(judging.judgements) != self._seen:
            self._seen = len(judging.judgements)
            self._front.show_later()

    def _over(self, judging: ByModel, error: str) -> None:
        self._judging = None
        self._stop_looking()
        mark = first_wrong_step(judging.judgements)
        if error:
            self._services.say(f"{judging.name}: {error}", severity="warning")
        elif mark is None:
            self._services.say(f"{judging.name} found nothing wrong.")
        else:
            self._services.say(
                f"{judging.name}: step {mark} is the first wrong one; J K, or a double click, move the mark there."
            )
        self._front.show_later()

    def stop(self) -> None:
        """Stop the judging in progress, since the person leaves; replies that arrived are kept."""
        if self._judging is not None:
            self._judging.stop()
