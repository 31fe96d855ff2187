"""Wrong steps that changed nothing, as far as their call and its result show.

Where no environment is at hand, a splice is safest after such a step: the good steps were taken in the same state.
"""

from __future__ import annotations

import re

from engine.tree.node import Node
from envs.call_text import arguments_of

ERROR = "its result is an error"
READS = "it only reads"

_ERROR = re.compile(
    r"^\W{0,12}(?:error|exception|traceback|fatal|usage error|invalid|unknown (?:tool|command)|no such (?:file|tool)"
    r"|permission denied|tool_use_error|string to replace not found)\b",
    re.IGNORECASE,
)
_NOT_RUN = re.compile(r"\b(?:command not found|No such file or directory|Permission denied)\b")
"""Of a shell: a program that fails may have done something before."""

_READS = re.compile(
    r"(?:read|view|cat|open|get|list|ls|find|search|grep|glob|show|look|inspect|fetch|query|lookup|check|describe|stat)"
    r"(?:[_A-Z-]\w*)?",
    re.IGNORECASE,
)
_SHELL_READS = frozenset(
    {
        *("ls", "cat", "head", "tail", "grep", "egrep", "rg", "find", "pwd", "wc", "file", "stat", "tree", "which"),
        *("echo", "less", "more", "nl", "sort", "uniq", "cut", "diff", "du", "df", "whoami", "date", "sed", "git"),
    }
)
_GIT_READS = frozenset(["log", "status", "diff", "show", "blame", "branch", "ls-files", "grep"])
_SHELLS = frozenset({"bash", "shell", "sh", "terminal", "execute_bash", "run_shell_command", "run_command"})
_WRITES = re.compile(r">|\btee\b|\bxargs\b|-exec\b|-delete\b|-i\b|\$\(|`")


def why_harmless(node: Node) -> str:
    """Why a step changed nothing; "" where it may have."""
    row = node.imported
    if row is None or not node.calls:
        return ""
    results = [answer.content for answer in node.answers if answer.role == "tool"] or [node.observation]
    shell = any(call.name.lower() in _SHELLS for call in node.calls)
    if row.error and len(node.calls) == 1 and not shell:
        return ERROR
    failed = _NOT_RUN if shell else _ERROR
    if len(results) >= len(node.calls) and all(failed.search(result[:200]) for result in results):
        return ERROR
    return READS if all(_reads(call.name, call.arguments) for call in node.calls) else ""


def _reads(name: str, arguments: str) -> bool:
    if name.lower() in _SHELLS:
        told = arguments_of(arguments) or {}
        command = next((told[key] for key in ("command", "cmd", "c", "script") if isinstance(told.get(key), str)), "")
        return bool(command) and _shell_reads(command)
    return _READS.fullmatch(name) is not None


def _shell_reads(command: str) -> bool:
    if _WRITES.search(command):
        return False
    for part in re.split(r"&&|\|\||[;|\n]", command):
        words = part.split()
        if not words or words[0] == "cd":
            continue
        if words[0] not in _SHELL_READS or (words[0] == "git" and (len(words) < 2 or words[1] not in _GIT_READS)):
            return False
    return True
