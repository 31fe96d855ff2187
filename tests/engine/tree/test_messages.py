"""Steps as messages."""

from __future__ import annotations

from engine.tree.events import (
    Child,
    Expanded,
    Imported,
    ImportedNode,
    Message,
    PrefixStep,
    Sampled,
    SearchSettings,
    Selected,
    Started,
    ToolCall,
    event_decoder,
    event_encoder,
)
from engine.tree.tree import SearchTree

HEADER = [Message("system", "You craft."), Message("user", "Goal: craft stick.")]
GET = ToolCall("get", '{"item": "oak log"}')
CRAFT = ToolCall("craft", '{"output": "stick"}')


def started(**values: object) -> Started:
    return Started(
        seq=0,
        version=2,
        trace="t",
        environment="e",
        task="1",
        header=HEADER,
        settings=SearchSettings(samples=2),
        **values,  # type: ignore[arg-type]
    )


def test_a_step_is_one_message_of_the_assistant_and_a_result_for_each_call() -> None:
    prefix = [PrefixStep("I look.", "look()", "a tree", (ToolCall("look", "{}"),))]
    tree = SearchTree(
        [
            started(prefix=prefix),
            Selected(seq=1, path=[0]),
            Sampled(seq=2, parent=0, draw=0, response="Both.", tool_calls=(GET, CRAFT)),
            Sampled(seq=3, parent=0, draw=1, response="One.", tool_calls=(GET,)),
            Expanded(
                seq=4,
                parent=0,
                children=[
                    Child(0, "get(…)\ncraft(…)", "[1] Got it. [2] Crafted.", results=("Got it.", "Crafted.")),
                    Child(1, "get(…)", "Got it."),
                ],
            ),
        ]
    )
    look = ToolCall("look", "{}", "call_p1_0")
    first = [Message("assistant", "I look.", (look,)), Message("tool", "a tree", (), "call_p1_0", "look")]
    assert tree.conversation(0) == HEADER + first
    assert tree.conversation(1) == [
        *HEADER,
        *first,
        Message("assistant", "Both.", (ToolCall(*GET_ARGS, "call_1_0"), ToolCall(*CRAFT_ARGS, "call_1_1"))),
        Message("tool", "Got it.", (), "call_1_0", "get"),
        Message("tool", "Crafted.", (), "call_1_1", "craft"),
    ]
    assert tree.conversation(2)[-1] == Message("tool", "Got it.", (), "call_2_0", "get")
    assert tree.nodes[2].thought == "One."


GET_ARGS = (GET.name, GET.arguments)
CRAFT_ARGS = (CRAFT.name, CRAFT.arguments)


def test_all_that_answers_an_imported_step_follows_it() -> None:
    answers = (Message("tool", "no"), Message("user", "Please hurry."))
    row = ImportedNode(0, "Hm.", "get(…)", "no", tool_calls=(GET,), answers=answers)
    events = [started(), Imported(seq=1, source="x", nodes=[ImportedNode(), row])]
    tree = SearchTree([event_decoder.decode(event_encoder.encode(event)) for event in events])
    assert tree.conversation(1)[-2:] == [Message("tool", "no", (), "call_1_0", "get"), Message("user", "Please hurry.")]


def test_a_message_without_calls_is_written_as_in_version_1() -> None:
    assert event_encoder.encode(Message("user", "")) == b'{"role":"user","content":""}'
