"""Files that hold no attempts that can be read: what they are, in a line, where that is known."""

from __future__ import annotations

from engine.imports.files import RolloutFile

READABLE = "agentr open reads traces, trees of the original, and the rollouts that docs/rollouts.md lists"


def kind_of(file: RolloutFile) -> str:
    """What a file is that no reader recognises, and what to do, in one line."""
    return kind_by_bytes(file) or _by_keys(file) or _by_name(file) or _else(file)


def kind_by_bytes(file: RolloutFile) -> str:
    """Returns the kind of a file by its first bytes; empty where these are of no known kind."""
    head = file.head
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself: run git lfs pull where it came from"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16 text, which is not read: write it as UTF-8 (iconv -f UTF-16 -t UTF-8)"
    if head.startswith(b"PAR1"):
        return "is a parquet file, which is not read: write its rows as JSONL with a messages column"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "is a Python pickle, which is never opened (it could run anything): write it as JSON where it was made"
    if file.shape == "zip":
        what = "a torch file (a pickle, never opened)" if b"data.pkl" in head else "no log of inspect_ai"
        return f"is a zip, and {what}"
    if head.startswith(b"SQLite format 3"):
        return "is a SQLite database, which is not read"
    if b"trajectories:" in head and b"messages_and_choices:" in head:
        return (
            "is YAML of ART: write its groups as JSONL, a trajectory a row (messages_and_choices and reward are known)"
        )
    return ""


def _by_keys(file: RolloutFile) -> str:
    if file.has("transitions", "transition_rules"):
        return "is a run of moatless-tools 0.1 (state transitions), which is neither a tree nor a conversation"
    if file.has("logs") and isinstance(logs := file.peek("logs"), list) and logs and "nodes" in str(logs[0])[:200]:
        return "is a log for the visualiser of llm-reasoners: its nodes hold free-form states, no actions"
    if file.has("page", "url", "goal"):
        return "is a log of pages that WebShop wrote, which tells no actions or messages"
    if file.has("entry_point", "test", "acc") or file.has("prompt", "solution", "is_solved"):
        return "is a result file of LATS or Reflexion, which write no tree and no conversation"
    if file.has("schema_version") and str(file.peek("schema_version")).startswith("ATIF"):
        return f"is {file.peek('schema_version')}, which is not read: versions 1.x are"
    if file.has("task_name", "trial_name"):
        return "is the result of a Harbor trial: name the trial's folder, or its agent/trajectory.json"
    if file.has("sessionId", "type") or file.has("parentUuid", "message"):
        return "is a session of Claude Code, which is not read as it is: its ATIF, as Harbor writes it, is"
    if file.has("responses_create_params"):
        return "holds inputs of NeMo Gym without responses: name the rollouts beside it"
    if file.has("is_resolved", "parser_results"):
        return "is the result of a trial of Terminal-Bench, which holds no messages"
    if file.has("termination_reason", "ticks"):
        return "is a simulation of tau2-bench by voice: it holds ticks, no messages"
    if file.has("env_id", "num_examples"):
        return "is the metadata of a verifiers run: name results.jsonl beside it"
    if file.has("chat_history") or file.has("mapping", "current_node"):
        return "is a chat export, which is not read: write it as JSONL with messages"
    return ""


def _by_name(file: RolloutFile) -> str:
    if file.path.name == "preds.json":
        return "holds the patches of SWE-agent, not its trajectories"
    return ""


def _else(file: RolloutFile) -> str:
    if file.reason:
        return f"{file.reason}; {READABLE}"
    keys = ", ".join(sorted(file.keys)[:8])
    if file.shape == "list" and file.pieces_count() and not file.keys:
        return "is a list whose items are no objects: write a row for each attempt, with its messages in `messages`"
    what = "an empty list" if file.shape == "list" and not file.keys else f"JSON with {keys}" if keys else "empty JSON"
    return f"is {what}: no rollouts that are known; --read-as FORMAT or --map messages=PATH reads what has messages"
