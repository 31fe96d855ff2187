"""Reviewing without a screen: the queue, its orders, blindness, repairs; the command `review`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.commands.review import review as command
from agentr_tui.state.review.load import load_review
from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.shown_sample import reason_keys
from engine.base.errors import InputError
from engine.review.curation import ORDERS, REJECT_REASONS, ordered
from engine.review.decisions import Decisions
from engine.samples.settings import ReviseSettings
from engine.search.control import Control
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import opened, revised, searched
from tests.engine.made import AS_FOUND, made_workspace


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """The made tree and a run over it: six pairs, two good trajectories."""
    return made_workspace(tmp_path / "w")


def answer(capsys: pytest.CaptureFixture[str], place: Workspace, *words: str, **options: Any) -> dict[str, Any]:
    """What `agentr review … --json` prints."""
    assert command(*words, workspace=place.path, json=True, reviewer=options.pop("who", "ann"), **options) == 0  # type: ignore[arg-type]
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def loaded(place: Workspace, path: Path) -> Review:
    """The review of a tree."""
    return load_review(place, Decisions(place.decisions, "ann"), path, ReviseSettings(**AS_FOUND), None)


# -- the command ---------------------------------------------------------------------------------------


def test_list_names_samples_by_query_with_what_holds(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    everything = answer(capsys, place)
    assert everything["count"] == 8
    found = answer(capsys, place, "list", "verdict:diverged")
    assert [row["verdict"] for row in found["samples"]] == ["diverged"]
    assert answer(capsys, place, "list", limit=3)["count"] == 8
    assert len(answer(capsys, place, "list", limit=3)["samples"]) == 3
    assert command("list", workspace=place.path) == 0
    assert "diverged" in capsys.readouterr().out


def test_decisions_by_id_and_by_query_are_taken_back_as_one(
    place: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    one = answer(capsys, place, "list", "verdict:diverged")["samples"][0]["id"]
    assert answer(capsys, place, "reject", one, reason="poor")["samples"] == [one]
    bulk = answer(capsys, place, "accept", "verdict:verified,reobserved kind:revision")
    assert len(bulk["samples"]) == 5

    def decisions() -> list[str]:
        return [row["decision"] for row in answer(capsys, place, "list", "kind:revision")["samples"]]

    assert decisions().count("accepted") == 5
    assert set(answer(capsys, place, "undo")["samples"]) == set(bulk["samples"])
    assert decisions().count("accepted") == 0
    assert decisions().count("rejected") == 1
    assert len(answer(capsys, place, "redo")["samples"]) == 5
    assert decisions().count("accepted") == 5
    assert answer(capsys, place, "undo", who="bea")["samples"] == []  # of others nothing


def test_notes_and_tags_are_kept_by_command(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    id = answer(capsys, place)["samples"][0]["id"]
    answer(capsys, place, "note", id, note="look again")
    answer(capsys, place, "tag", id, tags=["later"])
    row = answer(capsys, place, "list", "tag:later")["samples"][0]
    assert (row["id"], row["note"], row["tags"], row["decision"]) == (id, "look again", ["later"], "undecided")


def test_next_goes_through_what_is_undecided(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    while (found := answer(capsys, place, "next", order="unsure"))["sample"] is not None:
        seen.append(found["sample"]["id"])
        assert any(turn["loss"] for turn in found["turns"])
        answer(capsys, place, "skip", seen[-1])
    assert len(seen) == len(set(seen)) == 6
    assert command("next", workspace=place.path) == 0
    assert "every sample is decided" in capsys.readouterr().out


def test_blind_hides_the_mark_and_the_verdict_until_decided(
    place: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, place, "next", blind=True)
    id = found["sample"]["id"]
    assert found["sample"]["mark"] is None
    assert found["sample"]["verdict"] is None
    assert found["turns"] == []
    assert command("next", workspace=place.path, blind=True) == 0
    out = capsys.readouterr().out
    assert not any(word in out for word in ("verified", "reobserved", "diverged", "trained", "masked"))
    answer(capsys, place, "accept", id)
    row = next(row for row in answer(capsys, place, "list", blind=True)["samples"] if row["id"] == id)
    assert row["verdict"] is not None


def test_stats_tell_defects_agreement_and_planted_faults(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    planted = answer(capsys, place, "plant", share=1.0)
    assert planted["planted"] == 6
    ids = [row["id"] for row in answer(capsys, place, "list", "kind:revision")["samples"]]
    for who, rejected in (("ann", ids[:2]), ("bea", ids[1:3])):
        answer(capsys, place, "accept", *ids, who=who)
        answer(capsys, place, "reject", *rejected, reason="poor", who=who)
    queue = set()
    while (found := answer(capsys, place, "next"))["sample"] is not None:
        queue.add(found["sample"]["id"])
        answer(capsys, place, "reject", found["sample"]["id"], reason="poor")
    assert len(queue) == 6
    stats = answer(capsys, place, "stats")
    assert stats["samples"] == 6
    assert stats["tally"]["disputed"] == 2
    assert stats["defect_rate"]["reviewed"] == 6
    assert stats["agreement"]["both"] == 6
    assert 0 < stats["agreement"]["alpha"] < 1
    assert stats["planted"] == [
        {"reviewer": "ann", "shown": 6, "found": 6, "by_fault": stats["planted"][0]["by_fault"]}
    ]
    assert command("stats", workspace=place.path) == 0
    out = capsys.readouterr().out
    assert "defect rate" in out
    assert "ann found 6 of 6" in out


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        (("accept",), {}, "name samples by id or query"),
        (("reject", "kind:revision"), {}, "needs a --reason"),
        (("accept", "0123456789ab"), {}, "no sample 0123456789ab in this run"),
        (("list", "what:1"), {}, "unknown field 'what'"),
        (("note", "kind:revision"), {}, "needs a --note"),
        (("tag", "kind:revision"), {}, "needs a --tag"),
        (("list",), {"run": "x"}, "unknown run 'x'"),
    ],
)
def test_bad_usage_is_one_line_and_decides_nothing(
    place: Workspace, words: tuple[str, ...], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        command(*words, workspace=place.path, **options)  # type: ignore[arg-type]
    assert not Decisions(place.decisions).current()


# -- the queue of the app ------------------------------------------------------------------------------


def test_another_order_keeps_the_sample_in_front(tmp_path: Path) -> None:
    place = opened(tmp_path)
    review = loaded(place, searched(place))
    review.go(7)
    front = review.current
    for order in ORDERS:
        review.set_order(order)
        assert review.current == front
    review.fold(lambda sample: None)
    assert review.current == front


def test_who_is_blind_starts_from_either_end_and_never_from_the_verifiers_mark(tmp_path: Path) -> None:
    place = opened(tmp_path)
    review = loaded(place, searched(place))
    review.blind = True
    sample = next(s for s in review.samples if s.bad_depth - s.fork_depth > 3 and s.mark and s.mark > s.fork_depth + 1)
    shown = review.show(sample)
    assert shown.hidden
    assert shown.veiled
    assert review.move_mark(shown.sample, 1)
    shown = review.show(sample)
    assert shown.sample.mark == sample.fork_depth + 1
    assert shown.hidden
    assert not shown.veiled
    review.decisions.undo()
    assert review.move_mark(review.show(sample).sample, -1)
    assert review.show(sample).sample.mark == sample.bad_depth
    review.decisions.decide(sample.id, "accepted")
    assert not review.show(sample).hidden


def test_the_queue_goes_over_every_trace_of_a_run_however_few_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentr_tui.state.review.traces.MOST_OPEN", 1)
    place = opened(tmp_path)
    paths = [searched(place, "2"), searched(place, "0")]
    revised(place, *paths, max_pairs=5)
    review = loaded(place, paths[1])
    assert review.current is not None
    assert review.current.path == str(paths[1])
    assert {sample.path for sample in review.samples} == {str(path) for path in paths}
    for sample in ordered(review.samples, {}, "stratified"):
        shown = review.show(sample)
        assert shown.tree.started is not None
        assert shown.tree.started.trace == sample.trace
        assert len(review.traces._open) == 1
    paths[0].unlink()
    gone, there = (next(s for s in review.samples if s.path == str(path)) for path in paths)
    review.show(there)
    with pytest.raises(InputError, match="missing"):
        review.show(gone)


def test_blind_reviewers_hear_nobody_but_themselves(tmp_path: Path) -> None:
    place = opened(tmp_path)
    path = searched(place)
    ann = loaded(place, path)
    sample = next(s for s in ann.samples if s.bad_depth - s.fork_depth > 2)
    ann.blind = True
    assert ann.move_mark(ann.show(sample).sample, 1)
    ann.decisions.decide(sample.id, "accepted", note="fine")
    bob = load_review(place, Decisions(place.decisions, "bob"), path, ReviseSettings(**AS_FOUND), None)
    assert bob.show(sample).people == [("ann", sample.fork_depth + 1)]
    bob.blind = True
    shown = bob.show(sample)
    assert shown.veiled
    assert not shown.people
    assert shown.decided is None
    assert bob.counts().undecided == len(bob.samples)
    assert bob.move_mark(shown.sample, -1)
    bob.decisions.decide(sample.id, "rejected")
    assert not bob.show(sample).hidden
    assert bob.show(sample).sample.mark == sample.bad_depth
    ann.decisions.refresh()
    assert ann.show(sample).sample.mark == sample.fork_depth + 1


def test_searching_again_in_the_app_is_a_decision_and_undo_takes_it_back(tmp_path: Path) -> None:
    place = opened(tmp_path)
    path = searched(place)
    review = loaded(place, path)
    sample = next(s for s in review.samples if s.verdict == "diverged")
    calls: list[object] = []
    told = review.search_again(review.show(sample).sample, Control(), calls.append)
    assert told.startswith("repaired: ")
    assert calls
    assert review.show(sample).sample.verdict == "repaired"
    assert list((place.traces / "repairs").glob(f"repair-{sample.id}-*.trace.jsonl"))
    again = loaded(place, path)
    mine = next(s for s in again.samples if s.id == sample.id)
    assert again.show(mine).sample.verdict == "repaired"
    review.decisions.undo()
    assert review.show(sample).sample.verdict == "diverged"


def test_planted_faults_stand_in_the_queue_and_look_like_any_sample(
    place: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = loaded(place, place.traces / "honey.trace.jsonl")
    answer(capsys, place, "plant", share=1.0)
    review = loaded(place, place.traces / "honey.trace.jsonl")
    assert len(review.samples) == 12
    known = {sample.id for sample in before.samples}
    for sample in review.samples:
        shown = review.show(sample)
        assert any(turn.part == "thought" for turn in shown.turns)
        if sample.id not in known:
            assert shown.sample == sample
            review.move_mark(shown.sample, 1)
            review.show(sample)


def test_settings_of_the_workspace_hold_in_the_app(place: Workspace) -> None:
    place.settings_file.write_text('[review]\nreasons = ["too long"]\nblind = true\norder = "unsure"\n')
    review = loaded(place, place.traces / "honey.trace.jsonl")
    assert review.blind
    assert review.order == "unsure"
    assert reason_keys(review.settings.all_reasons)[-1][1] == "too long"


def test_every_reason_has_a_key_of_its_own() -> None:
    keys = [key for key, _ in reason_keys([*REJECT_REASONS, *(f"reason {number}" for number in range(20))])]
    assert len(set(keys)) == len(keys) == 25
    assert keys[:5] == list("mtgdb")
    assert "o" not in keys


def test_looking_at_a_tree_without_pairs_leaves_the_newest_run_alone(tmp_path: Path) -> None:
    place = opened(tmp_path)
    good, bare = searched(place), searched(place, iterations=1, error_rate=0.95, seed=3)
    run = revised(place, good)
    review = loaded(place, bare)
    assert not review.samples
    assert not review.counts().undecided
    assert [info.id for info in place.runs()] == [run]
    revised(place, good, bare)
    assert not loaded(place, bare).samples
    assert loaded(place, good).samples
    assert len(place.runs()) == 2


def test_another_alpha_makes_another_run(tmp_path: Path) -> None:
    place = opened(tmp_path)
    path = searched(place)
    revised(place, path)
    decisions = Decisions(place.decisions, "ann")
    loaded_twice = [load_review(place, decisions, path, ReviseSettings(**AS_FOUND, alpha=0.25), None) for _ in range(2)]
    assert loaded_twice[0].run == loaded_twice[1].run
    assert place.run_info().settings.alpha == 0.25
    assert loaded(place, path).run == place.run_info().id  # whatever they were


def test_a_review_begins_at_the_first_of_its_order_and_unfolds_nothing(tmp_path: Path) -> None:
    place = opened(tmp_path)
    run = revised(place, searched(place))
    review = load_review(place, Decisions(place.decisions, "ann"), None, ReviseSettings(), None)
    assert review.samples[0].id != place.load_run(run).samples[0].id, "another order than that of the run"
    assert review.place == 0
    for sample in review.samples:
        review.decisions.decide(sample.id, "accepted")
    assert load_review(place, Decisions(place.decisions, "ann"), None, ReviseSettings(), None).place == 0
    assert review.folded == sum(len(others) for others in review._alike.values())
