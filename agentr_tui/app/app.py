"""The app: five modes over one session, themes, the flush that folds events into the tree on screen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.console import RenderableType
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, MouseUp, Paste
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.theme import Theme
from textual.widget import AwaitMount, Widget
from textual.worker import WorkerCancelled, get_current_worker

from agentr_tui.app.badges import badges
from agentr_tui.app.hints import Hints
from agentr_tui.app.menus import ask_screen, ask_whether_to_leave
from agentr_tui.app.notices import hide_empty_racks, take_back
from agentr_tui.app.preferences import Preferences
from agentr_tui.app.removed_widgets import forget_removed
from agentr_tui.app.type_ahead import TypeAhead
from agentr_tui.screens.dataset.screen import DatasetScreen
from agentr_tui.screens.library.screen import LibraryScreen
from agentr_tui.screens.pairs.screen import PairsScreen
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.shared.copying import ask_copy
from agentr_tui.screens.shared.dialogs import ask_yes
from agentr_tui.screens.shared.help import HelpScreen
from agentr_tui.screens.shared.host import Host
from agentr_tui.screens.shared.loud_workers import LoudWorkers
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.screens.shared.palette import ActionCommands
from agentr_tui.state.error_log import error_line
from agentr_tui.state.last_place import LastPlace, Place
from agentr_tui.state.live_search import LiveSearch
from agentr_tui.state.own_settings import OwnSettings
from agentr_tui.state.session import OpenTree, Session, read_tree
from agentr_tui.state.tour import Tour
from agentr_tui.terminal.ascii_fallback import Plain
from agentr_tui.terminal.control_filter import Chain, Guard
from agentr_tui.terminal.gc_pauses import keep_grown
from agentr_tui.terminal.safe_text import escape
from agentr_tui.terminal.slow_terminal import is_behind
from agentr_tui.terminal.theme import THEME_VARIABLE_DEFAULTS, app_options, glyphs, install, no_color
from engine.base.errors import AgentrError
from engine.base.untrusted_files import holds_file
from engine.verifiers.base import JudgeSettings

FLUSHES_A_SECOND = 10
KEY_FRAME, FLUSH_AT_LEAST = 0.05, 0.25
"""Seconds that a key has until its frame is drawn: no flush in them, unless that long passed since the last one."""

SWITCH_INTERVAL = 0.0005
"""Seconds after which the engine's thread yields to the screen's: keys stay quick beside a busy search."""

LONGEST_NOTICE = 600
"""Characters of a notice that are shown."""

BADGES_EVERY = 1.0
"""Seconds between two counts of what waits on the other screens."""


class AgentrApp(LoudWorkers, Host):
    """Watch a search, pair its leaves, revise, review, export."""

    TITLE = "agentr"
    CSS_PATH = Path(__file__).with_name("agentr.tcss")  # a subclass in another folder has it, too
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = App.COMMANDS | {ActionCommands}
    MODES: ClassVar = {
        "library": LibraryScreen,
        "search": SearchScreen,
        "pairs": PairsScreen,
        "revision": RevisionScreen,
        "dataset": DatasetScreen,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"mode('{name}')", name.capitalize(), show=False, id=f"mode.{name}",
                    tooltip=f"Go to the {name} screen")
            for number, name in enumerate(MODES, 1)
        ),
        Binding("question_mark", "help", "help", id="help", tooltip="What the keys do here", key_display="?"),
        Binding("y", "copy", "copy…", id="copy", show=False,
                tooltip="Copy an id, a path, an action, a conversation, JSON"),
        Binding("ctrl+p", "command_palette", "palette", id="palette", show=False, priority=True,
                tooltip="Every action, by its name"),
        Binding("colon", "command_palette", "command", id="command", show=False, key_display=":",
                tooltip="Command line: every action, by its name"),
        Binding("escape", "end_hints", "no hints", id="hints.end", show=False, priority=True,
                tooltip="No more hints of the first minute, ever"),
        Binding("q", "go_back", "back", id="back", show=False, tooltip="Back; at the first screen: leave"),
        Binding("ctrl+q", "leave", "Quit", id="quit", show=False, priority=True,
                tooltip="Quit at once; a running search stops cleanly and can be resumed"),
    ]  # fmt: skip

    def __init__(
        self,
        session: Session,
        start_mode: str = "library",
        preferences: Preferences | None = None,
        memory: LastPlace | None = None,
        place: Place | None = None,
        opening: tuple[Path, bool] | None = None,
        own: OwnSettings = OwnSettings(),  # noqa: B008 - frozen
        tour: Tour | None = None,
    ) -> None:
        """`memory` keeps theme and place; None forgets them. `place`: where to go on, once its trace is read.

        `opening`: a trace to read while the app runs already, and whether to follow it. `own` reads the
        user's settings when they are needed. `tour`: hints for the first minute; None gives none.
        """
        super().__init__(**app_options())
        self.guard = Guard()
        self.session = session
        self.preferences = preferences or Preferences()
        self.to_detach: Path | None = None  # trace of a search that is to go on without the app
        self._memory, self._place, self._opening = memory, place, opening
        self._own = own
        self._hints = Hints(tour)
        self._start_mode = start_mode
        self._read: tuple[Path, float] | None = None  # what the screen said of a trace that is being read
        self._typed = self._flushed = 0.0  # when the last key came, and when events were folded last
        self._leave_with: int | None = None  # the exit code, once a person or a signal says that the app is to end
        self._has_ended = False
        self._badges: tuple[float, tuple[tuple[str, str], ...]] = (-BADGES_EVERY, ())
        self._plain = Plain()
        self._filtering = Chain()
        self._type_ahead = TypeAhead(self, super().on_event, lambda: session.running and not session.tree)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our variables, also under themes that are not ours."""
        return {**super().get_theme_variable_defaults(), **THEME_VARIABLE_DEFAULTS}

    def on_mount(self) -> None:
        """Theme, first screen, the pulse that folds events."""
        theme = self.preferences.theme
        install(self, self._memory.theme(theme) if self._memory else theme, self.preferences.looks)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.set_keymap(self.preferences.keymap)
        sys.setswitchinterval(SWITCH_INTERVAL)
        if self.session.live is not None:
            self.run_live(self.session.live)
        self.set_interval(1 / FLUSHES_A_SECOND, self._pulse)
        self.switch_mode(self._start_mode)
        place = self._place
        if self._opening is not None:
            self.open_path(*self._opening)
        elif place is not None and place.mode in [*self.MODES][1:] and holds_file(place.trace):
            self.open_path(Path(place.trace), mode=place.mode)
        if self.session.unasked is not None:
            self.call_after_refresh(ask_yes, self, self.session.unasked, self._settings_hold)

    def _settings_hold(self) -> None:
        """A person said yes to what the workspace's settings name."""
        self.session.take_settings(self._own.search())

    def _theme_changed(self, theme: Theme) -> None:
        memory, configured = self._memory, self.preferences.theme
        if memory is not None and not no_color() and theme.name != memory.theme(configured):
            memory.keep_theme(theme.name, configured)

    def on_unmount(self) -> None:
        """However the app ends (a crash, a closed terminal): its search stops cleanly, paused or not."""
        live = self.session.live
        if live is not None and not live.over:
            live.control.stop("stopped")

    def call_from_thread(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As Textual's, for workers; nothing, where the app was left meanwhile."""
        try:
            return super().call_from_thread(callback, *args, **kwargs)
        except RuntimeError:
            if self.is_running:
                raise
            return None

    # -- the open tree -----------------------------------------------------------------------------

    def _pulse(self) -> None:
        if self._leave_with is not None:
            self._leave(self._leave_with)
        self.flush()

    def flush(self) -> None:
        """Fold new events, and update the screen in front."""
        now = time.monotonic()
        keys_first = is_behind(self._driver) or (now < self._typed + KEY_FRAME and now < self._flushed + FLUSH_AT_LEAST)
        if not self.is_running or keys_first:  # leaving: the screens are gone already
            return
        self._flushed = now
        hide_empty_racks(self)
        self._show_hint()
        session = self.session
        was_over = session.live is not None and session.live.over
        try:
            first = session.flush()
        except (AgentrError, ValueError) as error:
            session.follower = None
            self.complain(str(error))
            return
        if isinstance(self.screen, ModeScreen) and self.screen.is_mounted:
            if first is not None:
                self.screen.tree_grew(first)
            elif was_over and session.live is not None:
                if session.live.error:
                    self.complain(session.live.error)
                session.live = None
                self.screen.refresh_view()
            elif session.reading != self._read and session.tree is None and isinstance(self.screen, SearchScreen):
                self._read = session.reading
                self.screen.refresh_view()
        if isinstance(self.screen, ModeScreen) and self.screen.is_mounted:
            if now - self._badges[0] > BADGES_EVERY:
                self._badges = now, tuple(badges(session, self._to_review()).items())
            self.screen.top_bar.badges = self._badges[1]
        if session.behind:  # keys and frames first
            self.set_timer(0.01, self.flush)

    def _to_review(self) -> int | None:
        """Samples of the open review that nobody decided; None where none is open."""
        screen = next(
            (each for each in self._screen_stacks.get("revision", ()) if isinstance(each, RevisionScreen)), None
        )
        review = screen.front.review if screen is not None else None
        return None if review is None else len(review.samples) - review.counts().done

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hints can be ended while one is shown, where escape means nothing else."""
        if action == "end_hints":
            return self._hints.can_end(self.screen)
        return super().check_action(action, parameters)

    def action_end_hints(self) -> None:
        """Show no more hints, from now on."""
        self._hints.end()
        self._show_hint()

    def _show_hint(self) -> None:
        self._hints.show(self.screen, self.current_mode, self.session)

    def run_live(self, live: LiveSearch) -> None:
        """Run a search in a thread worker; the flush shows it."""
        self.run_worker(live.run, name="search", group="search", thread=True, exclusive=True, exit_on_error=False)

    def open_path(self, path: Path, follow: bool = False, mode: str = "search", beside: Path | None = None) -> None:
        """Show a trace or tree file, or one line that says why not. A worker reads it."""

        def told(share: float) -> None:
            self.session.reading = (path, round(share, 2))  # the next flush shows it
            if get_current_worker().is_cancelled:
                raise WorkerCancelled

        def read() -> None:
            try:
                opened = read_tree(path, follow, told)
            except AgentrError as error:
                self.session.reading = None
                self.call_from_thread(self.complain, str(error))
            else:
                self.call_from_thread(self._opened, opened, mode, beside)

        self.run_worker(read, group="open", thread=True, exclusive=True)

    def _opened(self, opened: OpenTree, mode: str, beside: Path | None) -> None:
        self.session.reading, self.session.beside = None, beside
        try:
            self.session.show(opened)
        except AgentrError as error:
            self.complain(str(error))
        else:
            self.show_tree(mode)

    def show_tree(self, mode: str = "search") -> None:
        """The session has another tree: go to a screen that shows it."""
        for warning in self.session.warnings:
            self.notify(warning, severity="warning", markup=False)
        forget_removed(self._screen_stacks.values())
        self.switch_mode(mode)
        screen = self.screen
        if isinstance(screen, ModeScreen) and screen.is_mounted:  # a new one opens it when it is mounted
            screen.tree_opened()
        self.call_after_refresh(keep_grown)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a notice. It may quote models, files and environments, so its text is escaped."""
        for shown in [each for each in self._notifications if each.message == message]:
            take_back(self, shown)  # said again: it stands there once
        text = escape(message if len(message) <= LONGEST_NOTICE else message[:LONGEST_NOTICE] + "…", multiline=True)
        super().notify(text, title=escape(title), severity=severity, timeout=timeout, markup=False)

    def own_judge(self) -> JudgeSettings:
        """The verifier `openai` as the user's settings name it. Reads files: call it in a worker."""
        return self._own.judge()

    def complain(self, message: str) -> None:
        """One line that says what went wrong."""
        self.notify(f"{glyphs().bad} {message}", severity="error", timeout=8, markup=False)

    def error_line(self, error: Exception) -> str:
        """One line about an error, from any thread; a defect of ours is logged in the workspace."""
        return error_line(self.session.workspace.path, error)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Those of Textual; the one that lets no control character out; letters that the locale has."""
        own = [each for each in (self.guard, self._plain) if each.enabled]
        self._filtering = self._filtering.of([*super().get_line_filters(), *own])
        return [self._filtering]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette holds besides the actions of `ActionCommands`."""
        yield SystemCommand("Theme", "Dark, light, without red and green, without colours; yours", self.search_themes)
        yield SystemCommand("Picture", "Save the screen as SVG", lambda: self.set_timer(0.1, self.deliver_screenshot))

    # -- actions -----------------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        """A key that is typed waits until the one before it is done."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self._typed = time.monotonic()
            if not self.is_leaving:
                await self._type_ahead.take(event)
        else:
            if isinstance(event, MouseUp):
                self._type_ahead.acted()
            await super().on_event(event)

    def on_key(self, event: Key) -> None:
        """Explains a key that is not bound."""
        if line := self._hints.of_key(event, self.screen):
            self.notify(line, markup=False, timeout=3)

    def action_help_quit(self) -> None:
        """Ctrl+C only explains how to quit: it is easily pressed by habit."""
        self.notify("ctrl+q quits; a running search stops cleanly and can be resumed", timeout=3)

    def action_mode(self, mode: str) -> None:
        """Go to one of the five screens."""
        if isinstance(self.screen, ModeScreen):
            self.switch_mode(mode)

    def action_screens(self) -> None:
        """The five screens, and the way out, as a menu: for the mouse."""
        if isinstance(self.screen, ModeScreen):
            ask_screen(self, self.MODES, self.action_mode, self.action_help, self.action_go_back)

    def action_help(self) -> None:
        """The keys of where you are."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_go_back(self) -> None:
        """Close a dialog; from another screen to the library; from the library out."""
        if not isinstance(self.screen, ModeScreen):
            self.pop_screen()
        elif self.current_mode != "library":
            self.switch_mode("library")
        elif self.session.running:
            paused = self.session.tree is not None and self.session.tree.state == "paused"
            ask_whether_to_leave(self, paused, self.action_detach, self.action_leave)
        else:
            self.exit(0)

    def action_copy(self) -> None:
        """What can be copied here."""
        if isinstance(self.screen, ModeScreen):
            ask_copy(self, self.screen.copyable())

    def action_leave(self) -> None:
        """Stop a running search cleanly, then quit."""
        self._leave(0)

    def action_detach(self) -> None:
        """Quit; a running search continues in a process of its own."""
        live = self.session.live
        if live is not None and not live.over:
            self.to_detach = live.path
        self._leave(0)

    def switch_mode(self, mode: str) -> AwaitMount:
        """Show the screen of a mode; none once the app ends: work that is done just then would open one among those
        that are closed."""
        return AwaitMount(Widget(), []) if self._has_ended else super().switch_mode(mode)

    @property
    def is_leaving(self) -> bool:
        """Whether a person or a signal said that the app is to end."""
        return self._leave_with is not None

    def leave_soon(self, code: int) -> None:
        """Quit at the next pulse, with an exit code; for signals and threads, at any moment, also before the first
        screen is there."""
        self._leave_with = code

    def _leave(self, code: int) -> None:
        """Go on with leaving. Each pulse calls it until the app has ended: whatever happens meanwhile, none is lost."""
        self._leave_with = code
        self._type_ahead.forget()
        live = self.session.live
        if live is not None and not live.over:
            if live.control.stop_reason is None:
                live.control.stop("stopped")
        elif not self.is_running or self.screen.is_mounted:
            self.exit(code)

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        """Remember where the person was, then end; a screen that opens just now is there first."""
        if self.is_running and not self.screen.is_mounted:  # it would look for parts that it gets no more
            self.set_timer(0.02, partial(self.exit, result, return_code, message))
            return
        self._has_ended = True
        try:
            self.remember()
        finally:  # whatever keeps it from being remembered: who leaves, leaves
            super().exit(result, return_code, message)

    def remember(self) -> None:
        """Keep where the person is, for the next time."""
        if self._memory is not None and self.current_mode in self.MODES:
            self.session.keep_view()
            self._memory.keep_place(self.current_mode, self.session.path, self.session.views)
