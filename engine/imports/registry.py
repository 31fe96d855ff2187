"""The readers of this package, in the order in which they are tried: the most particular first."""

from __future__ import annotations

from engine.imports.formats import chat
from engine.imports.formats.coding import mini_swe_agent, moatless, openhands, openhands_sdk, swe_agent
from engine.imports.formats.evaluation import atif, inspect_log, tau2, tau_bench
from engine.imports.formats.training import agentgym, atropos, nemo_gym, rllm, verifiers_results, verifiers_traces, verl
from engine.imports.reader import register

_MODULES = (
    atif,
    inspect_log,
    nemo_gym,
    verifiers_traces,
    verifiers_results,
    tau_bench,
    tau2,
    swe_agent,
    mini_swe_agent,
    openhands_sdk,
    openhands,
    moatless,
    atropos,
    rllm,
    agentgym,
    verl,
    chat,
)

for _module in _MODULES:
    register(_module.READER)
