"""Reading a judge: its word in every dress, and none where it says none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.verifiers.judge_reply import LONGEST, judgement_is_whole, read_said

REPLIES: list[tuple[str, str | None]] = [
    ("Reason.\nJudgement: Bad", "Bad"),
    ("Judgment: Bad", "Bad"),
    ("judgement: bad", "Bad"),
    ("JUDGEMENT: BAD", "Bad"),
    ("### Judgement\nBad", "Bad"),
    ("### Judgement\n\n**Bad**\n", "Bad"),
    ("**Judgement:** Bad", "Bad"),
    ("**Judgement**: Bad", "Bad"),
    ("判断：Bad", "Bad"),
    ("判断：坏", "Bad"),
    ("判断: 好", "Good"),
    ("The step is bad.", "Bad"),
    ("So, the step is clearly bad because", "Bad"),
    ("This step is Good.", "Good"),
    ('{"reason":"x","judgement":"Bad"}', "Bad"),
    ('```json\n{"reason": "x {y}", "Judgement": "bad"}\n```', "Bad"),
    ('{"judgment": {"word": "Bad", "why": "no"}}', "Bad"),
    ("Judgement: [Bad]", "Bad"),
    ("Judgement: `Bad`", "Bad"),
    ("Judgement: <BAD>.", "Bad"),
    ("`Bad`", "Bad"),
    ("Bad", "Bad"),
    ("Bad.", "Bad"),
    ("[Bad]", "Bad"),
    ("Because x.\n\nBad", "Bad"),
    ("Bad\nbecause it fails", "Bad"),
    ("Judgement: Good|Bad|Uncertain", None),
    ("Good|Bad|Uncertain", None),
    ("Judgement: Good | Bad | Uncertain", None),
    ("Judgement: Good/Bad/Uncertain", None),
    ("Judgement: Good, Bad, or Uncertain", None),
    ("Judgement: <Good|Bad|Uncertain>", None),
    ("Judgement: Good or Bad", None),
    ("Judgement: Bad\n(Judgement: Good|Bad|Uncertain)", "Bad"),
    ("The form is Judgement: Good|Bad|Uncertain.\nJudgement: Bad", "Bad"),
    ("Judgement: Good|Bad|Uncertain\nBad", "Bad"),
    ("Judgement: Bad\nno, wait.\nJudgement: [uncertain]", "Uncertain"),
    ("Judgement: Not good", None),
    ("It was good.", None),
    ("Judgement:", None),
    ("", None),
    ("Judgement - Bad", "Bad"),
    ("Judgement = Bad", "Bad"),
    ("Judgement is Bad", "Bad"),
    ("My judgement is: Bad.", "Bad"),
    ("My final judgement is Bad.", "Bad"),
    ("Final Judgement: Bad", "Bad"),
    ("Judgement:Bad", "Bad"),
    ("Judgement : Bad", "Bad"),
    ("Judgement：Bad", "Bad"),
    ("Judgement (step 3): Bad", "Bad"),
    ("Judgement of this step: Bad", "Bad"),
    ("| Judgement | Bad |", "Bad"),
    ("> Judgement: Bad", "Bad"),
    ("- Judgement: Bad", "Bad"),
    ("1. Judgement: Bad", "Bad"),
    ("2. **Judgement:** Bad", "Bad"),
    ("Judgement: This step is Bad.", "Bad"),
    ("Judgement: the step is bad because it was refused", "Bad"),
    ("Verdict: Bad", "Bad"),
    ("Answer: Bad", "Bad"),
    ("**Answer:** Bad", "Bad"),
    ("\\boxed{Bad}", "Bad"),
    ("Judgement: \\boxed{Bad}", "Bad"),
    ("Judgement: $\\text{Bad}$", "Bad"),
    ("I would call it Bad.", "Bad"),
    ("I judge this step as bad.", "Bad"),
    ("I'd say bad", "Bad"),
    ("Therefore, bad.", "Bad"),
    ("Whether the step is good or bad is unclear", None),
    ("If the step is bad, stop.", None),
    ("the step is not bad", None),
    ("This is not a good step", None),
    ("The step is good at first sight. But on closer look the step is bad.", "Bad"),
    ("Judgement: [ ] Good [x] Bad [ ] Uncertain", "Bad"),
    ("Judgement: Good | **Bad** | Uncertain", "Bad"),
    ("Judgement:\n\n- Bad", "Bad"),
    ("<judgement>Bad</judgement>", "Bad"),
    ("<answer>Bad</answer>", "Bad"),
    ("'Judgement': 'Bad'", "Bad"),
    ("{'judgement': 'Bad'}", "Bad"),
    ("Judgement: Bad ❌", "Bad"),
    ("Judgement: ❌ Bad", "Bad"),
    ("Judgement:\xa0Bad", "Bad"),
    ("Judgement: Bad (confidence: 0.9)", "Bad"),
    ("Judgement: Badly done", None),
    ("Judgements: Bad", "Bad"),
    ('Judgement: "Bad"', "Bad"),
    ("In my judgement the step is bad.", "Bad"),
    ("In my judgement, this is fine. ", None),
    ("Reason: Good idea in general.\nJudgement: Bad", "Bad"),
    ("Judgement: Definitely bad", "Bad"),
    ("Judgement: The action is bad", "Bad"),
    ("Judgement - the step is Bad", "Bad"),
    ("Reason: The choice is Good, Bad or Uncertain.\nJudgement: Uncertain", "Uncertain"),
    ('Here is my answer.\n{"judgement":"Good|Bad|Uncertain"}', None),
    ('{"Judgement": "Good"} ', "Good"),
    ("Judgement: Good. The step is bad for nobody.", "Good"),
    ("**Good**", "Good"),
    ("JUDGEMENT — GOOD", "Good"),
    ("Step 3 is bad.", "Bad"),
    ("The agent's action was bad.", "Bad"),
    ("Judgement: uncertain", "Uncertain"),
    ("Judgement: Uncertain, good or bad cannot be told", "Uncertain"),
    ("Judgement: Good (not Bad)", "Good"),
    ('"judgement": "Bad"', "Bad"),
    ("Judgement\n---------\nBad", "Bad"),
    ("Reasoning: ok\nFinal answer: Good", "Good"),
    ("This step is considered Bad", "Bad"),
    ("The step should be judged Bad.", "Bad"),
    ("I would rate this step: Bad", "Bad"),
    ("the step in question is Bad", "Bad"),
    ("The judgement is Bad.", "Bad"),
    ("It is a bad step.", "Bad"),
    ("This is a bad step.", "Bad"),
    ("Judgement: it is Bad", "Bad"),
    ("Judgement: bad/uncertain", None),
    ("Judgement: Somewhat bad", "Bad"),
    ("Judgement: I think it is Bad", "Bad"),
    ("Judgement: It's bad", "Bad"),
    ("Judgement: This appears to be Bad", "Bad"),
    ("Judgement: Option B (Bad)", "Bad"),
    ("Judgement: (b) Bad", "Bad"),
    ("Judgement: 👎 Bad", "Bad"),
    ("Judgement: ≠ Bad", None),
    ("Judgement: <b>Bad</b>", "Bad"),
    ("Judgement: ~~Good~~ Bad", "Bad"),
    ("<reason>It is good so far.</reason><judgement>Bad</judgement>", "Bad"),
    ("Judgement ⇒ Bad", "Bad"),
    ("Jugdement: Bad", "Bad"),
    ("Urteil: Bad", "Bad"),
    ("最终判断：Bad", "Bad"),
    ("판단: Bad", "Bad"),
    ("Result: Bad", "Bad"),
    ("Result: good work so far", None),
    ("Step 3: Bad", "Bad"),
    ("It wastes the logs. So it's Bad.", None),
    ("It wastes the logs.\nSo it's Bad.", "Bad"),
    ("That makes the step Bad.", "Bad"),
    ("Based on this, my judgement would be: Bad", "Bad"),
    ('{"judgement": "BAD_STEP"}', "Bad"),
    ("| Reason | Judgement |\n| --- | --- |\n| wasteful | Bad |", "Bad"),
    ("Good|Bad|Uncertain: Bad", "Bad"),
    ("Judgement [Good/Bad/Uncertain]: Bad", "Bad"),
    ("Judgement: <Good|Bad|Uncertain> Bad", "Bad"),
]
"""What models write, and what a person would say that they judged; None: nothing."""

WORDS = st.sampled_from(["Good", "Bad", "Uncertain"])
LABELS = st.sampled_from(["Judgement", "Judgment", "judgement", "JUDGMENT", "Final Judgement", "判断", "Verdict"])
DRESSES = st.sampled_from(
    ["{0}: {1}", "**{0}:** {1}", "**{0}**: {1}", "### {0}\n{1}", "## {0}\n\n**{1}**", "{0}：{1}", "{0}: [{1}]",
     "- {0}: `{1}`", "{0} = {1}", "{0}: the step is {1}.", "> {0}: <{1}>", "| {0} | {1} |",
     '{{"reason": "so", "{0}": "{1}"}}']
)  # fmt: skip


@pytest.mark.parametrize(("reply", "word"), REPLIES)
def test_a_reply_is_read_as_a_person_would_read_it(reply: str, word: str | None) -> None:
    assert read_said(reply).word == word


@given(WORDS, LABELS, DRESSES, st.sampled_from([str.lower, str.upper, str.title]))
def test_every_dress_of_a_word_is_that_word(word: str, label: str, dress: str, case: type[str]) -> None:
    reply = "Reason: it follows the plan.\n" + dress.format(label, case(word))
    assert read_said(reply).word == word
    assert read_said(f"{reply}\n").word == word


@given(st.permutations(["Good", "Bad", "Uncertain"]), LABELS, st.sampled_from(["|", " | ", "/", " or ", ", "]))
def test_the_choice_repeated_is_no_judgement(words: list[str], label: str, between: str) -> None:
    assert read_said(f"{label}: {between.join(words)}").word is None
    assert read_said(f"{label}: <{between.join(words)}>\n{label}: Bad").word == "Bad"


@given(st.text(max_size=300))
def test_whatever_a_model_writes_is_read_without_a_fault(text: str) -> None:
    assert read_said(text).word in (None, "Good", "Bad", "Uncertain")


@pytest.mark.parametrize("piece", ["\n", "-", "{", '{"a":', "Judgement: ", "the step ", "good or ", "( ", "\t\n "])
def test_a_reply_that_is_made_to_take_long_is_read_soon(piece: str) -> None:
    began = time.process_time()
    read_said(piece * LONGEST)
    assert time.process_time() - began < 10  # with a square of the length it is hours


def test_the_reasons_are_what_stands_beside_the_judgement() -> None:
    assert read_said("It repeats a failure.\n**Judgement:** Bad").reason == "It repeats a failure."
    assert read_said('{"reason": "It repeats.", "judgement": "Bad"}').reason == "It repeats."
    assert read_said("Bad\nIt repeats a failure.").reason == "It repeats a failure."


def test_a_judgement_that_may_have_been_cut_is_not_whole() -> None:
    assert not judgement_is_whole("It is fine.\nJudgement: Good")
    assert not judgement_is_whole("It is fine, since")
    assert judgement_is_whole("Judgement: Good\nThe agent then")
    assert judgement_is_whole('{"reason": "a", "judgement": "Good"}')


@pytest.mark.parametrize(
    "repeated",
    ["\n*", "*\n", "_\n", "good|", "i'd say ", "i'd say :   ", "the-", "the ", "the \n", "so a ", "☑ ", "i judge it:::",
     "[x]\n", "\n1.", "good, bad or ", "<b ", '{"a":', "Judgement: ", "it is so "],
)  # fmt: skip
def test_a_reply_that_repeats_itself_to_its_limit_is_read_at_once(repeated: str) -> None:
    """2,000 lines of an asterisk took six seconds, five times as many ten minutes: nothing else ran meanwhile."""
    text = repeated * (LONGEST // len(repeated))
    assert read_said(text).word in (None, "Good", "Bad", "Uncertain")
    assert read_said(f"{text}\nJudgement: Bad").word == "Bad"


def test_a_long_run_of_signs_parts_no_lines_and_joins_none() -> None:
    rule = "-=" * 200
    assert read_said(f"It is good so far.\n{rule}\n{rule}\nJudgement: Bad").word == "Bad"
    assert read_said(f"Judgement:{' ' * 300}Bad").word == "Bad"
    assert read_said(f"Judgement:{'| ' * 150}\nGood").word == "Good"
