"""Mutants of what comes from elsewhere or goes there: calls of tools, permission, keys, rollouts, collections."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_SPLICE, _TAILS = "engine/samples/splice.py", "engine/samples/tails/straighten_sample.py"
_MASKS, _OPENAI = "engine/datasets/formats/masks.py", "engine/datasets/formats/openai.py"
_PERMISSION, _SECRETS = "engine/environment/permission.py", "engine/base/secrets.py"
_RECORDS, _LEDGER = "engine/datasets/records.py", "engine/collect/task_ledger.py"
_MERGE, _STORE = "engine/imports/merging/merge.py", "engine/imports/trace_store.py"

_TOOLS, _LESSONS = "engine/datasets/test_tool_calls.py", "engine/samples/test_lessons.py"
_PLACES, _KEYS = "engine/environment/test_permission_places.py", "engine/base/test_secrets.py"
_EXPORT, _MERGED = "engine/datasets/test_splits.py", "engine/imports/test_merge.py"
_COLLECT = "engine/collect/test_collect.py"

STRANGERS: list[Mutant] = [
    # -- calls of tools, masked
    mutant(
        "mask-results",
        "what a tool answers has no mask of its own: only turns of the assistant are trained, or said not to be",
        _SPLICE,
        'loss if message.role == "assistant" else None,',
        "loss,",
        f"{_TOOLS}::test_a_merged_thought_is_said_by_the_turn_that_takes_the_next_right_step",
    ),
    mutant(
        "mask-calls",
        "a turn that calls tools is trained only where its mask says so",
        _OPENAI,
        'message["weight"] = int(trained(turn))',
        'message["weight"] = int(trained(turn) or bool(turn.calls))',
        f"{_TOOLS}::test_openai_messages_hold_calls_results_and_tools",
    ),
    mutant(
        "calls-in-records",
        "a record holds the calls of a turn with their arguments",
        _MASKS,
        '"arguments": call.arguments}',
        '"arguments": ""}',
        f"{_TOOLS}::test_openai_messages_hold_calls_results_and_tools",
    ),
    mutant(
        "mask-careless",
        "a step that did something else than it says, and has to stay, is not trained",
        _TAILS,
        " and not _careless(ground, bad, moves, place)",
        "",
        f"{_LESSONS}::test_nothing_refused_idle_bad_or_disowned_is_trained_by_default",
    ),
    # -- permission
    mutant(
        "consent-environment",
        "no environment that only a trace names is made without a yes",
        _PERMISSION,
        "    check(claims, started, named, source)",
        "    del started, source",
        f"{_PLACES}::test_a_module_that_only_a_trace_names_is_not_imported_and_nothing_is_written",
    ),
    mutant(
        "consent-unknown",
        "a setting that nobody thought of counts as a place",
        _PERMISSION,
        "isinstance(value, int | float):",
        "isinstance(value, int | float | str):",
        f"{_PLACES}::test_a_setting_that_nobody_thought_of_is_a_place",
    ),
    mutant(
        "consent-one-trace",
        "a yes is for one trace",
        _PERMISSION,
        "said = [first.trace, first.task,",
        "said = [first.task,",
        f"{_PLACES}::test_the_command_line_names_it_and_that_holds_for_this_trace",
    ),
    # -- keys in texts
    mutant(
        "redact-each",
        "each string that looks like a key is taken out of a text, not the first alone",
        _SECRETS,
        "_KEY_LIKE.subn(REDACTED, text)",
        "_KEY_LIKE.subn(REDACTED, text, 1)",
        f"{_KEYS}::test_a_redacted_text_holds_no_key_and_all_else",
    ),
    mutant(
        "redact-turns",
        "a redacted export holds no key",
        _RECORDS,
        "turn._replace(content=content, reasoning",
        "turn._replace(reasoning",
        f"{_EXPORT}::test_redact_writes_the_samples_without_their_keys_and_counts_them",
    ),
    # -- rollouts
    mutant(
        "merge-wording",
        "the path of an attempt reads as its own: what it said otherwise than its node is kept",
        _MERGE,
        "number = self.wordings.setdefault(own, len(self.wordings) + 1)",
        "number = 0",
        f"{_MERGED}::test_each_attempt_reads_back_as_its_own_messages_in_order",
    ),
    mutant(
        "merge-chance",
        "the same action with another answer is chance, and no decision",
        _MERGE,
        "child = self._new(here, step, action, known.first.id)",
        "child = self._new(here, step, action)",
        f"{_MERGED}::test_the_same_action_with_another_result_is_a_chance_node_and_no_pair",
    ),
    mutant(
        "merge-twice",
        "an attempt that is there already is not added again",
        _STORE,
        "if found := free.get(key(fresh[place])):",
        "if (found := free.get(key(fresh[place]))) and False:",
        f"{_MERGED}::test_importing_again_adds_what_is_new_and_changes_no_number",
    ),
    # -- collections
    mutant(
        "collect-resume",
        "a task that an earlier run did is not done again",
        _LEDGER,
        'if known is None or known.outcome != "done" or not paths[task].exists():',
        "if True:",
        f"{_COLLECT}::test_budgets_count_what_earlier_runs_used_and_what_workers_hold",
    ),
    mutant(
        "collect-held",
        "calls that workers hold are calls of the budget",
        _LEDGER,
        "self.budget.calls - self.total.calls - self.granted",
        "self.budget.calls - self.total.calls",
        f"{_COLLECT}::test_budgets_count_what_earlier_runs_used_and_what_workers_hold",
    ),
    mutant(
        "collect-earlier",
        "a budget counts what earlier runs of the collection used",
        _LEDGER,
        "self._count(ended.task, ended.spent)",
        "pass",
        f"{_COLLECT}::test_budgets_count_what_earlier_runs_used_and_what_workers_hold",
    ),
    mutant(
        "collect-counted-once",
        "what a search used is counted once, however often its worker tells",
        _LEDGER,
        "self.total.take(before)",
        "pass",
        f"{_COLLECT}::test_budgets_count_what_earlier_runs_used_and_what_workers_hold",
    ),
]
