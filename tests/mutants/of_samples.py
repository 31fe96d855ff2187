"""Mutants of what becomes of pairs: replay, splice and mask, verifiers, review, datasets."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_REPLAY, _SPLICE = "engine/environment/replay.py", "engine/samples/splice.py"
_INSTANCES, _AT_NODE = "engine/environment/instances.py", "engine/environment/at_node.py"
_TEXT, _SPLIT = "engine/base/text.py", "engine/datasets/split.py"
_DECISIONS, _AGREEMENT = "engine/review/decisions.py", "engine/review/agreement.py"
_BASE, _PROGRESS = "engine/verifiers/base.py", "engine/verifiers/progress.py"

_VERDICT, _STANDING = "engine/environment/test_verdict.py", "engine/environment/test_standing.py"
_PREFIX, _REVISION, _CHOICE = (
    "engine/samples/test_prefix.py",
    "engine/samples/test_revision.py",
    "engine/pairs/test_choice.py",
)
_SPLITS, _FORMATS = "engine/datasets/test_splits.py", "engine/datasets/test_formats.py"
_EXPORT, _CURATION = "engine/datasets/test_export.py", "engine/review/test_curation.py"
_AGREE = "engine/review/test_agreement.py"

SAMPLES: list[Mutant] = [
    # -- replay
    mutant(
        "replay-blanks",
        "an observation that differs by a blank or a letter's case is not verified",
        _REPLAY,
        "if observation != step.observation:",
        "if observation.casefold().split() != step.observation.casefold().split():",
        f"{_VERDICT}::test_an_observation_that_differs_by_a_blank_or_a_letters_case_is_not_verified",
    ),
    mutant(
        "replay-higher",
        "a higher return than recorded is not verified",
        _REPLAY,
        "if abs(score - expected_return) > TOLERANCE:",
        "if expected_return - score > TOLERANCE:",
        f"{_VERDICT}::test_a_higher_return_than_recorded_is_not_verified",
    ),
    mutant(
        "replay-ends-among-bad",
        "an episode that ends among the bad steps never holds",
        _REPLAY,
        "if place >= tail and ",
        "if ",
        f"{_VERDICT}::test_an_episode_that_ends_among_the_bad_steps_never_holds",
        f"{_VERDICT}::test_a_sample_whose_episode_ends_at_its_wrong_step_does_not_hold",
    ),
    mutant(
        "replay-holds",
        "a sample that diverged does not hold",
        _REPLAY,
        'frozenset({"verified", "reobserved", "repaired"})',
        'frozenset({"verified", "reobserved", "repaired", "diverged"})',
        f"{_VERDICT}::test_only_what_was_seen_in_the_environment_holds",
    ),
    mutant(
        "replay-tree",
        "replaying a tree compares the returns",
        _REPLAY,
        "if abs(max(score, 0) - node.reward) > TOLERANCE:",
        "if abs(max(score, 0) - node.reward) > 1:",
        f"{_REVISION}::test_replaying_a_tree_names_what_was_tampered_with",
    ),
    mutant(
        "replay-memory",
        "what was stepped once is answered from memory by state and action, not by action alone",
        _REPLAY,
        "self._state = found[0]",
        "self._state = 0",
        f"{_VERDICT}::test_what_a_replay_remembers_is_of_that_state",
    ),
    mutant(
        "flatten-tabs",
        "observations are compared as the search stores them: line ends and tabs are blanks",
        _TEXT,
        'return observation.replace("\\n", " ").replace("\\t", " ")',
        'return observation.replace("\\n", " ")',
        f"{_VERDICT}::test_line_ends_are_compared_as_the_search_stores_them",
    ),
    mutant(
        "reset-prefix",
        "after a reset the steps before the root are made again",
        _INSTANCES,
        "for action in self.prefix)])",
        "for action in self.prefix[1:])])",
        f"{_VERDICT}::test_every_replay_begins_behind_the_prefix",
    ),
    mutant(
        "instance-path",
        "an instance goes on only along the path that it stands on",
        _INSTANCES,
        "if instance.path is None or path[: len(instance.path)] != instance.path:",
        "if instance.path is None:",
        f"{_STANDING}::test_it_stands_where_it_is_asked_to_whatever_was_asked_before",
    ),
    mutant(
        "snapshot-path",
        "a node whose snapshot is gone is come to from the nearest one above it",
        _AT_NODE,
        "for child in reversed(missing):",
        "for child in reversed(missing[:1]):",
        f"{_STANDING}::test_a_state_that_can_not_be_kept_is_come_to_by_its_actions",
        f"{_STANDING}::test_it_stands_where_it_is_asked_to_whatever_was_asked_before",
    ),
    # -- splice and mask
    mutant(
        "mask-bad",
        "bad steps are not trained",
        _SPLICE,
        '_step_turns(tree, parts.bad, "bad", False, true, 0, words)',
        '_step_turns(tree, parts.bad, "bad", True, true, 0, words)',
        f"{_PREFIX}::test_only_the_thought_and_the_good_steps_of_a_branched_search_are_trained",
    ),
    mutant(
        "mask-prefix",
        "steps before the root of a branched search are not trained",
        _SPLICE,
        '_turn(message, False, "prefix")',
        '_turn(message, True, "prefix")',
        f"{_PREFIX}::test_steps_before_the_root_stand_in_a_trajectory_and_are_not_trained",
    ),
    mutant(
        "mask-thought",
        "the revision thought is trained",
        _SPLICE,
        'Turn("assistant", thought_turn(thought), True, "thought")',
        'Turn("assistant", thought_turn(thought), False, "thought")',
        f"{_PREFIX}::test_only_the_thought_and_the_good_steps_of_a_branched_search_are_trained",
    ),
    mutant(
        "mask-good",
        "good steps are trained",
        _SPLICE,
        '_step_turns(tree, parts.good, "good", True, true, len(parts.bad), words)',
        '_step_turns(tree, parts.good, "good", False, true, len(parts.bad), words)',
        f"{_PREFIX}::test_only_the_thought_and_the_good_steps_of_a_branched_search_are_trained",
    ),
    mutant(
        "splice-tail",
        "the good part begins with the first step after the fork",
        _SPLICE,
        "return Splice(cut, good_path[shared:])",
        "return Splice(cut, good_path[shared + 1 :])",
        f"{_PREFIX}::test_a_splice_is_the_bad_steps_up_to_the_mark_and_the_good_ones_after_the_fork",
    ),
    mutant(
        "splice-mark",
        "the wrong step itself is the last of the bad part",
        _SPLICE,
        "else bad_path[:mark]",
        "else bad_path[: mark - 1]",
        f"{_PREFIX}::test_a_splice_is_the_bad_steps_up_to_the_mark_and_the_good_ones_after_the_fork",
    ),
    mutant(
        "duplicates-near",
        "samples are near duplicates only from the threshold of similarity on",
        "engine/samples/duplicates.py",
        "if self._kept[found].jaccard(sketch) >= self.threshold:",
        "if self._kept[found].jaccard(sketch) >= 0:",
        f"{_CHOICE}::test_near_duplicates_need_the_same_flagged_action_and_trained_parts_that_agree",
    ),
    # -- verifiers
    mutant(
        "first-wrong-step",
        "the mark is the first step that was judged Bad, not the first that was not Good",
        _BASE,
        'for judgement in judgements if judgement.word == "Bad")',
        'for judgement in judgements if judgement.word != "Good")',
        f"{_PREFIX}::test_the_mark_is_the_first_step_judged_bad",
    ),
    mutant(
        "compat-judgement",
        "as in the original the last `Judgement:` of a reply counts",
        _BASE,
        'text.rsplit("Judgement:", 1)[-1].lower()',
        'text.split("Judgement:", 1)[-1].lower()',
        f"{_REVISION}::test_a_judgement_is_read_by_its_first_word_and_in_compat_as_the_original_does",
    ),
    mutant(
        "majority",
        "more than half of the votes decide: half is not enough",
        "engine/verifiers/openai_judge.py",
        " > votes / 2",
        " >= votes / 2",
        "engine/verifiers/test_votes.py::test_more_than_half_of_all_votes_decide",
    ),
    mutant(
        "progress-idle",
        "a step that changes nothing is Uncertain, not Bad",
        _PROGRESS,
        'return "Uncertain", f"{shown}: no progress"',
        'return "Bad", f"{shown}: no progress"',
        f"{_REVISION}::test_progress_calls_a_refusal_bad_and_idling_uncertain",
    ),
    mutant(
        "value-below",
        "by value a step is Good as long as a good leaf was found below it",
        "engine/verifiers/value.py",
        "id = tree.nodes[id].parent",
        "id = -1",
        f"{_REVISION}::test_value_marks_the_first_step_after_the_fork_below_which_no_good_leaf_was_found",
        "engine/datasets/test_export.py::test_without_decisions_all_that_hold_are_exported",
    ),
    # -- review
    mutant(
        "decision-latest",
        "of two verdicts on a sample the later holds",
        _DECISIONS,
        "if line.verdict is not None:",
        "if line.verdict is not None and decided.verdict is None:",
        f"{_CURATION}::test_the_latest_verdict_mark_thought_and_note_win_each_for_itself",
    ),
    mutant(
        "decision-undone",
        "a decision that was taken back does not hold",
        _DECISIONS,
        "taken_back.add(line.undo_of)",
        "pass",
        f"{_CURATION}::test_undoing_an_undoing_brings_the_line_back",
    ),
    mutant(
        "wilson",
        "the interval of the defect rate is Wilson's",
        _AGREEMENT,
        "z * z / (4 * reviewed * reviewed))",
        "z * z / (2 * reviewed * reviewed))",
        f"{_AGREE}::test_the_interval_is_the_one_in_the_books",
    ),
    mutant(
        "agreement-skips",
        "a skip is no verdict: it does not count as disagreement",
        _AGREEMENT,
        'decided.by_reviewer.items() if what != "skipped"}',
        "decided.by_reviewer.items()}",
        f"{_AGREE}::test_alpha_is_one_where_all_agree_and_undefined_where_nothing_can_differ",
        f"{_AGREE}::test_alpha_is_what_its_definition_gives",
    ),
    # -- datasets
    mutant(
        "split-process",
        "a task is in the same part in every process",
        _SPLIT,
        'place = int.from_bytes(digest, "big") / 2**64',
        "place = hash(digest) % 2**32 / 2**32",
        f"{_SPLITS}::test_a_task_keeps_its_part_in_every_process_and_each_environment_has_its_own",
    ),
    mutant(
        "split-environment",
        "tasks are split by environment and task: task 12 of two environments may fall apart",
        _SPLIT,
        'f"{seed}\\n{environment}\\n{task}"',
        'f"{seed}\\n{task}"',
        f"{_SPLITS}::test_a_task_keeps_its_part_in_every_process_and_each_environment_has_its_own",
    ),
    mutant(
        "mixed-share",
        "what is mixed in is that share of all lines, not of the samples'",
        _SPLIT,
        "return round(own * share / (1 - share - other))",
        "return round(own * share)",
        f"{_SPLITS}::test_the_number_of_lines_to_mix_gives_the_share",
    ),
    mutant(
        "shards",
        "shards together hold every record once",
        _SPLIT,
        "(records * shard // shards, records * (shard + 1) // shards)",
        "(records // shards * shard, records // shards * (shard + 1))",
        f"{_SPLITS}::test_shards_follow_each_other_and_differ_by_one_record",
    ),
    mutant(
        "only-verified",
        "an export of verified samples only holds no other",
        "engine/datasets/sample_choice.py",
        'only_verified and sample.verdict != "verified":',
        'only_verified and sample.verdict == "diverged":',
        f"{_EXPORT}::test_only_verified_narrows_either",
    ),
    mutant(
        "export-rejected",
        "with decisions only accepted samples are exported",
        "engine/datasets/sample_choice.py",
        'if verdict != "accepted":',
        'if verdict == "skipped":',
        f"{_EXPORT}::test_with_decisions_only_accepted_samples_that_hold_are_exported",
    ),
    mutant(
        "format-mask",
        "an untrained turn has a mask that says so",
        "engine/datasets/formats/masks.py",
        'return turn.role == "assistant" and bool(turn.loss)',
        'return turn.role == "assistant"',
        f"{_FORMATS}::test_any_mask_is_read_back_by_the_rule_of_every_trainer",
    ),
]
