"""`--mix` reads what people share: every form gives the conversation that it holds, what does not fit is counted."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.datasets.conversation_forms import Unfit, conversation_of
from engine.datasets.export import export
from engine.datasets.formats import FORMATS, FormatOptions
from engine.datasets.mixing import NOTHING, choose_lines, mixed_line, numbered_values
from engine.datasets.options import Exported, ExportOptions
from engine.datasets.templates.markup import FAMILIES
from engine.workspace.workspace import Workspace
from tests.engine.tasks import tasks_workspace

ASKED = ("system", "Be kind."), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")
ROLES = [{"role": role, "content": text} for role, text in ASKED]
NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
SHARED = [{"from": NAMES[role], "value": text} for role, text in ASKED]

FORMS: dict[str, Any] = {
    "messages": {"messages": ROLES},
    "messages, extra keys": {"id": 7, "source": "x", "messages": [{**row, "name": None, "n": 1} for row in ROLES]},
    "developer": {"messages": [{**ROLES[0], "role": "developer"}, *ROLES[1:]]},
    "parts": {"messages": [{**row, "content": [{"type": "text", "text": row["content"]}]} for row in ROLES]},
    "conversations": {"conversations": SHARED},
    "conversations, extra keys": {"id": "a_0", "conversations": [{**row, "weight": None} for row in SHARED]},
    "conversations, system beside": {"system": "Be kind.", "conversations": SHARED[1:], "tools": "[]"},
    "conversations of roles": {"conversations": ROLES, "score": 0.5},
    "conversation": {"conversation": ROLES, "model": "m"},
    "chatgpt": {"conversations": [{**row, "from": row["from"].replace("gpt", "chatgpt")} for row in SHARED], "id": 1},
    "rounds": {
        "conversation": [{"system": "Be kind.", "input": "q1", "output": "a1"}, {"input": "q2", "output": "a2"}],
    },
    "alpaca": {
        "instruction": "q2",
        "input": "",
        "output": "a2",
        "history": [["q1", "a1"]],
        "system": "Be kind.",
    },
}


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_gives_the_same_conversation(form: str) -> None:
    turns = conversation_of(FORMS[form])
    assert [(turn.role, turn.content) for turn in turns] == list(ASKED)
    assert [turn.loss for turn in turns] == [None, None, True, None, True]


def test_of_a_prompt_and_a_completion_the_completion_is_trained() -> None:
    talks: list[dict[str, Any]] = [
        {"prompt": ROLES[:4], "completion": ROLES[4:], "id": 3},
        {"prompt": ROLES[:4], "response": ROLES[4:]},
    ]
    for value in talks:
        assert [turn.loss for turn in conversation_of(value)] == [None, None, False, None, True]
    for text in ({"prompt": "q", "completion": " a"}, {"prompt": "q", "response": "a", "id": 1}):
        assert [(turn.role, turn.content, turn.loss) for turn in conversation_of(text)] == [
            ("user", "q", None),
            ("assistant", "a", True),
        ]
    asked = conversation_of({"instruction": "Sum up.", "input": "Long text.", "output": "Short."})
    assert [turn.content for turn in asked] == ["Sum up.\nLong text.", "Short."]


@pytest.mark.parametrize("key", ["loss", "train", "training", "trainable", "weight", "loss_weight", "loss_mask"])
@pytest.mark.parametrize("off", [False, 0, 0.0])
def test_a_message_that_says_that_it_is_not_trained_is_not(key: str, off: Any) -> None:
    rows: list[dict[str, Any]] = [dict(row) for row in ROLES]
    rows[2][key] = off
    rows[4][key] = 1
    assert [turn.loss for turn in conversation_of({"messages": rows, "id": 1})] == [None, None, False, None, True]


UNFIT: list[tuple[Any, str]] = [
    ([1], "a form that is not known"),
    ("text", "a form that is not known"),
    ({"text": "x"}, "a form that is not known"),
    ({"messages": []}, "a form that is not known"),
    ({"messages": [{"role": "user", "content": None}]}, "a message without a text"),
    ({"messages": [{"role": "narrator", "content": "x"}]}, "a role that is not known: 'narrator'"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a part of a message that is no text"),
    ({"messages": [{"role": "user", "content": "q"}, {"role": "tool", "content": "x"}]}, "tool turns, for which"),
    ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]}, "tool turns, for which"),
    ({"conversations": [{"from": "function_call", "value": "{}"}]}, "tool turns, for which"),
    ({"prompt": 3, "completion": "x"}, "a message without a text"),
]


@pytest.mark.parametrize(("value", "reason"), UNFIT)
def test_what_is_no_conversation_of_texts_says_why(value: Any, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        conversation_of(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["x", "", "user", "assistant", "system", "tool"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["messages", "conversations", "role", "content", "from", "value", "prompt", "completion", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_any_value_gives_records_or_a_reason_in_every_format(value: Any) -> None:
    for format in FORMATS.values():
        records, reason = mixed_line(value, format, FormatOptions())
        assert bool(records) == (reason is None)
        assert all(format.validate(record) == [] for record in records)


# -- files -------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(JSON, max_size=8), st.sampled_from([None, 0, 3]))
def test_an_array_gives_its_items_however_it_is_written(tmp_path_factory: Any, items: list[Any], indent: Any) -> None:
    path = tmp_path_factory.mktemp("x") / "x.json"
    path.write_text("\ufeff" * bool(indent) + " \n" + json.dumps(items, indent=indent) + "\n", encoding="utf-8")
    if not indent:  # a file with a mark of its byte order begins with it
        path.write_text("\n " + json.dumps(items, indent=indent), encoding="utf-8")
    assert [value for _, value in numbered_values(path)] == items
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert list(numbered_values(path)) == list(enumerate(items, 1))


def test_lines_that_are_not_json_are_passed_on_as_such_and_empty_ones_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{\n\xff\n' + b"[" * 100_000 + b"\n")
    assert [(number, value is NOTHING) for number, value in numbered_values(path)] == [
        (1, False),
        (3, True),
        (4, True),
        (5, True),
    ]


def test_an_array_that_is_cut_is_refused_with_its_item(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([FORMS["messages"]] * 3)[:-20])
    with pytest.raises(InputError, match=r"x.json: item 3 of its array is not JSON"):
        list(numbered_values(path))


def test_of_a_large_array_little_is_held(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"messages": ROLES, "id": n, "more": "x" * 300} for n in range(40_000)]))
    tracemalloc.start()
    choice = choose_lines(path, 10, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (choice.seen, len(choice.chosen)) == (40_000, 10)
    assert peak < path.stat().st_size / 3


# -- the command's way -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with four tasks: twenty samples."""
    return tasks_workspace(tmp_path_factory.mktemp("few"), 4)


def exported(workspace: Workspace, out: Path, format: str, **options: Any) -> Exported:
    """Export with options."""
    return export(workspace, None, format, out, options=ExportOptions(**options))


CONVERSATIONS = [name for name, each in FORMATS.items() if each.conversation is not None]


@pytest.mark.parametrize("format", CONVERSATIONS)
@pytest.mark.parametrize("array", [False, True])
def test_the_share_is_met_by_lines_that_fit_and_the_others_are_counted(
    few: Workspace, tmp_path: Path, format: str, array: bool
) -> None:
    rows: list[Any] = []
    for number in range(60):
        rows.append({"id": number, "conversations": [{**row, "value": f"{row['value']} {number}"} for row in SHARED]})
        rows.append({"id": number, "conversations": [{"from": "gpt", "value": "I begin."}, *SHARED[1:]]})
    rows += [{"text": "x"}] * 5
    mix = tmp_path / "share.json"
    mix.write_text(json.dumps(rows) if array else "".join(f"{json.dumps(row)}\n" for row in rows))
    done = exported(few, tmp_path / f"out{FORMATS[format].extension}", format, mix=f"{mix}:0.2")
    assert abs(done.mixed / done.lines - 0.2) < 0.03
    assert [warning for warning in done.warnings if warning.startswith(str(mix))] == [
        f"{mix}: 5 lines left out: a form that is not known",
        f"{mix}: 60 lines left out: roles do not alternate",
    ]


def test_a_mixed_conversation_follows_the_models_template_too(few: Workspace, tmp_path: Path) -> None:
    mix = tmp_path / "mix.jsonl"
    mix.write_text(
        json.dumps({"id": 1, "messages": [{**ROLES[0], "content": "See <end_of_turn>."}, *ROLES[1:]]}) + "\n"
    )
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps({"messages": [{**row, "loss": row["role"] == "assistant"} for row in ROLES]}) + "\n")
    for path, said in ((mix, "See <end_of_turn>.\n\nq1"), (own, "Be kind.\n\nq1")):
        out = tmp_path / "out.jsonl"
        done = exported(few, out, "xtuner", mix=f"{path}:0.05", for_model="gemma", config=False)
        (record,) = [each for each in map(json.loads, out.read_text().splitlines()) if "a2" in str(each)]
        assert [row["role"] for row in record["messages"]] == ["user", "assistant", "user", "assistant"]
        assert record["messages"][0]["content"] == said
        assert any("control token" in warning for warning in done.warnings) == (path == mix)
    exported(few, out, "xtuner", mix=f"{mix}:0.05", for_model="gemma", control_tokens="escape")
    assert "See < end_of_turn>." in out.read_text()


CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
WITH_TOOLS = {
    "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "a lamp", "tool_call_id": "1"},
        {"role": "assistant", "content": "A lamp.", "refusal": None},
    ],
    "tools": [{"type": "function", "function": {"name": "look"}}],
}


def test_tool_turns_go_to_the_format_that_has_them_and_are_counted_in_others() -> None:
    options = FormatOptions(markup=FAMILIES["chatml"])
    records, reason = mixed_line(WITH_TOOLS, FORMATS["openai"], options)
    assert reason is None
    assert records == [
        {
            "messages": [
                {"role": "user", "content": "q"},
                {"role": "assistant", "tool_calls": [CALL], "weight": 1},
                {"role": "tool", "content": "a lamp", "tool_call_id": "1"},
                {"role": "assistant", "content": "A lamp.", "weight": 1},
            ],
            "tools": WITH_TOOLS["tools"],
        }
    ]
    for name in CONVERSATIONS:
        if name != "openai":
            assert mixed_line(WITH_TOOLS, FORMATS[name], options) == (
                [],
                "tool turns, for which the format has no place",
            )
