"""The parts of the Revision screen: sample in front, verdicts, mark, thoughts, repairs; without an app."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest
from msgspec.structs import replace

from agentr_tui.screens.revision import thoughts
from agentr_tui.screens.revision.around_lines import decision_lines, queue_line
from agentr_tui.screens.revision.mark_and_cuts import MarkAndCuts
from agentr_tui.screens.revision.model_judge import ModelJudge
from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.revision.replay_lines import difference_parts, replay_lines, replay_step_lines
from agentr_tui.screens.revision.sample_in_front import Loading, SampleInFront, starts_first
from agentr_tui.screens.revision.sample_queue import SampleQueue
from agentr_tui.screens.revision.sample_view import SampleView
from agentr_tui.screens.revision.services import NO_KEYS
from agentr_tui.screens.revision.tail_repair import TailRepair
from agentr_tui.screens.revision.thoughts import Thoughts
from agentr_tui.screens.revision.verdicts import Verdicts
from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.terminal.theme import Role
from agentr_tui.widgets.text_pane import Line, TextPane
from engine.base.errors import AgentrError
from engine.datasets.export import export
from engine.environment.permission import NeedsConsent
from engine.environment.replay import HOLDS
from engine.samples.sample import steps_to_replay
from engine.samples.trained import FAULTS
from engine.verifiers.base import Judgement, JudgeSettings, Word
from tests.agentr_tui.apps import revised, searched
from tests.agentr_tui.services import FakePane, FakeServices

T = TypeVar("T")


class RevisionFakeServices(FakeServices):
    """Services with the panes of the Revision screen."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.panes = {name: FakePane() for name in ("bad", "task", "queue", "verdict-line", "spliced", "replay")}
        self.top = ""
        self.nothing = ""
        self.lead_on: dict[str, str] = {}
        self.timers: list[Callable[[], object]] = []
        self.ended = 0
        self._recovery = SimpleNamespace(clear=lambda: None, show=lambda *args: None)

    def pane(self, name: str) -> TextPane:
        return self.panes[name].as_pane

    @property
    def recovery(self) -> RecoveryPane:
        return cast(RecoveryPane, self._recovery)

    @property
    def narrow(self) -> bool:
        return False

    def show_top(self, left: Sequence[tuple[str, Role]], right: Sequence[tuple[str, Role]] = ()) -> None:
        self.top = "".join(text for text, _ in [*left, *right])

    def show_right_side(self) -> None: ...

    def show_placeholder(self, lines: Sequence[Line] | None, keys: Mapping[str, str] = NO_KEYS) -> None:
        self.lead_on = dict(keys)
        self.nothing = "\n".join("".join(text for text, _ in line.parts) for line in lines or ())

    def with_consent(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        group: str,
        *,
        failed: Callable[[str], object],
        after: Callable[[], object] = lambda: None,
    ) -> None:
        def run() -> None:
            try:
                result = work()
            except NeedsConsent as unasked:
                self.ask_yes(unasked, lambda: self.with_consent(work, done, group, failed=failed), lambda: None)
            except AgentrError as error:
                failed(str(error))
            else:
                done(result)

        self.threads.append(run)

    def trusted(self, check: Callable[[], object], then: Callable[[], object]) -> bool:
        check()
        return True

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        self.timers.append(call)
        return lambda: self.timers.remove(call)

    def suspended(self) -> AbstractContextManager[None]:
        return nullcontext()

    def own_judge(self) -> JudgeSettings:
        return JudgeSettings(model="m")


class Stage:
    """All parts, over a run of a real tree."""

    def __init__(self, services: RevisionFakeServices) -> None:
        self.services = services
        self.view = SampleView(services)
        self.front = SampleInFront(services, self.view)
        self.verdicts = Verdicts(services, self.front)
        self.mark_and_cuts = MarkAndCuts(services, self.front)
        self.thoughts = Thoughts(services, self.front)
        self.repair = TailRepair(services, self.front, self.view)
        self.judge = ModelJudge(services, self.front)
        self.queue = SampleQueue(services, self.front)

    def settle(self) -> None:
        """Let all threads run, also those that they start."""
        while self.services.threads:
            self.services.work()

    @property
    def review(self) -> Review:
        assert self.front.review is not None
        return self.front.review

    @property
    def shown(self) -> Shown:
        assert self.front.shown is not None
        return self.front.shown

    def decided(self) -> dict[str, str | None]:
        """What holds, by sample."""
        decisions = self.services.session.decisions
        decisions.refresh()
        return {id: decided.verdict for id, decided in decisions.current().items()}


@pytest.fixture
def services(tmp_path: Path) -> RevisionFakeServices:
    return RevisionFakeServices(tmp_path)


@pytest.fixture
def stage(services: RevisionFakeServices) -> Stage:
    """The first sample is in front."""
    path = searched(services.session.workspace)
    revised(services.session.workspace, path)
    services.session.open(path)
    stage = Stage(services)
    stage.front.take_up()
    stage.settle()
    return stage


# -- the sample in front -------------------------------------------------------------------------------


def test_without_a_tree_it_says_how_to_open_one(services: RevisionFakeServices) -> None:
    stage = Stage(services)
    stage.front.take_up()
    assert "No tree is open" in services.nothing
    assert (stage.front.now, services.threads) == (None, [])


def test_a_tree_is_loaded_once_and_again_only_where_something_else_is_asked(stage: Stage) -> None:
    assert stage.shown.sample == stage.review.show(stage.review.samples[0]).sample
    assert f"sample 1 of {len(stage.review.samples)}" in stage.services.top
    before = stage.review
    stage.front.take_up()
    stage.settle()
    assert stage.front.review is before
    stage.services.session.alpha = 2.0  # no leaf is that good
    stage.front.take_up()
    assert stage.front.now is None
    stage.settle()
    assert "No pair here" in stage.services.nothing


def test_what_can_not_be_loaded_is_tried_again_when_it_is_looked_at_again(stage: Stage) -> None:
    path = stage.services.session.path
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(b"nonsense\n")
    stage.front.take_up_again()
    stage.settle()
    assert path.name in stage.services.nothing
    path.write_bytes(whole)
    stage.front.take_up()
    stage.settle()
    assert stage.shown.sample.id == stage.review.samples[0].id


def test_while_a_decision_is_written_nothing_more_is_decided(stage: Stage) -> None:
    first = stage.shown.sample.id
    stage.verdicts.decide("accepted")
    assert stage.front.changing
    stage.verdicts.decide("skipped")
    stage.queue.go(1)  # is shown after the decision
    stage.settle()
    assert not stage.front.changing
    assert stage.decided() == {first: "accepted"}


def test_a_decision_that_can_not_be_written_is_a_complaint_and_the_next_may_come(stage: Stage) -> None:
    def fail() -> None:
        raise AgentrError("the disk is full")

    stage.front.change(fail)
    stage.settle()
    assert stage.services.complained == ["the disk is full"]
    assert not stage.front.changing


# -- verdicts ------------------------------------------------------------------------------------------


def test_a_verdict_goes_to_the_next_sample_and_undo_comes_back(stage: Stage) -> None:
    first, second = (sample.id for sample in stage.review.samples[:2])
    stage.verdicts.reject()
    key, reason = next((choice.key, choice.label) for choice in stage.services.menu[1])
    stage.services.press(key)
    stage.settle()
    assert stage.shown.sample.id == second
    assert stage.services.session.decisions.current()[first].reason == reason
    stage.verdicts.undo()
    stage.settle()
    assert stage.shown.sample.id == first
    assert stage.decided().get(first) is None
    stage.verdicts.redo()
    stage.settle()
    assert stage.decided()[first] == "rejected"


def test_who_is_blind_marks_before_accepting_and_decides_one_by_one(stage: Stage) -> None:
    stage.queue.toggle_blind()
    stage.settle()
    assert "Blind" in stage.services.panes["spliced"].text
    stage.verdicts.decide("accepted")
    stage.verdicts.all_menu()
    assert [told.startswith("Blind") for told in stage.services.said] == [True, True]
    assert stage.services.threads == []
    stage.mark_and_cuts.step_chosen(stage.shown.sample.fork_depth + 1)
    stage.settle()
    stage.verdicts.decide("accepted")
    stage.settle()
    assert list(stage.decided().values()) == ["accepted"]


def test_accepting_what_a_default_export_leaves_out_for_what_it_trains_is_warned_of(stage: Stage) -> None:
    workspace, seen = stage.services.session.workspace, Counter[bool]()
    for sample in list(stage.review.samples):
        stage.review.find(lambda each, id=sample.id: each.id == id)  # type: ignore[misc]
        stage.front.show_later()
        stage.settle()
        shown, said = stage.shown, len(stage.services.said)
        assert shown.sample.id == sample.id
        told = "".join(text for each in decision_lines(shown) for text, _ in each.parts)
        assert ("! a default export leaves it out: it trains" in told) == bool(shown.faults)
        if shown.sample.verdict not in HOLDS or seen[bool(shown.faults)] == 2:
            continue
        seen[bool(shown.faults)] += 1
        stage.verdicts.decide("accepted")
        stage.settle()
        warned = [each for each in stage.services.said[said:] if "leaves it out" in each]
        assert warned == [f"accepted, but it {fault}: a default export leaves it out" for fault in shown.faults[:1]]
    assert seen == {True: 2, False: 2}
    done = export(workspace, None, "agent-r", workspace.path / "x.jsonl")
    assert sum(done.dropped.get(fault, 0) for fault in FAULTS) == 2
    assert done.lines == 2


def test_all_are_decided_at_once_and_taken_back_at_once(stage: Stage) -> None:
    stage.verdicts.all_menu()
    stage.services.press("s")
    stage.settle()
    ids = {sample.id for sample in stage.review.samples}
    assert stage.decided() == dict.fromkeys(ids, "skipped")
    assert f"{len(ids)} samples skipped" in stage.services.said[-1]
    stage.verdicts.undo()
    stage.settle()
    assert not any(stage.decided().values())


def test_tags_and_comments_are_asked_for_with_what_is_there(stage: Stage) -> None:
    id = stage.shown.sample.id
    stage.verdicts.tags()
    stage.services.write("later odd")
    stage.settle()
    stage.verdicts.comment()
    stage.services.write("why not")
    stage.settle()
    standing = stage.services.session.decisions.current()[id]
    assert (sorted(standing.tags), standing.note) == (["later", "odd"], "why not")
    assert "why not" in stage.services.panes["replay"].text
    stage.verdicts.tags()
    assert stage.services.asked is not None
    assert sorted(stage.services.asked[2].split()) == ["later", "odd"]


# -- mark, thought, queue ------------------------------------------------------------------------------


def test_the_mark_moves_between_the_fork_and_the_end(stage: Stage) -> None:
    sample = next(sample for sample in stage.review.samples if sample.bad_depth - sample.fork_depth > 1)
    stage.review.place = stage.review.samples.index(sample)
    stage.front.show_later()
    stage.settle()
    for by, end in ((-1, sample.fork_depth + 1), (1, sample.bad_depth)):
        for _ in range(sample.bad_depth):
            stage.mark_and_cuts.move(by)
            stage.settle()
        assert stage.shown.sample.mark == end
        assert "The mark stays between" in stage.services.said[-1]


def test_a_thought_is_never_empty_and_the_list_gives_another(stage: Stage) -> None:
    stage.thoughts.menu()
    stage.services.press("w")
    stage.services.write("   ")
    assert "must not be empty" in stage.services.said[-1]
    stage.services.write("I took the  wrong planks.")
    stage.settle()
    assert stage.shown.sample.thought == "I took the wrong planks."
    stage.services.press("n")
    stage.settle()
    assert stage.shown.sample.thought not in ("", "I took the wrong planks.")


def test_an_editor_writes_the_thought(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/.*/Edited./")
    stage.thoughts.edit()
    stage.settle()
    assert stage.shown.sample.thought == "Edited."
    monkeypatch.setenv("EDITOR", "false")
    stage.thoughts.edit()
    assert "stays as it was" in stage.services.complained[-1]


def test_an_editor_ends_with_the_app(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the terminal and holds up the whole app: whoever asked the app to end would wait for the person."""
    monkeypatch.setenv("VISUAL", "sleep 1000")
    stage.services.leaving = True
    stage.thoughts.edit()
    assert "stays as it was" in stage.services.complained[-1]
    monkeypatch.setenv("VISUAL", "sh -c 'trap \"\" TERM; while :; do sleep 0.01; done'")
    monkeypatch.setattr(thoughts, "EDITOR_PATIENCE", 2)
    stage.thoughts.edit()
    assert "SIGKILL" in stage.services.complained[-1], "it did not care to be asked"


def test_a_query_narrows_the_queue_until_all_are_shown(stage: Stage) -> None:
    count = len(stage.review.samples)
    stage.queue.ask_query()
    stage.services.write("verdict:diverged")
    stage.settle()
    assert 0 < len(stage.review.samples) < count
    assert stage.shown.sample.verdict == "diverged"
    stage.queue.show_all()
    stage.settle()
    assert len(stage.review.samples) == count
    stage.queue.show_all()
    assert stage.services.threads == []


# -- repairs and a model's judgement -------------------------------------------------------------------


def test_a_search_for_a_tail_counts_along_and_gives_the_pane_back(stage: Stage) -> None:
    sample = next(sample for sample in stage.review.samples if sample.verdict == "diverged")
    stage.review.place = stage.review.samples.index(sample)
    stage.front.show_later()
    stage.settle()
    stage.repair.menu()
    stage.settle()
    stage.services.press("s")
    assert stage.repair.repairing
    assert "R stops it" in stage.services.panes["replay"].text
    stage.front.show_later()
    stage.services.threads.reverse()  # the sample is shown while the search runs
    stage.services.threads.pop(0)()
    assert "R stops it" in stage.services.panes["replay"].text
    stage.repair.menu()
    stage.services.press("S")
    stage.settle()
    assert not stage.repair.repairing
    assert stage.services.timers == []
    assert "not repaired" in stage.services.said[-1]
    assert "diverged" in stage.services.panes["replay"].text


def test_a_model_is_asked_for_with_the_calls_that_it_costs(stage: Stage) -> None:
    stage.judge.ask()
    stage.settle()
    assert stage.services.asked is not None
    title, _, value = stage.services.asked
    assert f"up to {stage.shown.sample.bad_depth} calls" in title
    assert value == "m"
    stage.services.write("")
    assert stage.services.threads == []
    stage.services.write("another http://127.0.0.1:9/v1")
    assert len(stage.services.threads) == len(stage.services.timers) == 1
    stage.judge.ask()
    assert stage.services.menu[0] == "openai:another is judging."
    stage.services.press("S")
    stage.settle()
    assert stage.services.timers == []
    assert stage.services.said[-1].startswith("openai:another")


# -- the queue, and what stands beside the sample ------------------------------------------------------


def test_the_place_is_kept_through_a_filter_that_fits_and_one_that_does_not(stage: Stage) -> None:
    stage.queue.go(5)
    stage.settle()
    front = stage.shown.sample.id
    for query in ("nomatch", f"id:{front}", "nomatch"):
        stage.queue.ask_query()
        stage.services.write(query)
        stage.settle()
        assert (stage.front.review is not None and stage.review.query) == query
        assert ("query" in stage.services.lead_on) == (query == "nomatch"), "the keys out of it are told"
    stage.queue.show_all()
    stage.settle()
    assert stage.shown.sample.id == front
    assert stage.review.place == 5


def test_the_strip_shows_decisions_around_the_place_what_is_left_and_the_filter(stage: Stage) -> None:
    count = len(stage.review.samples)
    stage.verdicts.decide("accepted")
    stage.settle()
    stage.verdicts.decide("skipped")
    stage.settle()
    told = stage.services.panes["queue"].text
    assert told.startswith("queue ✓▸[·]···")
    assert f"1 accepted  1 skipped  {count - 2} to go" in told
    assert f"{stage.review.folded} alike folded" in told
    for width in (80, 110, 200):
        text = "".join(part for part, _ in queue_line(stage.review, stage.shown, width).parts)
        assert len(text) <= width
        assert "[·]" in text
    stage.review.set_query("verdict:verified")
    text = "".join(part for part, _ in queue_line(stage.review, stage.shown, 110).parts)
    assert "/ verdict:verified" in text


def test_samples_that_teach_the_same_are_one_place_until_they_are_asked_for(stage: Stage) -> None:
    review = stage.review
    everything, folded = review.of_run, review.folded
    assert len(review.samples) + folded == everything
    assert folded > 0
    while not stage.shown.like[0]:
        stage.queue.go(1)
        stage.settle()
    front, (count, is_open) = stage.shown.sample.id, stage.shown.like
    assert not is_open
    assert f"{count} more teach" in stage.services.panes["replay"].text
    stage.queue.toggle_like()
    stage.settle()
    assert len(review.samples) == everything - folded + count
    assert (stage.shown.sample.id, stage.shown.like) == (front, (count, True))
    stage.queue.go(1)
    stage.settle()
    hidden = stage.shown.sample.id
    assert hidden != front
    stage.verdicts.decide("rejected")  # what is decided about one of them stands for that one
    stage.settle()
    assert stage.decided() == {hidden: "rejected"}
    review.find(lambda sample: sample.id == front)
    stage.queue.toggle_like()
    stage.settle()
    assert stage.shown.sample.id == front
    assert hidden in {sample.id for sample in review.samples}, "a decision is never out of sight"
    assert len(review.samples) + review.folded == everything


def test_undo_and_redo_say_what_they_did_and_where(stage: Stage) -> None:
    first, count = stage.shown.sample.id, len(stage.review.samples)
    stage.verdicts.undo()
    stage.settle()
    assert stage.services.said[-1] == "There is nothing to undo."
    stage.verdicts.decide("rejected", "a duplicate")
    stage.settle()
    stage.verdicts.undo()
    stage.settle()
    assert stage.services.said[-1] == f"took back: rejected, sample 1 of {count}"
    assert stage.shown.sample.id == first
    stage.verdicts.redo()
    stage.settle()
    assert stage.services.said[-1] == f"decided again: rejected, sample 1 of {count}"
    stage.verdicts.undo()
    stage.settle()
    stage.thoughts._set("Another thought.")
    stage.settle()
    stage.verdicts.undo()
    stage.settle()
    assert stage.services.said[-1].startswith("took back: thought, sample ")


def test_the_making_of_samples_tells_how_far_it_is_and_can_be_stopped(services: RevisionFakeServices) -> None:
    path = searched(services.session.workspace)
    services.session.open(path)
    stage = Stage(services)
    stage.front.take_up()
    assert "Pairing, judging and replaying" in services.nothing
    assert "esc stops it" in services.nothing
    assert services.lead_on == {"restore": "stop"}
    assert "starts first" not in services.nothing
    loading = stage.front._loading
    assert loading is not None
    loading.told(0, 40)
    assert "about 40 samples to come" in loading.words
    loading.told(12, 40)
    for tell in list(services.timers):
        tell()
    assert "12 samples of about 40" in services.nothing
    assert stage.front.stop_loading()
    assert "Stopping" in services.nothing
    assert services.lead_on == {}
    stage.settle()
    assert "nothing was written" in services.nothing
    assert services.session.workspace.runs() == []
    assert services.timers == []
    assert not stage.front.stop_loading(), "nothing is being made any more"
    stage.front.take_up()
    stage.settle()
    assert stage.shown.sample.id
    assert services.timers == []


def test_who_waits_for_the_first_sample_reads_which_program_starts_first() -> None:
    assert "scienceworld starts first (java)" in Loading(True, starts_first("scienceworld")).words
    assert starts_first("textcraft") == starts_first("of nobody") == ""


def test_the_task_and_its_rules_are_at_hand(stage: Stage) -> None:
    told = stage.services.panes["task"].text
    assert told.startswith("Goal: craft cut red sandstone\nCrafting commands:\n")
    assert told.count("cut red sandstone") == 2, "the goal once, its recipe once"
    stage.view.toggle_rules()
    rules = stage.services.panes["spliced"].text
    assert "You craft items by text" in rules
    assert "Goal: craft cut red sandstone." in rules
    stage.view.toggle_rules()
    assert "trained agent" in stage.services.panes["spliced"].text


def test_verdict_and_decision_stand_in_one_line(stage: Stage) -> None:
    stage.verdicts.decide("accepted")
    stage.settle()
    stage.queue.go(-1)
    stage.settle()
    line = stage.services.panes["verdict-line"].text
    assert stage.shown.sample.verdict in line
    assert "✓ accepted" in line
    stage.review.blind = True
    stage.queue.go(1)
    stage.settle()
    assert "hidden" in stage.services.panes["verdict-line"].text
    assert "verified" not in stage.services.panes["verdict-line"].text


def test_why_and_both_rules_stand_where_they_speak_of(stage: Stage) -> None:
    while stage.shown.sample.fork_depth == 0:
        stage.queue.go(1)
        stage.settle()
    sample = stage.shown.sample
    rows = stage.services.panes["bad"].text.splitlines()
    mark = next(at for at, row in enumerate(rows) if "first wrong step" in row)
    assert f" {sample.mark} " in rows[mark + 1], "the rule stands above its step"
    assert rows[mark + 3].strip().startswith("why")
    fork = next(at for at, row in enumerate(rows) if "fork: the good trajectory leaves" in row)
    assert f" {sample.fork_depth + 1} " in rows[fork + 1] or "first wrong step" in rows[fork + 1]


@pytest.mark.parametrize("words", [3, 400])
def test_of_texts_that_differ_in_a_word_that_word_is_marked_and_what_is_the_same_is_short(words: int) -> None:
    same = " ".join(f"word{number}" for number in range(words))
    parts = difference_parts(f"{same} red {same}", f"{same} blue {same}")
    assert [text.strip() for text, role in parts if role == "warn"] == ["blue"]
    assert sum(len(text) for text, _ in parts) < 200
    assert difference_parts("same", "same") == [("same", "muted")]


@pytest.mark.parametrize(("word", "role"), [("Good", "good"), ("Bad", "bad"), ("Uncertain", "warn")])
def test_what_a_model_said_of_a_seam_stands_below_the_verdict(stage: Stage, word: Word, role: Role) -> None:
    said = Judgement(step=1, word=word, reason="the gold is spent by then")
    sample = replace(stage.shown.sample, seam=said)
    (told,) = (line for line in replay_lines(sample) if line.parts[0][0].startswith("seam"))
    assert told.parts[1] == (word, role)
    assert "the gold is spent by then" in told.parts[2][0]
    assert not [line for line in replay_lines(stage.shown.sample) if line.parts[0][0].startswith("seam")]


def test_of_a_diverged_observation_only_the_words_that_differ_stand_out(stage: Stage) -> None:
    shown = stage.shown
    first = steps_to_replay(shown.tree, shown.sample)[0].observation
    assert shown.sample.replay is not None
    lost = replace(
        shown.sample.replay, verdict="diverged", steps=1, step=0, got=f"{first} purple", observations={}, reason="other"
    )
    lines = replay_step_lines(dataclasses.replace(shown, sample=replace(shown.sample, replay=lost)))
    loud = [text.strip() for each in lines for text, role in each.parts[2:] if role in ("warn", "bad")]
    assert "purple" in loud
    assert not [text for text in loud if first in text]
