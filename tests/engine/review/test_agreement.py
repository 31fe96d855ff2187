"""How far a review can be trusted: defect rate with its interval, agreement of reviewers, planted faults."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.datasets.export import export
from engine.query.grammar import QueryError
from engine.review.agreement import (
    WRONG_THOUGHTS,
    agreement,
    defect_rate,
    hit_rates,
    keep_planted,
    nominal_alpha,
    plant,
    read_planted,
    wilson,
)
from engine.review.curation import ORDERS, decision_of, ordered, review_settings, uncertain_share
from engine.review.decisions import Decided, Decisions, DecisionVerdict
from engine.review.sample_query import FIELDS, select
from engine.samples.sample import Sample, turns_of
from engine.trace.sources import load_any
from engine.workspace.workspace import Workspace
from tests.engine.made import made_workspace
from tests.engine.tasks import tasks_workspace


def plain(id: str, **fields: object) -> Sample:
    """A sample of which little matters."""
    known = {"kind": "revision", "trace": "t", "path": "p", "environment": "e", "task": "1", "good": 1, "bad": 2}
    return Sample(id=id, return_good=1, **{**known, **fields})  # type: ignore[arg-type]


def said(**verdicts: DecisionVerdict) -> Decided:
    """What reviewers said, the last one last."""
    return Decided(sample="s", verdict=list(verdicts.values())[-1], by_reviewer=dict(verdicts))


# -- acceptance sampling -------------------------------------------------------------------------------


def test_the_interval_is_the_one_in_the_books() -> None:
    low, high = wilson(10, 100)  # Wilson's own formula, to four digits
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert wilson(0, 20)[0] == 0
    assert round(wilson(0, 20)[1], 4) == 0.1611
    assert wilson(20, 20)[1] == 1


@settings(max_examples=200)
@given(st.integers(1, 3_000), st.floats(0, 1))
def test_the_interval_holds_the_share_and_narrows_with_the_reviewed(reviewed: int, share: float) -> None:
    defects = round(share * reviewed)
    low, high = wilson(defects, reviewed)
    assert 0 <= low <= defects / reviewed <= high <= 1
    wider = wilson(defects, reviewed, 0.99)
    assert wider[0] <= low
    assert wider[1] >= high
    more = wilson(defects * 4, reviewed * 4)
    assert more[1] - more[0] < high - low


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(3)
    covered = 0
    for _ in range(1_000):
        defects = sum(rng.random() < 0.12 for _ in range(80))
        low, high = wilson(defects, 80)
        covered += low <= 0.12 <= high
    assert 0.92 <= covered / 1_000 <= 0.98


def test_the_defect_rate_is_of_what_was_reviewed_and_known_where_all_was() -> None:
    samples = [plain(str(number)) for number in range(10)]
    assert defect_rate(samples, {}).rate is None
    assert "none of 10" in defect_rate(samples, {}).line
    current = {
        "0": said(ann="rejected"),
        "1": said(ann="accepted"),
        "2": said(ann="skipped"),
        "x": said(ann="rejected"),
    }
    found = defect_rate(samples, current)
    assert (found.reviewed, found.defects, found.rate) == (2, 1, 0.5)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5 < found.high
    whole = defect_rate(samples[:2], current)
    assert (whole.low, whole.rate, whole.high) == (0.5, 0.5, 0.5)


# -- agreement -----------------------------------------------------------------------------------------


def alpha_by_hand(rows: list[dict[str, str]]) -> float:
    """Krippendorff's alpha for nominal data, from its definition by coincidences."""
    pairs: dict[tuple[str, str], float] = {}
    for row in rows:
        values = list(row.values())
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                if i != j:
                    pairs[a, b] = pairs.get((a, b), 0) + 1 / (len(values) - 1)
    total = sum(pairs.values())
    of: dict[str, float] = {}
    for (a, _), weight in pairs.items():
        of[a] = of.get(a, 0) + weight
    observed = sum(weight for (a, b), weight in pairs.items() if a != b)
    expected = sum(of[a] * of[b] for a in of for b in of if a != b) / (total - 1)
    return 1 - observed / expected


PUBLISHED = {
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": sections A to C; "." is missing
    "two observers, two values": (["0100000010", "1110010000"], 0.095),
    "two observers, any number of values": (["aabbdcccedda", "babbbccceddd"], 0.692),
    "four observers, values missing": (["12332141 2...", "12332241 25.3", ".3332342 251.", "12332441 251."], 0.743),
}


@pytest.mark.parametrize("table", PUBLISHED)
def test_alpha_is_that_of_the_published_tables(table: str) -> None:
    rows, alpha = PUBLISHED[table]
    columns = zip(*(row.replace(" ", "") for row in rows), strict=True)
    units = [[value for value in column if value != "."] for column in columns]
    assert len(units) == (10 if table == "two observers, two values" else 12)
    assert round(nominal_alpha(units), 3) == alpha


def test_alpha_is_0_for_chance_below_0_for_opposition_and_not_defined_without_a_difference() -> None:
    assert nominal_alpha([["a", "b"]] * 50) == pytest.approx(-0.98)
    rng = random.Random(1)
    assert abs(nominal_alpha([rng.choices("abc", k=3) for _ in range(20_000)])) < 0.01
    for units in ([], [["a"]], [["a"], ["b"]], [["a", "a"], ["a", "a", "a"]]):
        with pytest.raises(ValueError, match="not defined"):
            nominal_alpha(units)


def test_alpha_is_what_its_definition_gives() -> None:
    rng = random.Random(5)
    current, rows, samples = {}, [], []
    for number in range(60):
        truth = rng.random() < 0.6
        row: dict[str, DecisionVerdict] = {}
        for who in ("ann", "bea", "cem"):
            if rng.random() < 0.8:
                row[who] = "accepted" if (rng.random() < 0.85) == truth else "rejected"
        if row:
            current[str(number)] = said(**row)
            samples.append(plain(str(number)))
            if len(row) > 1:
                rows.append(dict(row))
    found = agreement(samples, current)
    assert found.alpha is not None
    assert abs(found.alpha - alpha_by_hand(rows)) < 1e-6  # type: ignore[arg-type]
    assert 0.2 < found.alpha < 0.9
    assert found.reviewers == ["ann", "bea", "cem"]
    assert found.both == len(rows)


def test_alpha_is_one_where_all_agree_and_undefined_where_nothing_can_differ() -> None:
    samples = [plain("a"), plain("b"), plain("c")]
    both = {"a": said(ann="accepted", bea="accepted"), "b": said(ann="rejected", bea="rejected")}
    assert agreement(samples, both).alpha == 1
    assert agreement(samples, {"a": both["a"]}).alpha is None
    assert agreement(samples, {"a": said(ann="accepted"), "b": said(ann="rejected")}).alpha is None
    skipped = {"a": said(ann="accepted", bea="skipped"), "b": said(ann="rejected", bea="skipped")}
    assert agreement(samples, skipped).both == 0


# -- planted faults ------------------------------------------------------------------------------------


def test_planted_faults_are_real_faults_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    run = workspace.load_run()
    tree = load_any(workspace.traces / "honey.trace.jsonl").tree
    sound = {sample.id: sample for sample in run.samples}
    kinds = set()
    for seed in range(20):
        planted = plant(tree, run.samples, run.info.id, 1.0, seed)
        assert planted == plant(tree, run.samples, run.info.id, 1.0, seed)
        for each in planted:
            kinds.add(each.fault)
            original, shown = sound[each.of], each.sample
            assert each.id == shown.id
            assert each.id not in sound
            assert shown.verdict == original.verdict
            if each.fault == "mark":
                assert shown.mark != original.mark
                assert original.fork_depth < (shown.mark or 0) <= original.bad_depth
            elif each.fault == "thought":
                assert shown.thought in WRONG_THOUGHTS
            else:
                assert len(turns_of(tree, shown)) == len(turns_of(tree, original)) - 2
    assert kinds == {"mark", "thought", "tail"}
    assert plant(tree, run.samples, run.info.id, 0.0) == []
    with pytest.raises(InputError, match="between 0 and 1"):
        plant(tree, run.samples, run.info.id, 1.1)


def test_a_seeded_share_is_planted_never_exported_and_the_hit_rate_told(tmp_path: Path) -> None:
    workspace = tasks_workspace(tmp_path, 30)
    run = workspace.load_run()
    trees = {path: load_any(path).tree for path in {sample.path for sample in run.samples}}
    planted = [
        each
        for path, tree in trees.items()
        for each in plant(tree, [s for s in run.samples if s.path == path], run.info.id, 0.2, 7)
    ]
    pairs = sum(sample.bad is not None for sample in run.samples)
    assert 0.1 < len(planted) / pairs < 0.3
    keep_planted(workspace.path / "planted", planted)
    keep_planted(workspace.path / "planted", planted)
    known = read_planted(workspace.path / "planted")
    assert len(known) == len(planted)
    before = export(workspace, None, "agent-r", tmp_path / "a.jsonl").lines
    ann, bea = Decisions(workspace.decisions, "ann"), Decisions(workspace.decisions, "bea")
    ann.decide_all([each.id for each in planted[:5]], "rejected", reason="x")
    ann.decide_all([each.id for each in planted[5:9]], "accepted")
    bea.decide_all([each.id for each in planted[:4]], "accepted")
    ann.refresh()
    rates = {rate.reviewer: rate for rate in hit_rates(known, ann.lines_of)}
    assert (rates["ann"].found, rates["ann"].shown) == (5, 9)
    assert (rates["bea"].found, rates["bea"].shown) == (0, 4)
    assert export(workspace, None, "agent-r", tmp_path / "b.jsonl").lines == before
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


# -- orders --------------------------------------------------------------------------------------------


def test_every_order_holds_every_sample_once_and_begins_with_what_it_is_named_after(tmp_path: Path) -> None:
    samples = tasks_workspace(tmp_path, 6).load_run().samples
    current = {samples[0].id: said(ann="accepted"), samples[9].id: said(ann="accepted", bea="rejected")}
    for order in ORDERS:
        found = ordered(samples, current, order, 1)
        assert sorted(each.id for each in found) == sorted(each.id for each in samples), order
    assert ordered(samples, current, "run") == samples
    assert ordered(samples, current, "disagreement")[0].id == samples[9].id
    unreviewed = ordered(samples, current, "unreviewed")
    assert {each.id for each in unreviewed[-2:]} == set(current)
    shares = [uncertain_share(each) for each in ordered(samples, current, "unsure")]
    assert shares == sorted(shares, reverse=True)
    verdicts = {sample.verdict for sample in samples}
    stratified = ordered(samples, current, "stratified", 1)
    assert {sample.verdict for sample in stratified[: len(verdicts)]} == verdicts
    assert stratified != ordered(samples, current, "stratified", 2)
    with pytest.raises(InputError, match="unknown order 'best'"):
        ordered(samples, current, "best")  # type: ignore[arg-type]


# -- queries -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a run, and some decisions in it."""
    workspace = made_workspace(tmp_path_factory.mktemp("w"))
    samples = workspace.load_run().samples
    decisions = Decisions(workspace.decisions, "ann")
    decisions.decide(samples[0].id, "rejected", reason="a duplicate", tags=["later", "odd one"], note="See Me")
    return workspace


@pytest.mark.parametrize(
    ("query", "test"),
    [
        ("", lambda s: True),
        ("verdict:diverged", lambda s: s.verdict == "diverged"),
        ("verdict:diverged,reobserved", lambda s: s.verdict in ("diverged", "reobserved")),
        ("-verdict:verified", lambda s: s.verdict != "verified"),
        ("!verdict:verified kind:revision", lambda s: s.verdict != "verified" and s.kind == "revision"),
        ("kind!=good mark<2", lambda s: s.kind != "good" and s.mark is not None and s.mark < 2),
        ("mark>=2", lambda s: s.mark is not None and s.mark >= 2),
        ("bad:none", lambda s: s.bad is None),
        ("kind:REV*", lambda s: s.kind == "revision"),
        ("gap:1 good=2", lambda s: s.return_good - s.return_bad == 1 and s.good == 2),
        ("goal~HONEY", lambda s: True),
        ("text~'no good leaf'", lambda s: any("no good leaf" in each.reason for each in s.judgements)),
        ("file:honey*", lambda s: True),
        ("task:honey honey", lambda s: True),
        ("verdict:diverged or mark>=3", lambda s: s.verdict == "diverged" or (s.mark is not None and s.mark >= 3)),
        ("(kind:good or verdict:verified) bad:none", lambda s: s.kind == "good" and s.bad is None),
        ("not (verdict:diverged | kind:good)", lambda s: s.verdict != "diverged" and s.kind != "good"),
        ("verdict!~verge", lambda s: s.verdict != "diverged"),
        ("Verdict == diverged and mark > 0", lambda s: s.verdict == "diverged" and s.mark is not None),
    ],
)
def test_queries_name_the_samples_they_say(place: Workspace, query: str, test: object) -> None:
    assert callable(test)
    samples = place.load_run().samples
    found = select(samples, Decisions(place.decisions).current(), query)
    assert found == [sample for sample in samples if test(sample)]
    assert found


def test_queries_see_what_people_said(place: Workspace) -> None:
    samples = place.load_run().samples
    current = Decisions(place.decisions).current()
    for query in ("decision:rejected", "tag:later", "tag:'odd one'", "note~me", "reviewer:ann", "reason:'a duplicate'"):
        assert select(samples, current, query) == samples[:1], query
    assert select(samples, current, "decision:undecided") == samples[1:]
    assert select(samples, current, samples[3].id[:8]) == [samples[3]]
    assert decision_of(samples[0].id, current) == "rejected"


@pytest.mark.parametrize(
    ("query", "column", "remedy"),
    [
        ("what:1", 1, "the fields are id, kind,"),
        ("verdit:x", 1, "did you mean verdict?"),
        ("mark<x", 6, "not 'x'"),
        ("text~'open", 6, "add '"),
        ("verdict :x what:2", 12, "unknown field 'what'"),
        ("(mark<2 or kind:good", 1, "never closed: add )"),
        ("tag: ", 6, "a text must follow tag~"),
    ],
)
def test_a_query_that_cannot_be_read_is_one_line_that_names_the_column(query: str, column: int, remedy: str) -> None:
    with pytest.raises(QueryError) as error:
        select([], {}, query)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"query, column {column}: ")
    assert remedy in str(error.value)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_asked_of_every_sample_and_its_opposite_is_the_rest(place: Workspace, name: str) -> None:
    samples = place.load_run().samples
    for term in (f"{name}:none", f"{name}~a", f"{name}>1", f"{name}=1,2*"):
        found = select(samples, {}, term)
        rest = [sample for sample in samples if sample not in found]
        assert select(samples, {}, f"!({term})") == select(samples, {}, f"not {term}") == rest
        assert select(samples, {}, f"{term} or !{term}") == samples


def test_a_word_that_only_begins_like_an_operator_is_a_word(place: Workspace) -> None:
    samples = place.load_run().samples
    for word in ("not-here", "or-so", "and-more"):
        assert select(samples, {}, word) == []
        assert select(samples, {}, f"-{word}") == samples


# -- decisions -----------------------------------------------------------------------------------------


def test_tags_are_kept_replaced_and_taken_off(tmp_path: Path) -> None:
    decisions = Decisions(tmp_path, "ann")
    decisions.decide("s", tags=["b", " a ", "b", ""])
    assert Decisions(tmp_path).current()["s"].tags == ["b", "a"]
    decisions.decide("s", "accepted")
    assert Decisions(tmp_path).current()["s"].tags == ["b", "a"]
    decisions.decide("s", tags=[])
    assert Decisions(tmp_path).current()["s"].tags == []


ACTS = st.lists(st.sampled_from(["one", "many", "undo", "redo"]), max_size=14)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_undo_and_redo_reach_over_processes_as_within_one(acts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        same = Decisions(Path(one), "ann")
        Decisions(Path(many), "bea").decide("s0", "skipped")
        Decisions(Path(one), "bea").decide("s0", "skipped")
        for number, act in enumerate(acts):
            fresh = Decisions(Path(many), "ann")
            fresh.recall()
            for decisions in (same, fresh):
                if act == "one":
                    decisions.decide(f"s{number % 3}", "accepted")
                elif act == "many":
                    decisions.decide_all(["s0", "s1", "s2"], "rejected", reason=str(number))
                else:
                    getattr(decisions, act)()

            def state(folder: str) -> dict[str, tuple[object, str]]:
                current = Decisions(Path(folder)).current()
                return {id: (each.verdict, each.reason) for id, each in current.items()}

            assert state(one) == state(many)


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from engine.review.decisions import Decisions
decisions = Decisions(Path(sys.argv[2]), sys.argv[3])
for number in range(200):
    decisions.decide(f"s{number}", "accepted", tags=[sys.argv[3]])
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    running = [subprocess.Popen([sys.executable, "-c", WRITER, root, str(tmp_path), who]) for who in ("ann", "bea")]
    assert [process.wait(60) for process in running] == [0, 0]
    decisions = Decisions(tmp_path)
    assert sum(len(decisions.lines_of(f"s{number}")) for number in range(200)) == 400


# -- settings ------------------------------------------------------------------------------------------


def test_the_settings_add_reasons_and_what_is_wrong_with_them_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "agentr.toml"
    assert review_settings(file).all_reasons[0] == "the mark is wrong"
    file.write_text('[review]\nreasons = ["too  long", "a duplicate"]\nblind = true\norder = "unsure"\n')
    found = review_settings(file)
    assert found.all_reasons[-1] == "too long"
    assert len(found.all_reasons) == 6
    assert found.blind
    assert found.order == "unsure"
    for text in ('[review]\nreasons = "x"\n', "[review\n", '[review]\norder = "best"\n'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"agentr\.toml"):
            review_settings(file)
