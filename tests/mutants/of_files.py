"""Mutants of files, of what is sent to and comes from a model, of environments."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

_TRACE, _REPLY = "engine/trace/trace_file.py", "engine/models/reply.py"
_CLIENT, _ENDPOINT = "engine/models/client.py", "engine/models/endpoint.py"
_WINDOW = "engine/models/context_window.py"
_CRAFT = "envs/textcraft/env.py"

_TRACES, _LLM = "engine/trace/test_trace.py", "engine/models/test_llm.py"
_TRUST, _ACTOR = "engine/environment/test_permission.py", "engine/actors/test_openai_actor.py"
_TEXTCRAFT, _WEBSHOP = "envs/test_textcraft.py", "envs/test_webshop.py"

FILES: list[Mutant] = [
    # -- traces
    mutant(
        "trace-lock",
        "a trace has one writer",
        "engine/trace/write_lock.py",
        "lock: BaseFileLock = FileLock(lock_file, thread_local=False)",
        'lock: BaseFileLock = FileLock(f"{lock_file}.{os.urandom(4).hex()}", thread_local=False)',
        f"{_TRACES}::test_a_trace_has_one_writer",
    ),
    mutant(
        "trace-torn",
        "a writer that goes on cuts the torn line off first",
        _TRACE,
        "                os.ftruncate(self._fd, append_to)",
        "                pass",
        f"{_TRACES}::test_a_writer_cuts_off_the_torn_line_and_goes_on",
    ),
    mutant(
        "trace-broken-line",
        "broken JSON in the middle of a trace is an error, not the end of it",
        _TRACE,
        "                    if file.read(1):",
        "                    if not file.read(1):",
        f"{_TRACES}::test_a_broken_trace_is_one_line_that_names_the_line",
    ),
    mutant(
        "trace-newer",
        "a trace of a newer format is refused",
        _TRACE,
        "        if version > FORMAT_VERSION:",
        "        if version > FORMAT_VERSION + 1000:",
        f"{_TRACES}::test_a_broken_trace_is_one_line_that_names_the_line",
    ),
    mutant(
        "trace-lost-events",
        "events that another process wrote since the trace was read are not cut off",
        _TRACE,
        'raise InputError(f"{self.path}: another process wrote to it since it was read: read it again")',
        "pass",
        f"{_TRACES}::test_events_written_since_the_trace_was_read_are_not_cut_off",
    ),
    mutant(
        "follower-torn",
        "who follows a trace is given whole lines only",
        "engine/trace/follower.py",
        'lines = data[: data.rfind(b"\\n") + 1]',
        "lines = data",
        f"{_TRACES}::test_a_follower_holds_back_an_incomplete_line",
    ),
    # -- models
    mutant(
        "key-scrubbed",
        "the key is in no text that comes from a server",
        _ENDPOINT,
        "return key != NO_KEY and len(key) >= SHORTEST_SECRET",
        "return key != NO_KEY and len(key) >= 100 * SHORTEST_SECRET",
        f"{_LLM}::test_the_key_is_sent_and_is_nowhere_else",
        f"{_LLM}::test_a_key_at_the_edge_of_a_cut_message_leaves_no_half",
    ),
    mutant(
        "key-reasoning",
        "the key is not in what a model thought, either",
        _REPLY,
        "reasoning=clean(scrub(reasoning)) or None",
        "reasoning=clean(reasoning) or None",
        f"{_LLM}::test_the_key_is_sent_and_is_nowhere_else",
    ),
    mutant(
        "trust-loopback",
        "a server is on this machine where its address is, not where its name looks like it",
        "engine/environment/permission.py",
        'return host == "localhost" or ipaddress.ip_address(host).is_loopback',
        'return host == "localhost" or host.startswith("127.")',
        f"{_TRUST}::test_only_servers_of_ones_own_are_asked_with_keys_of_ones_own",
    ),
    mutant(
        "cost-unknown",
        "a cost without prices is unknown, not 0",
        _REPLY,
        "    cost = None",
        "    cost = 0.0",
        f"{_LLM}::test_what_a_call_cost_is_unknown_without_prices_or_usage",
    ),
    mutant(
        "context-oldest",
        "where a conversation is too long its oldest steps go",
        _WINDOW,
        "return kept + list(messages[end:]), first",
        "return kept + list(messages[header : len(messages) - end + header]), first",
        f"{_ACTOR}::test_whole_steps_are_dropped_oldest_first_and_the_drop_is_recorded",
    ),
    mutant(
        "waits-double",
        "waits between attempts grow",
        _CLIENT,
        "FIRST_WAIT * 2.0 ** min(attempt - 1, 16)",
        "FIRST_WAIT * 1.0 ** min(attempt - 1, 16)",
        f"{_LLM}::test_waits_grow_and_differ",
    ),
    mutant(
        "retry-milliseconds",
        "a server that asks to wait in milliseconds is not waited for a thousand times as long",
        "engine/models/faults.py",
        'float(headers["retry-after-ms"]) / 1000',
        'float(headers["retry-after-ms"])',
        f"{_LLM}::test_retry_after_may_be_a_date_or_milliseconds_or_nonsense",
    ),
    # -- environments
    mutant(
        "textcraft-amounts",
        "only the exact amounts make a recipe",
        _CRAFT,
        "if use is None or use[1] != part.count:",
        "if use is None or use[1] < part.count:",
        f"{_TEXTCRAFT}::test_only_the_exact_amounts_of_one_kind_make_a_recipe",
    ),
    mutant(
        "textcraft-used",
        "what a recipe uses is carried no more",
        _CRAFT,
        "inventory[used] -= amount",
        "inventory[used] -= 1",
        f"{_TEXTCRAFT}::test_any_actions_are_answered_as_the_package_answers_them",
        f"{_TEXTCRAFT}::test_every_recorded_search_step_is_answered_as_recorded",
    ),
    mutant(
        "textcraft-state",
        "states are equal exactly where the goal is and as much is carried",
        _CRAFT,
        "blake2b(repr((goal, carried)).encode(), digest_size=8)",
        "blake2b(repr(carried).encode(), digest_size=8)",
        f"{_TEXTCRAFT}::test_state_keys_are_equal_exactly_where_states_are",
    ),
    mutant(
        "webshop-price",
        "a price at the limit is within it",
        "envs/webshop/reward.py",
        "price = product.price <= goal.price_upper",
        "price = product.price < goal.price_upper",
        "envs/test_webshop_data.py::test_a_purchase_scores_by_kind_attributes_options_and_price",
    ),
    mutant(
        "webshop-weights",
        "attributes, options and price weigh the same in a score",
        "envs/webshop/reward.py",
        "(attributes + matched + price) / (len(goal.attributes) + len(goal.options) + 1)",
        "(attributes + matched + 2 * price) / (len(goal.attributes) + len(goal.options) + 2)",
        "envs/test_webshop_data.py::test_a_purchase_scores_by_kind_attributes_options_and_price",
    ),
]
