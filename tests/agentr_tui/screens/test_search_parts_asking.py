"""The parts of the Search screen that ask: steering and interventions; over services without an app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentr_tui.screens.search.interventions import Interventions
from agentr_tui.screens.search.overlays.edit_step import EditStep
from agentr_tui.screens.search.steering import Steering
from agentr_tui.state.live_search import LiveSearch
from engine.pairs.pairs import best_partner
from engine.search.control import Control
from engine.search.interventions import Intervention
from engine.search.job import SearchJob, new_job
from engine.tree.events import Child, Intervened, Paused, SearchSettings
from engine.tree.tree import SearchTree
from tests.agentr_tui.services import FakeServices
from tests.agentr_tui.trees import Grower, yellow_bed
from tests.engine.searched import search

OVER = "No search is running here: press r in the library to resume one."


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


@pytest.fixture
def control(services: FakeServices, tmp_path: Path) -> Iterator[Control]:
    """The search that is shown runs here: what is asked of it, it keeps."""
    path = tmp_path / "live.trace.jsonl"
    live = LiveSearch(lambda listener: new_job("textcraft", "2", SearchSettings(), path, listener=listener))
    services.show(yellow_bed().tree, path)
    services.session.live = live
    yield live.control
    live.job.writer.close()


@pytest.fixture
def over(services: FakeServices, tmp_path: Path) -> SearchTree:
    """The search that is shown is over, and its trace is a file."""
    path = tmp_path / "over.trace.jsonl"
    tree = SearchTree(search(path, iterations=2))
    services.show(tree, path)
    return tree


def start(services: FakeServices) -> SearchJob:
    """Make the search that was started; it does not run."""
    (make,) = services.started
    job = make(lambda event: None)
    job.writer.close()
    return job


# -- steering ------------------------------------------------------------------------------------------


def test_space_pauses_a_running_search_and_lets_a_paused_one_go_on(services: FakeServices, control: Control) -> None:
    steering = Steering(services)
    assert services.session.tree is not None
    steering.pause()
    assert control.paused
    services.session.tree.state = "paused"  # as the event that follows says
    steering.pause()
    assert not control.paused


def test_a_step_and_a_stop_are_asked_of_the_search(services: FakeServices, control: Control) -> None:
    steering = Steering(services)
    steering.step()
    assert (control.paused, control._steps) == (True, 1)
    steering.stop()
    assert control.stop_reason == "stopped"


def test_where_no_search_runs_nothing_is_asked_and_it_is_said(services: FakeServices, over: SearchTree) -> None:
    steering = Steering(services)
    steering.pause()
    steering.step()
    steering.stop()
    assert services.said == [OVER] * 3


def test_a_leaf_is_paired_with_its_best_partner_and_a_node_that_is_none_is_not(services: FakeServices) -> None:
    tree = yellow_bed().tree
    services.show(tree)
    steering = Steering(services)
    assert not steering.pair()
    assert not any(services.session.chosen)
    leaf = next(node for node in tree.leaves() if node.reward == 0)
    services.tree.cursor_node = leaf.id
    assert steering.pair()
    partner = best_partner(tree, leaf.id, services.session.thresholds)
    assert partner is not None
    assert services.session.chosen == (partner.good, leaf.id)


# -- interventions: where they go ----------------------------------------------------------------------


def test_the_menu_names_the_node_where_it_goes_on_and_what_each_costs(services: FakeServices, control: Control) -> None:
    services.tree.cursor_node = 5
    Interventions(services).menu()
    assert services.menu[0] == "node 5 · in this search"
    assert list(services.labels) == ["e", "x", "d", "w", "b", "s", "n", "f"]
    assert services.labels["x"] == "expand it now: 4 calls, tokens unknown"
    services.tree.cursor_node = 0
    Interventions(services).menu()
    assert "e" not in services.labels, "the root has no step to edit"
    assert services.labels["d"] == "prune what is below it"
    assert next(each for each in services.menu[1] if each.key == "d").why_not.startswith(
        "not now: the root can't be pruned"
    )


def test_what_is_asked_of_a_running_search_reaches_it(services: FakeServices, control: Control) -> None:
    services.tree.cursor_node = 5
    Interventions(services).menu()
    services.press("x")
    services.press("d")
    services.press("n")
    services.write("  look here ")
    assert [asked for _, asked in control.requests] == [
        Intervention("forced", 5),
        Intervention("pruned", 5),
        Intervention("note", 5, "look here"),
    ]
    services.press("n")
    services.write("   ")
    assert len(control.requests) == 3, "an empty note is none"


def test_what_can_not_be_done_is_said_and_not_asked(services: FakeServices, control: Control) -> None:
    Interventions(services).ask_for(Intervention("forced", 0))
    Interventions(services).ask_for(Intervention("pruned", 0))
    assert control.requests == []
    assert [said.partition(":")[0] for said in services.said] == ["That can't be done"] * 2
    assert "was expanded already" in services.said[0]


def test_what_is_asked_in_the_past_does_not_reach_the_search_that_runs(
    services: FakeServices, control: Control
) -> None:
    services.session.past = 8
    Interventions(services).ask_for(Intervention("note", 1, "then"))
    Interventions(services).change_settings("c=1.5")
    assert (control.requests, control.changes) == ([], [])
    Interventions(services).menu()
    assert services.menu[0] == "node 0 · the past: a new trace starts from event 8"


def test_in_the_past_a_new_trace_starts_from_there(services: FakeServices, over: SearchTree) -> None:
    seq = over.iteration_seqs[0]
    services.session.past = seq
    wanted = next(node.id for node in over.nodes[: over.nodes_at(seq)] if node.terminal is None and not node.children)
    Interventions(services).ask_for(Intervention("forced", wanted))
    assert services.menu[0] == f"a new trace from event {seq} of {over.seq}"
    assert services.labels["y"].startswith("start it: up to 1 iterations, ")
    assert services.started == []
    services.press("y")
    job = start(services)
    assert job.tree.started is not None
    assert job.tree.started.forked_from is not None
    assert job.tree.started.forked_from.seq == seq
    assert len(job.tree) == over.nodes_at(seq)
    assert [asked for _, asked in job.control.requests] == [Intervention("forced", wanted)]


def test_a_search_that_is_over_goes_on_in_a_new_trace_with_iterations_left(
    services: FakeServices, over: SearchTree
) -> None:
    Interventions(services).change_settings("c=1.5")
    assert services.menu[0] == f"a new trace from event {over.seq} of {over.seq}"
    assert services.labels["y"].startswith("start it: up to 4 iterations, ")
    services.press("escape")
    assert services.started == []
    services.press("y")
    settings = start(services).tree.settings_at(over.seq + 1)
    assert (settings.c, settings.iterations) == (1.5, 6)


def test_a_new_search_begins_with_the_way_to_a_node_as_its_prefix(services: FakeServices, over: SearchTree) -> None:
    deep = max((node for node in over.nodes if node.terminal is None), key=lambda node: node.depth)
    Interventions(services).ask_branch(deep.id)
    assert services.menu[0] == f"a new search from node {deep.id}, the {deep.depth} steps to it as its prefix"
    services.press("y")
    started = start(services).tree.started
    assert started is not None
    assert [step.action for step in started.prefix] == [over.nodes[id].action for id in over.ancestors(deep.id)[1:]]


def test_while_a_search_runs_no_other_is_started(services: FakeServices, control: Control) -> None:
    Interventions(services).ask_branch(5)
    Interventions(services).ask_fork([])
    assert services.menu == ("", [])


# -- interventions: steps, settings, breakpoints -------------------------------------------------------


def test_a_written_step_is_stepped_or_stepped_and_expanded_after_a_look_at_the_price(
    services: FakeServices, control: Control
) -> None:
    assert services.session.tree is not None
    asking = Interventions(services)
    asking.edit(0, 1)
    assert services.opened is not None
    screen, done = services.opened
    assert isinstance(screen, EditStep)
    assert done is not None
    done("Thought: no.\nAction: inventory now")
    assert services.labels["s"] == "step it in the environment: no calls"
    assert services.labels["x"] == "step it and expand it: 4 calls, tokens unknown"
    services.press("x")
    edited = Intervention("edited", 0, "Thought: no.\nAction: inventory now", 1)
    assert [asked for _, asked in control.requests] == [edited]


def test_a_step_that_says_what_a_sibling_says_is_refused_before_any_price(
    services: FakeServices, control: Control
) -> None:
    assert services.session.tree is not None
    asking = Interventions(services)
    asking.edit(0, 1)
    assert services.opened is not None
    assert services.opened[1] is not None
    services.opened[1](services.session.tree.nodes[2].response)
    assert services.said == ["That can't be done: that is what node 2 says already."]
    services.opened[1](None)
    assert services.menu == ("", [])


def test_settings_of_a_running_search_change_after_a_look_at_the_price(
    services: FakeServices, control: Control
) -> None:
    asking = Interventions(services)
    asking.ask_settings()
    assert services.asked is not None
    assert services.asked[2] == "c=0.25 iterations=4 samples=4 max_depth=10"
    services.write("c=0.25 iterations=4")
    assert services.said == ["These settings are in force already."]
    services.write("c=1.5 samples=4 iterations=6")
    assert services.menu[0] == "settings of the running search: c 0.25 → 1.5, iterations 4 → 6"
    assert control.changes == []
    services.press("y")
    assert [changes for _, changes in control.changes] == [{"c": 1.5, "iterations": 6}]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("c", "'c' is not a setting"),
        ("c=much", "setting c: 'much' is not a number"),
        ("model=x", "can't be changed while a search runs"),
        ("iterations=0", "iterations"),
    ],
)
def test_a_setting_that_can_not_be_is_one_line(services: FakeServices, control: Control, text: str, why: str) -> None:
    Interventions(services).change_settings(text)
    (line,) = services.complained
    assert why in line
    assert control.changes == []


def test_breakpoints_are_set_by_preset_and_by_query_and_taken_away(services: FakeServices, control: Control) -> None:
    grower = yellow_bed()
    grower.apply(Intervened(seq=0, who="ada", what="breakpoint", node=0, detail="good"))
    services.session.tree = grower.tree
    asking = Interventions(services)
    asking.breakpoints()
    assert services.labels["1"] == "the next disaster (disaster)"
    assert services.labels["a"] == "remove: good"
    services.press("1")
    services.press("a")
    services.press("4")
    services.write("return>=0.7")
    services.press("o")
    services.write("depht>3")
    assert [(asked.what, asked.detail) for _, asked in control.requests] == [
        ("breakpoint", "disaster"),
        ("breakpoint removed", "good"),
        ("breakpoint", "return>=0.7"),
    ]
    assert len(services.complained) == 1
    assert "depht" in services.complained[0]


# -- interventions: what came of it --------------------------------------------------------------------


def happens(services: FakeServices, grower: Grower, asking: Interventions, *events: Intervened | Paused) -> None:
    """Events arrive, and the part looks at the log."""
    services.session.tree = grower.tree
    for event in events:
        grower.apply(event)
    asking.take_log()


def test_only_what_happens_from_now_on_is_told(services: FakeServices) -> None:
    grower = yellow_bed()
    grower.apply(Intervened(seq=0, who="ada", what="pruned", node=5))
    asking = Interventions(services)
    happens(services, grower, asking)
    assert services.said == []
    happens(services, grower, asking, Intervened(seq=0, who="ada", what="restored", node=5))
    happens(services, grower, asking)
    assert len(services.said) == 1
    happens(services, grower, asking, Intervened(seq=0, who="ada", what="refused", node=5, detail="it is gone"))
    assert services.complained == ["it is gone"]
    happens(services, grower, asking, Intervened(seq=0, who="ada", what="note", node=5, detail="hm"))
    assert len(services.said) == 1, "a note of one's own is no news"


def test_a_breakpoint_shows_its_node_unless_the_past_is_looked_at(services: FakeServices) -> None:
    grower, asking = yellow_bed(), Interventions(services)
    happens(services, grower, asking)
    happens(
        services,
        grower,
        asking,
        Paused(seq=0, reason="breakpoint: node 7 is good", kind="breakpoint", node=7, query="good"),
    )
    assert services.tree.cursor_node == 7
    assert services.said == ["breakpoint: node 7 is good · space goes on"]
    services.session.past = 3
    happens(
        services,
        grower,
        asking,
        Paused(seq=0, reason="breakpoint: node 9 is good", kind="breakpoint", node=9, query="good"),
    )
    assert services.tree.cursor_node == 7
    happens(services, grower, asking, Paused(seq=0))
    assert len(services.said) == 2, "who asked for a pause knows"
    happens(services, grower, asking, Paused(seq=0, reason="12 draws in a row failed", kind="failures"))
    assert services.said[-1] == "12 draws in a row failed · space goes on"


def test_a_step_that_was_written_is_gone_to_and_expanded_once_it_is_there(
    services: FakeServices, control: Control
) -> None:
    grower, asking = yellow_bed(), Interventions(services)
    happens(services, grower, asking)
    edited = Intervention("edited", 0, "Thought: no.\nAction: inventory now")
    asking.ask_for(edited, expand=True)
    written = len(grower.tree)
    happens(
        services,
        grower,
        asking,
        Intervened(
            seq=0,
            who="ada",
            what="edited",
            node=0,
            detail=edited.detail,
            child=Child(-1, "inventory now", "Done.", response=edited.detail),
        ),
    )
    assert services.tree.cursor_node == written
    assert [asked for _, asked in control.requests] == [edited, Intervention("forced", written)]
