"""The run that the Dataset screen shows, and the looks that keep it true: other reviewers decide, other runs end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.message import Message

from agentr_tui.screens.dataset.past_exports import PastExport, past_exports
from agentr_tui.screens.dataset.run import Counted, LoadedRun, count, load
from agentr_tui.screens.shared.services import Services, Stopped
from engine.base.errors import AgentrError
from engine.review.decisions import Decisions
from engine.workspace.workspace import Workspace


class RunWatch:
    """Reads and counts in a thread, which posts `Looked`; `moved` is called where another run is shown."""

    class Looked(Message):
        """A thread looked at the run: nothing changed, or the new content, or why it can't be read."""

        def __init__(
            self,
            loaded: LoadedRun | None = None,
            counted: Counted | None = None,
            exports: Sequence[PastExport] = (),
            *,
            same: bool = False,
            error: str = "",
        ) -> None:
            super().__init__()
            self.loaded, self.counted, self.exports = loaded, counted, exports
            self.same, self.error = same, error

    def __init__(self, services: Services, moved: Callable[[], None]) -> None:
        self._services = services
        self._moved = moved
        self._loaded: LoadedRun | None = None
        self._counted: Counted | None = None
        self._exports: Sequence[PastExport] = ()
        self._error = ""
        self._wanted: str | None = None  # id of the run that a person went to; None: the newest
        self._by = 0  # places from there that a person wants to go
        self._words = ""
        self._looking = False
        self._again = False
        self.looked_once = False  # something is known, if only that there is nothing

    @property
    def loaded(self) -> LoadedRun | None:
        """The run; None where there is none."""
        return self._loaded

    def take_disputed(self) -> bool:
        """Whether reviewers differ on samples: these are to be reviewed next. Says so where they differ on none."""
        found = self._counted.trust.disputed if self._counted is not None else []
        if found:
            self._services.session.review_query = f"id:{','.join(sample.id for sample in found)}"
        else:
            self._services.say("No sample is disputed: reviewers differ on none.")
        return bool(found)

    @property
    def counted(self) -> Counted | None:
        """What was counted of it; None where it can't be read."""
        return self._counted

    @property
    def exports(self) -> Sequence[PastExport]:
        """The exports of the workspace, the newest first."""
        return self._exports

    @property
    def error(self) -> str:
        """Why the run can't be read or counted."""
        return self._error

    @property
    def words(self) -> str:
        """Which samples are counted; empty: all."""
        return self._words

    def look(self) -> None:
        """Look at the run, where the screen is shown; during a look, ask for one more after it."""
        if not self._services.in_front:
            return
        if self._looking:
            self._again = True
            return
        self._looking, self._again = True, False
        session = self._services.session
        by, self._by = self._by, 0
        work = partial(self._work, session.workspace, session.decisions, self._wanted, by, self._words)
        self._services.beside(work, "dataset")

    def _work(
        self, workspace: Workspace, decisions: Decisions, wanted: str | None, by: int, words: str, stopped: Stopped
    ) -> None:
        """In a thread: read the run and the decisions where they changed, and count."""
        try:
            loaded = load(workspace, wanted, by, self._loaded)
            decisions.refresh()
            if loaded is None:
                self._services.post(self.Looked())
                return
            counted = count(workspace, loaded, decisions, words, self._counted)
            exports = past_exports(workspace.exports, {each.path: each for each in self._exports})
        except (AgentrError, OSError) as error:
            self._services.post(self.Looked(error=str(error)))
        else:
            same = counted is self._counted and exports == self._exports
            self._services.post(self.Looked(loaded, counted, exports, same=same))

    def looked(self, event: Looked) -> bool:
        """Takes up what a look found; whether there is something else to show."""
        self.looked_once = True
        if event.error:
            self._counted, self._error = None, event.error
        elif not event.same:
            loaded, before = event.loaded, self._loaded
            self._loaded, self._counted, self._error = loaded, event.counted, ""
            self._exports = event.exports
            if before is not None and loaded is not None and loaded.chosen.name != before.chosen.name:
                self._moved()
            if loaded is not None:
                self._wanted = None if loaded.default else loaded.run or loaded.info.id
        self._looking = False
        if self._again:
            self.look()
        return not event.same

    def filter(self, words: str) -> None:
        """Count only the samples that these words name."""
        self._words = words
        self.look()

    def go(self, by: int) -> None:
        """To an earlier run, or a later one."""
        loaded = self._loaded
        if loaded is None:
            return
        if not 0 <= loaded.place + by < loaded.of:
            self._services.say("There is no earlier run." if by > 0 else "This is the newest run.")
            return
        self._wanted, self._by = loaded.run, by
        self.look()
