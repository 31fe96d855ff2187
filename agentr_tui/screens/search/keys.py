"""The keys of the Search screen."""

from __future__ import annotations

from textual.binding import BindingType

from agentr_tui.screens.search.imports.attempts import ATTEMPT_KEYS
from agentr_tui.screens.shared.mode_screen import key

SEARCH_KEYS: list[BindingType] = [
    key("space", "pause", "pause", "search.pause", "Pause the search, or go on", show=True),
    key("s", "step", "step", "search.step", "One expansion, then pause", show=True),
    key("comma", "event(-1)", "time", "search.event_back", "An event back in time", show=True, key_display=", ."),
    key("full_stop", "event(1)", "later", "search.event_forth", "An event forth"),
    key("less_than_sign", "iteration(-1)", "earlier", "search.iteration_back", "An iteration back in time"),
    key("greater_than_sign", "iteration(1)", "later", "search.iteration_forth", "An iteration forth"),
    key("L", "live", "live", "search.live", "Back to how the tree is now; then follow the newest node"),
    key("p", "pair", "pair", "search.pair", "Pair this leaf with its best partner", show=True),
    key("slash", "find", "find", "search.find", "Find nodes: q>0.5 disaster action~craft", show=True,
        key_display="/"),
    key("i", "intervene", "intervene…", "search.intervene", "Edit, expand, prune, breakpoint, settings", show=True),
    key("m", "mark", "mark…", "search.mark", "Mark this node: good, bad, a bookmark with a name", show=True),
    key("v", "view", "view…", "search.view", "Columns, overview, plots, compare, repeated states", show=True),
    key("right_square_bracket", "tab(1)", "tabs", "search.tab_next", "Next tab", show=True, key_display="[ ]"),
    key("left_square_bracket", "tab(-1)", "tabs", "search.tab_back", "Previous tab"), *ATTEMPT_KEYS,
    key("S", "stop", "stop", "search.stop", "Stop the search cleanly; it can be resumed", show=True),
    key("n", "find_next(1)", "next match", "search.find_next", "Next match", key_display="n N"),
    key("N", "find_next(-1)", "match before", "search.find_back", "Match before"),
    key("f", "find_mode", "filter or dim", "search.find_mode", "Hide the rows that do not match, or dim them"),
    key("apostrophe", "bookmarks", "marks", "search.bookmarks", "List all marks", key_display="'"),
    key("c", "other_c", "other c", "search.other_c", "What another exploration constant would choose"),
    key("tab", "app.focus_next", "next pane", "search.next_pane", "Next pane"),
    key("plus", "enlarge", "enlarge", "search.enlarge", "Enlarge the pane that has the focus"),
    key("underscore", "restore", "restore", "search.restore", "Restore the enlarged pane", key_display="esc"),
    key("colon", "go_to", "command", "search.go_to", "Command line: 87, t 120, best, fold 3, break good …"),
    key("escape", "escape", "restore", "search.escape", "Restore panes; then end finding; then take marks off"),
]  # fmt: skip
