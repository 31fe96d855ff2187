"""`revise` and `verify` with a model as verifier: the price first, budgets, figures, exit codes. A real server."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.models import client as llm
from engine.models.reply_cache import shared_cache
from tests.agentr_tui.cli.test_cli import MANY, Called, agentr
from tests.engine.verifiers.test_openai_verifier import judges
from tests.servers.llm_server import LLMServer


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key, short waits, no settings of the machine's, and nobody at the terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen-0123456789")
    shared_cache.cache_clear()
    yield
    shared_cache.cache_clear()


def revised(server: LLMServer, *more: object) -> Called:
    """`revise --json` of a few pairs by the model behind that server."""
    where = ("--verifier", "openai", "--model", "m", "--base-url", server.url)
    return agentr("revise", MANY, "--max-pairs", 6, "--json", *where, *more)


def test_the_figures_of_the_judge_are_in_the_json() -> None:
    with LLMServer(answer=judges) as server:
        done = revised(server, "--concurrency", 8)
        assert done.code == 0, done.err
        judge: dict[str, Any] = done.json["judge"]
        assert judge["calls"] == server.told.calls == len(server.calls) > 0
        assert (judge["tokens_in"], judge["tokens_out"]) == (server.told.tokens_in, server.told.tokens_out)
        assert (judge["unread"], judge["failed"], judge["cost"]) == (0, 0, None)
        assert done.err == ""
        again = revised(server)
        assert again.json["judge"]["calls"] == 0
        assert again.json["by_verdict"] == done.json["by_verdict"]


@pytest.mark.parametrize("prices", [(), ("--price-in", 1, "--price-out", 2)])
def test_where_a_price_is_known_nothing_is_asked_without_a_yes(prices: tuple[object, ...]) -> None:
    with LLMServer(answer=judges) as server:
        done = revised(server, *prices)
        if not prices:
            assert done.code == 0
            return
        assert (done.code, server.calls) == (2, [])
        assert "--yes" in done.err
        assert "judging 6 pairs: at most" in done.err
        most = float(done.err.partition("at most $")[2].split()[0])
        assert most > 0
        paid = revised(server, *prices, "--yes")
        assert paid.code == 0
        assert 0 < paid.json["judge"]["cost"] <= most
        known = revised(server, *prices)
        assert (known.code, known.json["judge"]["calls"]) == (0, 0), "what is known already costs nothing"


def test_a_server_elsewhere_is_not_asked_without_a_yes() -> None:
    done = agentr("revise", MANY, "--max-pairs", 2, "--verifier", "openai", "--model", "m",
                  "--base-url", "https://judge.invalid/v1")  # fmt: skip
    assert done.code == 2
    assert "judge.invalid" in done.err
    against = ("--against", "progress", "--base-url", "https://judge.invalid/v1")
    assert agentr("verify", MANY, "--verifier", "openai:m", "--max-pairs", 2, *against).code == 2


def test_most_votes_lost_is_a_failed_run_and_a_fifth_a_warning_that_quotes_one() -> None:
    with LLMServer(answer=lambda body: "Judgement: Good|Bad|Uncertain") as server:
        lost = revised(server)
        assert lost.code == 1
        assert "Judgement: Good|Bad|Uncertain" in lost.err
        assert lost.json["judge"]["unread"] == lost.json["judge"]["calls"]
        against = ("--against", "progress", "--base-url", server.url, "--json")
        verified = agentr("verify", MANY, "--verifier", "openai:m", "--max-pairs", 6, *against)
        assert verified.code == 1
        assert verified.json["judge"]["unread"] > 0
        number = iter(range(10_000))
        server.answer = lambda body: "hm" if next(number) % 3 == 0 else "Judgement: Good"
        some = revised(server)
        assert some.code == 0
        assert "unread" in some.err
        assert "hm" in some.err


def test_a_budget_that_is_used_up_is_said_and_a_greater_one_goes_on() -> None:
    with LLMServer(answer=lambda body: "Judgement: Good") as server:
        done = revised(server, "--budget-calls", 2, "--concurrency", 1)
        assert len(server.calls) == 2
        assert "budget of calls is used up" in done.err
        assert done.code == 0
        whole = revised(server)
        assert whole.code == 0
        assert whole.json["samples"] > done.json["samples"]
        bodies = [json.dumps(call.body) for call in server.calls]
        assert len(bodies) == len(set(bodies)), "what was paid for is not asked again"


def test_what_the_server_refuses_is_left_out_and_said() -> None:
    with LLMServer(answer=judges, unsupported="temperature") as server:
        done = revised(server)
        assert done.code == 0
        assert "left out: temperature" in done.err
        assert "temperature" not in server.calls[-1].body


def test_fields_and_headers_reach_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE", "gate-secret-0123")
    with LLMServer(answer=judges) as server:
        done = revised(server, "--extra-body", '{"enable_thinking": false}', "--header", "X-Gate=GATE", "--top-p", 0.5)
        assert done.code == 0, done.err
        body, headers = server.calls[0].body, server.calls[0].headers
    assert (body["enable_thinking"], body["top_p"], headers["x-gate"]) == (False, 0.5, "gate-secret-0123")
    assert not [file for file in Path().rglob("*") if file.is_file() and b"gate-secret" in file.read_bytes()]
    assert revised(server, "--extra-body", "{").code == 2
