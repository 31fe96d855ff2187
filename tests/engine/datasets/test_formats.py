"""Every format carries the mask: what its trainer would read from a record is the sample's conversation and mask."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import InputError
from engine.datasets.export import export
from engine.datasets.formats import FORMATS, FormatOptions, Item, base, trl_stepwise
from engine.datasets.formats.masks import plain, runs
from engine.datasets.formats.preparation import ready
from engine.datasets.options import ExportOptions
from engine.datasets.records import encode
from engine.datasets.templates.markup import CHATML, FAMILIES, LLAMA3, Markup
from engine.datasets.templates.tokens import IGNORED, Vocabulary, fitting, length
from engine.datasets.trainer_configs.marked_template import marked_template
from engine.review.decisions import Decisions
from engine.samples.revise import revise
from engine.samples.sample import Sample, turns_of
from engine.samples.settings import ReviseSettings
from engine.samples.splice import Turn, trajectory_turns
from engine.trace.sources import load_any
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement
from engine.workspace.workspace import Workspace
from tests.engine.made import AS_FOUND, made_workspace
from tests.engine.tasks import tasks_workspace
from tests.engine.trainer_rules import READERS, Heard, llamafactory_1, openai_problems
from tests.fixtures import recorded, recording

DOCS = Path(__file__).parents[3] / "docs" / "formats.md"
CONVERSATIONS = [name for name, format in FORMATS.items() if name in READERS]
EXPANDING = ("sharegpt", "trl-sft")  # formats that may make several records of a sample


def expected(turns: Sequence[Turn]) -> Heard:
    """The conversation up to its last response, and its mask."""
    last = max(place for place, turn in enumerate(turns) if turn.role == "assistant")
    return [(turn.role, turn.content, bool(turn.loss)) for turn in turns[: last + 1]]


def check_read(name: str, records: list[dict[str, Any]], turns: Sequence[Turn]) -> None:
    """Each trained turn is trained by exactly one record, in its own context; nothing else is trained."""
    wanted = expected(turns)
    for read in READERS[name]:
        trained = [0] * len(wanted)
        for record in records:
            heard = read(json.loads(encode(record)))
            assert [row[:2] for row in heard] == [row[:2] for row in wanted[: len(heard)]]
            for place, row in enumerate(heard):
                trained[place] += row[2]
        assert trained == [int(row[2]) for row in wanted], read.__name__
        if name not in EXPANDING:
            assert len(records) == 1
            heard = read(records[0])
            assert len(heard) == len(wanted)


# -- made conversations ------------------------------------------------------------------------------

SIGNS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Zs", "Zl", "Zp"])
words = st.text(SIGNS, min_size=1, max_size=12)
texts = st.one_of(words, st.sampled_from(["a\nb", "“q” \u2028 é", "<|im_end|>", "{input}", "\\n", " x ", '{"a": [1]}']))


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    """A conversation with any mask, of which at least one turn is trained."""
    turns = [Turn("system", draw(texts), None, "header")] if draw(st.booleans()) else []
    if draw(st.booleans()):
        turns += [Turn("user", draw(texts), None, "header"), Turn("assistant", "Ok.", None, "header")]
    masks = draw(st.lists(st.booleans(), min_size=1, max_size=6))
    masks[draw(st.integers(0, len(masks) - 1))] = True
    for mask in masks:
        turns.append(Turn("user", draw(texts), None, "bad"))
        turns.append(Turn("assistant", draw(texts), mask, "good"))
    if draw(st.booleans()):
        turns.append(Turn("user", draw(texts), None, "good"))  # an observation that nothing answers
    return turns


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_any_mask_is_read_back_by_the_rule_of_every_trainer(turns: list[Turn]) -> None:
    for name in CONVERSATIONS:
        format = FORMATS[name]
        if format.conversation is None:  # `agent-r` also needs a tree
            continue
        if name == "agent-r-rewrite" and turns[0].role != "system":
            continue  # its first round always holds a system turn, as every header has one
        records = format.conversation(turns, FormatOptions())
        assert [problem for record in records for problem in format.validate(record)] == []
        check_read(name, records, turns)


@settings(max_examples=50, deadline=None)
@given(conversations())
def test_loss_weights_are_read_back_too(turns: list[Turn]) -> None:
    (record,) = FORMATS["sharegpt"].conversation(turns, FormatOptions(loss_weight=True))  # type: ignore[misc]
    assert FORMATS["sharegpt"].validate(record) == []
    assert llamafactory_1(record) == expected(turns)


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_runs_are_the_trained_turns_without_an_untrained_one_between(turns: list[Turn]) -> None:
    found = list(runs(turns))
    inside = [place for first, last in found for place in range(first, last) if turns[place].role == "assistant"]
    assert inside == [place for place, turn in enumerate(turns) if turn.loss]
    assert all(turns[first].loss and turns[last - 1].loss for first, last in found)


def test_an_untrained_conversation_gives_no_record() -> None:
    turns = [Turn("user", "u", None, "header"), Turn("assistant", "a", False, "bad")]
    for format in FORMATS.values():
        if format.conversation is not None:
            assert format.conversation(turns, FormatOptions()) == []


# -- real samples ------------------------------------------------------------------------------------


def written(
    workspace: Workspace, name: str, data_type: Any = "centric", **options: Any
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each record of an export as it was written, with where it comes from."""
    format = FORMATS[name]
    out = workspace.exports / f"{name}-{data_type}{format.extension}"
    done = export(workspace, None, name, out, data_type=data_type, all=True, options=ExportOptions(**options))
    text = out.read_text(encoding="utf-8")
    records = json.loads(text) if format.array else [json.loads(line) for line in text.split("\n")[:-1]]
    origins = [json.loads(line) for line in Path(done.provenance).read_text(encoding="utf-8").split("\n")[:-1]]
    assert [origin["line"] for origin in origins] == list(range(1, len(records) + 1))
    return list(zip(records, origins, strict=True))


def by_sample(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Records by sample, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record, origin in rows:
        found.setdefault(origin["sample"], []).append(record)
        assert origin["record"] == len(found[origin["sample"]])
    return found


@cache
def tree_at(path: str) -> SearchTree:
    """A tree, read once."""
    return load_any(path).tree


def check_workspace(workspace: Workspace) -> int:
    """Export a run in every format and read every record by its trainer's rule; the number of samples."""
    samples = {sample.id: sample for sample in workspace.load_run().samples}
    for name in CONVERSATIONS:
        for data_type in FORMATS[name].data_types:
            records = by_sample(written(workspace, name, data_type))
            wanted = {id for id, sample in samples.items() if (sample.kind == "good") == (data_type == "good")}
            assert set(records) == wanted
            for id, rows in records.items():
                sample = samples[id]
                turns = turns_of(tree_at(sample.path), sample)
                if name == "agent-r":  # keeps the last observation
                    turns = [*turns, Turn("assistant", "end", False, "good")]
                    rows = [{"revise_log": [*rows[0]["revise_log"], {"role": "assistant", "content": "end"}]}]
                check_read(name, rows, turns)
    return len(samples)


def test_every_record_of_a_made_run_is_read_back(tmp_path: Path) -> None:
    assert check_workspace(made_workspace(tmp_path)) == 8


def test_openai_takes_the_file_by_its_published_rules(tmp_path: Path) -> None:
    workspace = tasks_workspace(tmp_path, 3)
    out = workspace.exports / "openai.jsonl"
    assert export(workspace, None, "openai", out).lines == 15
    assert openai_problems(out.read_bytes()) == []
    (first, *rest) = out.read_bytes().splitlines(keepends=True)
    assert openai_problems(first) == ["1 examples, at least 10 are needed"]
    assert len(openai_problems(b"".join([*rest, first.replace(b'"weight": 1', b'"weight": 0.5')]))) > 1
    assert openai_problems(b"".join([*rest, first.replace(b'"weight": 1', b'"weight": 0')])) == [
        "15: nothing is trained"
    ]


@pytest.mark.parametrize("name", recorded("textcraft/113", "sciworld/3539"))
def test_every_record_of_a_recorded_tree_is_read_back(name: str, tmp_path: Path) -> None:
    folder = recording(name)
    path = str(folder / f"search_results_{folder.name}.json.gz")
    workspace = Workspace.open(tmp_path, create=True)
    settings = ReviseSettings(**AS_FOUND, verifier="value", max_pairs=25)
    with workspace.new_run(settings, [path]) as run:
        for sample in revise(load_any(path).tree, path, settings, run.figures):
            run.add(sample)
    assert check_workspace(workspace) > 20


# -- preferences and labelled steps ------------------------------------------------------------------


def test_preferences_share_the_prompt_and_go_on_as_the_two_trajectories_do(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    samples = {sample.id: sample for sample in workspace.load_run().samples}
    rows = written(workspace, "trl-dpo")
    assert len(rows) == 6
    for record, origin in rows:
        sample = samples[origin["sample"]]
        tree = tree_at(sample.path)
        for side, leaf in (("chosen", sample.good), ("rejected", sample.bad)):
            whole = [{"role": turn.role, "content": turn.content} for turn in trajectory_turns(tree, leaf or 0)]
            assert record["prompt"] + record[side] == whole[:-1]
        assert len(record["prompt"]) == 4 + 2 * sample.fork_depth
        assert record["prompt"][-1]["role"] == "user"
        assert record["chosen"][0] != record["rejected"][0]


def test_only_the_first_step_is_compared_where_that_is_asked_for(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    whole = written(workspace, "trl-dpo")
    first = written(workspace, "trl-dpo", first_step=True)
    for (short, _), (long, _) in zip(first, whole, strict=True):
        assert short["prompt"] == long["prompt"]
        assert (short["chosen"], short["rejected"]) == (long["chosen"][:1], long["rejected"][:1])
    with pytest.raises(InputError, match="--first-step belongs to the format trl-dpo"):
        written(workspace, "openai", first_step=True)
    with pytest.raises(InputError, match="holds no good trajectories"):
        written(workspace, "trl-dpo", "good")


def judged(sample: Sample, *judgements: tuple[int, Any], **changes: Any) -> Sample:
    """The sample with these judgements."""
    found = next((step for step, word in judgements if word == "Bad"), None)
    changes = {"mark": found, "found": found, **changes}
    return replace(sample, judgements=[Judgement(step, word) for step, word in judgements], **changes)


def stepwise(tree: SearchTree, sample: Sample, approved: bool = False) -> list[dict[str, Any]]:
    """Its records as labelled steps."""
    return FORMATS["trl-stepwise"].records(Item(tree, sample, turns_of(tree, sample), approved))


def test_labels_are_the_judgements_and_none_is_made_up(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    sample = next(each for each in workspace.load_run().samples if (each.good, each.bad) == (2, 4))
    tree = tree_at(sample.path)  # the bad trajectory has steps 1, 3, 4; the fork is node 1
    steps = [trl_stepwise.step_text(tree.nodes[id]) for id in tree.ancestors(4)[1:]]
    (record,) = stepwise(tree, judged(sample, (1, "Good"), (2, "Bad")))
    assert (record["completions"], record["labels"]) == (steps[:2], [True, False])
    assert steps[0] == "Thought: I fetch them.\nAction: get 4 honey bottle\nObservation: Got 4 honey bottle"
    assert record["prompt"].startswith("You are a helpful assistant.\n\nRules.\n\nCrafting commands:")
    (record,) = stepwise(tree, judged(sample, (1, "Good"), (2, "Uncertain"), (3, "Bad")))
    assert (record["completions"], record["labels"]) == ([steps[0], f"{steps[1]}\n{steps[2]}"], [True, False])
    (record,) = stepwise(tree, judged(sample, (1, "Good"), (2, "Good"), (3, "Uncertain")))
    assert (record["completions"], record["labels"]) == (steps[:2], [True, True])  # nobody found a wrong step
    assert stepwise(tree, judged(sample, (1, "Uncertain"), (2, "Uncertain"))) == []


def test_a_mark_that_only_a_rule_moved_is_nobodys_judgement(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    sample = next(each for each in workspace.load_run().samples if (each.good, each.bad) == (2, 4))
    tree = tree_at(sample.path)
    moved = judged(sample, (1, "Bad"), mark=2)
    assert stepwise(tree, moved) == []
    (record,) = stepwise(tree, moved, approved=True)
    assert record["labels"] == [False]  # the step that was flagged in error stands before it, without a label
    assert record["completions"][0].count("Action:") == 2


def test_a_person_who_accepts_a_moved_mark_makes_it_a_label(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    out = workspace.exports / "steps.jsonl"
    sample = next(each for each in workspace.load_run().samples if (each.good, each.bad) == (11, 6))
    Decisions(workspace.decisions, "ada").decide(sample.id, "accepted", mark=2)
    done = export(workspace, None, "trl-stepwise", out)
    assert done.lines == 1
    assert json.loads(out.read_text())["labels"] == [False]  # of steps 1 (flagged by the verifier) and 2


# -- templates and tokens ----------------------------------------------------------------------------


def made_tokenizer(path: Path, markup: Markup) -> Path:
    """A tokenizer.json: single bytes, and the template's special tokens."""
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not there")
    models, pre, decoders = tokenizers.models, tokenizers.pre_tokenizers, tokenizers.decoders
    alphabet = {sign: number for number, sign in enumerate(sorted(pre.ByteLevel.alphabet()))}
    made = tokenizers.Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    made.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(control_tokens(markup))
    made.save(str(path))
    return path


def control_tokens(markup: Markup) -> list[str]:
    """The control tokens in a template's pieces."""
    around = [markup.start, markup.unspoken, *markup.user, *(markup.system or ()), markup.opening, markup.after]
    return sorted({*re.findall(markup.control, " ".join(around))})


def rendered_template(markup: Markup) -> Callable[[Sequence[Turn], bool], tuple[str, list[tuple[int, int]]]]:
    """The template that is written beside a dataset, rendered as transformers does: text, and where its marks are."""
    jinja2 = pytest.importorskip("jinja2", reason="the package jinja2 is not there")
    extensions = pytest.importorskip("jinja2.ext")
    spans: list[tuple[int, int]] = []

    class Generation(extensions.Extension):  # type: ignore[misc, name-defined]
        """`{% generation %} … {% endgeneration %}`."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

        def _mark(self, caller: Callable[[], str]) -> str:
            return f"\0{caller()}\1"

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation])
    template = environment.from_string(marked_template(markup))

    def render(turns: Sequence[Turn], generate: bool = False) -> tuple[str, list[tuple[int, int]]]:
        messages = plain(turns, thinks=True)
        spans.clear()
        text = ""
        for piece in re.split("([\0\1])", template.render(messages=messages, add_generation_prompt=generate)):
            if piece == "\0":
                begin = len(text)
            elif piece == "\1":
                spans.append((begin, len(text)))
            else:
                text += piece
        return text, list(spans)

    return render


SAID = [
    Turn("system", "Be brief. ", None, "header"),
    Turn("user", "Rules.\n", None, "header"),
    Turn("assistant", "Ok.", None, "header"),
    Turn("user", " Goal: é “x”", None, "header"),
    Turn("assistant", "Thought: a\nAction: b", False, "bad"),
    Turn("user", "Inventory: [x] (3) ", None, "bad"),
    Turn("assistant", "Thought: no\nAction: wait", True, "thought"),
    Turn("user", "ok.", None, "thought"),
    Turn("assistant", "\nThought: c — d", True, "good"),
    Turn("user", "Done", None, "good"),
]


@pytest.mark.parametrize("markup", FAMILIES.values(), ids=list(FAMILIES))
def test_the_template_beside_a_dataset_is_the_one_that_tokens_are_counted_in(markup: Markup) -> None:
    render = rendered_template(markup)
    said = ready(SAID, FormatOptions(markup=markup))
    text, spans = render(said, False)
    assert render(SAID, False) == (text, spans)  # a system turn is joined to the first user's there, too
    assert text == markup.text(said)
    assert [text[begin:end] for begin, end in spans] == [
        markup.body(turn) for turn in said if turn.role == "assistant"
    ]  # the end of the turn is marked with it, so that the model learns to stop
    prompt, _ = render(said[: len(said) - 6], True)
    assert text.startswith(prompt)  # a completion begins where the prompt ends
    assert prompt.endswith(markup.opening)


@pytest.mark.parametrize("markup", FAMILIES.values(), ids=list(FAMILIES))
def test_trained_tokens_are_those_that_trl_would_train(markup: Markup, tmp_path: Path) -> None:
    """TRL's rule, token by token: behind the tokenized prompt, and within a mark of the template."""
    path = made_tokenizer(tmp_path / "tokenizer.json", markup)
    vocabulary = Vocabulary(path, markup)
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(path))
    said = ready(SAID, FormatOptions(markup=markup))
    (record,) = FORMATS["trl-sft"].of_turns(SAID, FormatOptions(markup=markup))
    turns = [Turn(row["role"], row["content"], None, "good") for row in record["prompt"] + record["completion"]]
    render = rendered_template(markup)
    text, spans = render(turns, False)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    prompt = tokenizer.encode(render(turns[: len(record["prompt"])], True)[0], add_special_tokens=False).ids
    assert encoding.ids[: len(prompt)] == prompt
    marked = [False] * len(encoding.ids)
    for begin, end in spans:
        for place in range(encoding.char_to_token(begin), encoding.char_to_token(end - 1) + 1):
            marked[place] = True
    wanted = [id if marked[place] and place >= len(prompt) else IGNORED for place, id in enumerate(encoding.ids)]
    input_ids, labels = vocabulary.tokenize(said[:-1])
    assert input_ids == encoding.ids
    assert labels == wanted
    trained = tokenizer.decode([label for label in labels if label != IGNORED], skip_special_tokens=False)
    assert trained == "".join(markup.body(turn) for turn in said if turn.loss)
    assert length(said[:-1], vocabulary.measure, markup) == len(input_ids)  # messages are counted one by one


def test_a_tokenized_export_holds_ids_and_labels(tmp_path: Path) -> None:
    path = made_tokenizer(tmp_path / "tokenizer.json", CHATML)
    workspace = made_workspace(tmp_path / "w")
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(path))
    rows = written(workspace, "trl-sft", tokenizer=str(path))
    plain = written(workspace, "trl-sft")
    for (tokens, _), (record, _) in zip(rows, plain, strict=True):
        assert list(tokens) == ["input_ids", "labels"]
        said = "".join(f"{row['content']}<|im_end|>\n" for row in record["completion"] if row["role"] == "assistant")
        assert tokenizer.decode([id for id in tokens["labels"] if id != IGNORED], skip_special_tokens=False) == said
    longest = max(len(tokens["input_ids"]) for tokens, _ in rows)
    report = json.loads((workspace.exports / "trl-sft-centric.jsonl.report.json").read_text())
    assert report["exported"]["longest"] == 0  # the second export counted nothing
    written(workspace, "trl-sft", tokenizer=str(path), max_length=longest)
    report = json.loads((workspace.exports / "trl-sft-centric.jsonl.report.json").read_text())
    assert report["exported"]["longest"] == longest
    assert "with tokenizer.json" in report["exported"]["measured"]


def test_what_is_no_tokenizer_of_the_template_is_refused_in_one_line(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    llama = str(made_tokenizer(tmp_path / "llama.json", LLAMA3))
    (tmp_path / "broken.json").write_text("{}")
    for options, words in (
        ({"tokenizer": llama}, r"has no token <\|im_end\|>.*--for-model or --chat-template"),
        ({"tokenizer": str(tmp_path / "broken.json")}, "not a tokenizer.json"),
        ({"tokenizer": str(tmp_path / "absent.json")}, "no such file"),
        ({"chat_template": "alpaca"}, "unknown chat template 'alpaca': one of chatml, llama3; others: --for-model"),
    ):
        with pytest.raises(InputError, match=words):
            written(workspace, "trl-sft", **options)
    assert written(workspace, "trl-sft", tokenizer=llama, chat_template="llama3")


# -- length ------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(conversations(), st.integers(1, 200))
def test_what_does_not_fit_is_cut_off_by_whole_turns(turns: list[Turn], most: int) -> None:
    measure = len  # a token a sign
    kept = fitting(turns, most, measure, CHATML)
    assert kept == turns[: len(kept)]
    assert not kept or kept[-1].role == "assistant"
    assert length(kept, measure, CHATML) <= most
    longer = fitting(turns, None, measure, CHATML)
    after = next((place for place in range(len(kept), len(turns)) if turns[place].role == "assistant"), None)
    assert (kept == longer) if after is None else length(turns[: after + 1], measure, CHATML) > most


def test_after_the_cut_something_is_trained_or_the_sample_is_dropped_with_its_reason(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    for name in FORMATS:
        whole = len(written(workspace, name))
        for most in (10, 150, 200, 240, 10_000):
            out = workspace.exports / "cut.jsonl"
            done = export(workspace, None, name, out, all=True, options=ExportOptions(max_length=most))
            text = out.read_text(encoding="utf-8")
            records = json.loads(text) if FORMATS[name].array else [json.loads(line) for line in text.splitlines()]
            assert done.samples + sum(done.dropped.values()) == 6
            assert [problem for record in records for problem in FORMATS[name].validate(record)] == []
            if most == 10:
                assert records == []
                assert set(done.dropped) <= {"no trained turn within the length", FORMATS[name].empty}
            if most == 10_000:
                assert len(records) == whole
                assert done.warned == {}
        if name not in ("trl-stepwise", "trl-dpo"):
            done = export(workspace, None, name, out, all=True, options=ExportOptions(max_length=200))
            assert 0 < done.warned["cut to the length"] <= done.samples


# -- every format finds what is wrong ----------------------------------------------------------------


def records_of(name: str, tmp_path: Path) -> dict[str, Any]:
    """A record of a format."""
    return written(made_workspace(tmp_path), name)[0][0]


@pytest.mark.parametrize(
    ("name", "spoil", "problem"),
    [
        ("openai", lambda r: r["messages"][2].pop("weight"), "other keys than the format's"),
        ("openai", lambda r: r["messages"][2].update(weight=True), "a turn without a mask"),
        ("openai", lambda r: r["messages"][2].update(weight=0.5), "a turn without a mask"),
        ("openai", lambda r: [row.update(weight=0) for row in r["messages"] if "weight" in row], "no trained turn"),
        ("openai", lambda r: r["messages"].pop(1), "roles do not alternate"),
        ("openai", lambda r: r["messages"].append({"role": "user", "content": "x"}), "does not end with a response"),
        ("openai", lambda r: r.update(more=1), "other keys than the format's"),
        ("xtuner", lambda r: r["messages"][2].update(loss=None), "a turn without a mask"),
        ("xtuner", lambda r: r["messages"][1].update(loss=True), "a mask on a turn that is not the actor's"),
        ("xtuner", lambda r: r["messages"][3].update(content=" "), "empty text"),
        ("xtuner", lambda r: r["messages"][0].update(role="tool"), "other keys than the format's"),
        ("axolotl", lambda r: r["messages"][2].update(train=1), "a turn without a mask"),
        ("axolotl", lambda r: [row.update(train=False) for row in r["messages"]], "no trained turn"),
        ("sharegpt", lambda r: r["conversations"].pop(), "does not end with a response"),
        ("sharegpt", lambda r: r["conversations"].pop(1), "roles do not alternate"),
        ("sharegpt", lambda r: r["conversations"][0].update({"from": "gpt"}), "roles do not alternate"),
        ("trl-sft", lambda r: r["completion"].clear(), "no trained turn"),
        ("trl-sft", lambda r: r["prompt"].append(r["completion"].pop(0)), "roles do not alternate"),
        ("trl-sft", lambda r: r.update(prompt="text"), "other keys than the format's"),
        ("trl-dpo", lambda r: r.update(rejected=r["chosen"]), "chosen and rejected are the same"),
        ("trl-dpo", lambda r: r["rejected"].clear(), "no trained turn"),
        ("trl-stepwise", lambda r: r["labels"].append(True), "other keys than the format's"),
        ("trl-stepwise", lambda r: r["labels"].__setitem__(0, 1), "other keys than the format's"),
        ("trl-stepwise", lambda r: r["completions"].__setitem__(0, ""), "empty text"),
    ],
)
def test_every_format_finds_a_spoiled_record(
    name: str, spoil: Callable[[Any], Any], problem: str, tmp_path: Path
) -> None:
    record = records_of(name, tmp_path)
    assert FORMATS[name].validate(record) == []
    spoil(record)
    assert problem in FORMATS[name].validate(record)


def test_wrong_tokens_are_found() -> None:
    validate = FORMATS["trl-sft"].validate
    assert validate({"input_ids": [1, 2], "labels": [-100, 2]}) == []
    assert validate({"input_ids": [1, 2], "labels": [-100, -100]}) == ["no trained turn"]
    assert validate({"input_ids": [1, 2], "labels": [-100, 3]}) == ["a label that is not its token"]
    assert validate({"input_ids": [1, 2], "labels": [2]}) == ["other keys than the format's"]


# -- formats of other packages -------------------------------------------------------------------------

PACKAGE = """
from dataclasses import replace
from engine.datasets.formats import FORMATS
MINE = replace(FORMATS["openai"], name="mine")
TAKEN = replace(FORMATS["openai"], summary="taken")
NUMBER = 7
"""


def test_a_format_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = tmp_path / "lib" / "form_package-1.0.dist-info"
    meta.mkdir(parents=True)
    (tmp_path / "lib" / "form_package.py").write_text(PACKAGE)
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: form-package\nVersion: 1.0\n")
    points = ("a = form_package:MINE", "b = form_package:TAKEN", "c = form_package:NUMBER", "d = no_such:X")
    (meta / "entry_points.txt").write_text("\n".join(("[agentr_tui.formats]", *points)))
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setattr(base, "FORMATS", dict(FORMATS))
    base.broken_entry_points.cache_clear()
    workspace = made_workspace(tmp_path / "w")
    assert export(workspace, None, "mine", tmp_path / "mine.jsonl").lines == 5
    assert base.format_named("openai").summary != "taken"
    with pytest.raises(InputError, match=r"(?s)mine.*a format 'openai' already.*is a int, not a Format.*no_such"):
        base.format_named("unheard")
    base.broken_entry_points.cache_clear()


# -- documentation and configurations ----------------------------------------------------------------


def documented() -> dict[str, str]:
    """For each format, a complete line as the documentation has it: of leaves 2 and 8 of the made tree."""
    lines = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = made_workspace(Path(folder))
        sample = next(each for each in workspace.load_run().samples if (each.good, each.bad) == (2, 8))
        Decisions(workspace.decisions, "ada").decide(sample.id, "accepted", thought="I took the wrong step.")
        for name, format in FORMATS.items():
            out = workspace.exports / name
            export(workspace, None, name, out)
            text = out.read_text(encoding="utf-8")
            lines[name] = text.splitlines()[1 if format.array else 0]
    return lines


def test_the_documentation_shows_a_complete_line_of_every_format() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, line in documented().items():
        assert f"## `{name}`" in text
        assert f"```json\n{line}\n```" in text, f"{name}: the documented line is not the encoder's:\n{line}"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"compress": "parquet"} if name == "verl" else {}) for name in FORMATS),
        ("sharegpt", {"loss_weight": True}),
        ("trl-sft", {"chat_template": "llama3"}),
        ("axolotl", {"compress": "parquet", "split": "train=0.5,dev=0.5", "shards": 2}),
        ("sharegpt", {"split": "train=0.5,dev=0.5", "shards": 2}),
    ],
)
def test_configurations_can_be_read_and_name_files_that_are_there(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    yaml = pytest.importorskip("yaml", reason="the package PyYAML is not there")
    if options.get("compress") == "parquet":
        pytest.importorskip("pyarrow", reason="the package pyarrow is not there")
    workspace = tasks_workspace(tmp_path, 4)
    out = workspace.exports / f"data{FORMATS[name].extension}"
    done = export(workspace, None, name, out, all=True, options=ExportOptions(**options))
    assert bool(done.configs) == (name not in ("agent-r", "atif", "openai"))
    names = {Path(file.path).name for file in done.files if file.lines}
    for config in done.configs:
        text = Path(config).read_text(encoding="utf-8")
        assert not re.search(r"\$[a-z]", text)
        assert str(tmp_path) not in text  # it works wherever the folder is moved
        if config.endswith(".py"):
            assigned = ast.dump(ast.parse(text))
            assert all(file in assigned for file in names)
        elif config.endswith((".yaml", ".json")):
            read = yaml.safe_load(text)
            assert isinstance(read, dict)
            used = re.findall(r"[\w.-]+\.(?:jsonl|parquet|jinja)(?![\w.])", json.dumps(read))
            for file in used:
                assert (workspace.exports / file).exists() or file in names
    if name == "sharegpt" and not options.get("loss_weight"):
        train = yaml.safe_load((workspace.exports / "data.jsonl.llamafactory" / "train.yaml").read_text())
        info = json.loads((workspace.exports / train["dataset_dir"] / "dataset_info.json").read_text())
        assert train["mask_history"] is True
        listed = train["dataset"].split(",") + (train.get("eval_dataset") or "").split(",")
        assert {each for each in listed if each} == set(info)
        for entry in info.values():
            assert (workspace.exports / train["dataset_dir"] / entry["file_name"]).is_file()
    if name == "axolotl":
        config = yaml.safe_load((workspace.exports / f"{Path(done.out).name}.axolotl.yaml").read_text())
        assert all(each["message_field_training"] == "train" for each in config["datasets"])
        assert {each["path"] for each in config["datasets"] + config.get("test_datasets", [])} == names
