"""Mutants of what is shown, and of the keys."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_PARTS = "agentr_tui/screens/test_search_parts.py"
_ASKING = "agentr_tui/screens/test_search_parts_asking.py"
_TIME, _FINDER = "agentr_tui/screens/search/time_travel.py", "agentr_tui/screens/search/finder.py"
_INTERVENTIONS = "agentr_tui/screens/search/interventions.py"

SCREENS: list[Mutant] = [
    # -- the Search screen's parts
    mutant(
        "time-now",
        "the last event is now, not the past",
        _TIME,
        "None if seq >= session.tree.seq else max(0, seq)",
        "None if seq > session.tree.seq else max(0, seq)",
        f"{_PARTS}::test_a_moment_is_shown_and_the_last_event_and_beyond_is_now",
    ),
    mutant(
        "time-iteration",
        "the iteration before ends before the moment that is shown",
        _TIME,
        "place = bisect_left(ends, now) - 1",
        "place = bisect_right(ends, now) - 1",
        f"{_PARTS}::test_iterations_are_gone_through_by_their_ends",
    ),
    mutant(
        "time-new",
        "going back marks nothing as new",
        _TIME,
        "for id in changes.new} if after > before else {}",
        "for id in changes.new}",
        f"{_PARTS}::test_a_step_forth_marks_what_is_new_and_how_often_the_others_were_visited",
    ),
    mutant(
        "find-around",
        "after the last match the first one follows",
        _FINDER,
        "return bisect_right(ordered, here, key=key) % len(ordered)",
        "return min(bisect_right(ordered, here, key=key), len(ordered) - 1)",
        f"{_PARTS}::test_next_and_before_go_through_the_rows_and_around_the_end",
    ),
    mutant(
        "find-grown",
        "a tree that grew is looked through again",
        _FINDER,
        "if self._found_in != (tree_of(reader), reader.seq):",
        "if self._found_in is None:",
        f"{_PARTS}::test_a_tree_that_grew_or_another_is_looked_through_again_and_only_in_front",
    ),
    mutant(
        "space-resumes",
        "space lets a paused search go on",
        "agentr_tui/screens/search/steering.py",
        "control.resume() if paused else control.pause()",
        "control.pause()",
        f"{_ASKING}::test_space_pauses_a_running_search_and_lets_a_paused_one_go_on",
    ),
    mutant(
        "past-asks",
        "what is asked in the past does not reach the search that runs",
        _INTERVENTIONS,
        "return session.past is None and session.control is not None",
        "return session.control is not None",
        f"{_ASKING}::test_what_is_asked_in_the_past_does_not_reach_the_search_that_runs",
    ),
    mutant(
        "told-once",
        "what a request came to is told once",
        _INTERVENTIONS,
        "        self._logged = len(log)",
        "        self._logged = 0",
        f"{_ASKING}::test_only_what_happens_from_now_on_is_told",
    ),
    mutant(
        "good-or-bad",
        "a node is marked good or bad, never both",
        "agentr_tui/state/bookmarks.py",
        'other: dict[Kind, Kind] = {"good": "bad", "bad": "good"}',
        "other: dict[Kind, Kind] = {}",
        "agentr_tui/screens/test_search_parts_node.py::test_a_mark_is_written_and_shown_and_good_and_bad_take_each_others_place",
    ),
    # -- widgets and the terminal
    mutant(
        "controls-c1",
        "no control character of any kind is shown as it is",
        "agentr_tui/terminal/safe_text.py",
        r"\x00-\x1f\x7f-\x9f\xad",
        r"\x00-\x1f\x7f\xad",
        "agentr_tui/terminal/test_safe_text.py::test_no_control_character_survives",
    ),
    mutant(
        "guard-off",
        "what a widget lets through is taken out before the terminal",
        "agentr_tui/terminal/control_filter.py",
        "Segment(without_controls(text), style, control)",
        "Segment(text, style, control)",
        "agentr_tui/terminal/test_hostile_text.py::test_what_is_pasted_into_an_input_never_reaches_the_terminal",
    ),
    mutant(
        "fenwick-sum",
        "the rows below a wide node are summed up right while it grows",
        "agentr_tui/widgets/tree/fenwick.py",
        "sums.append(value + prefix(sums, place - 1) - prefix(sums, place - (place & -place)))",
        "sums.append(value)",
        "agentr_tui/widgets/test_tree_rows.py::test_a_wide_node_grows_and_goes_back_in_time_with_its_sums_in_use",
    ),
    mutant(
        "fold-rows",
        "folding a node takes the rows below it away",
        "agentr_tui/widgets/tree/row_counts.py",
        "self._change(id, -self._below[id])",
        "self._change(id, 0)",
        "agentr_tui/widgets/test_tree_rows.py::test_rows_are_the_depth_first_order_after_any_folding",
    ),
    mutant(
        "quit-asks",
        "q with a running search asks first",
        "agentr_tui/app/app.py",
        "elif self.session.running:",
        "elif self.session.live is None:",
        "agentr_tui/app/test_app.py::test_q_with_a_running_search_asks_first",
    ),
    # -- what is told of a search
    mutant(
        "query-return",
        "only leaves have a return",
        "engine/query/nodes.py",
        '"return": lambda node: node.reward if view.is_leaf(node) else None,',
        '"return": lambda node: node.reward,',
        "engine/query/test_query.py::test_every_field_and_flag_means_what_it_says",
    ),
    mutant(
        "changes-last",
        "what changed up to a moment holds the event of that moment",
        "engine/explain/timeline.py",
        "stop = bisect_right(backups, later, key=_seq)",
        "stop = bisect_right(backups, later - 1, key=_seq)",
        "engine/explain/test_timeline.py::test_what_one_event_changed_is_what_two_views_differ_in",
    ),
]
