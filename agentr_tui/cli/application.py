"""The command line application: its commands, and where their settings come from."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, ArgumentCollection, Parameter
from cyclopts.config import Dict, Env

from agentr_tui.cli.options import WorkspaceOption
from agentr_tui.state.settings_files import (
    APP_NAMES,
    DEFAULT_WORKSPACE,
    check_names,
    read_settings,
    user_file,
    workspace_file,
)
from agentr_tui.state.settings_trust import WorkspaceSettings
from engine.base.errors import InputError
from engine.base.version import __version__

COMMANDS = {
    "demo": "agentr_tui.cli.commands.run:demo",
    "open": "agentr_tui.cli.commands.run:open_",
    "search": "agentr_tui.cli.commands.run:search",
    "collect": "agentr_tui.cli.commands.scale.collect:collect",
    "attach": "agentr_tui.cli.commands.run:attach",
    "revise": "agentr_tui.cli.commands.revise:revise",
    "review": "agentr_tui.cli.commands.review:review",
    "recover": "agentr_tui.cli.commands.recover:recover",
    "verify": "agentr_tui.cli.commands.verify:verify",
    "export": "agentr_tui.cli.commands.export:export",
    "convert": "agentr_tui.cli.commands.convert:convert",
    "replay": "agentr_tui.cli.commands.convert:replay",
    "stats": "agentr_tui.cli.commands.stats:stats",
    "show": "agentr_tui.cli.commands.show:show",
    "grep": "agentr_tui.cli.commands.grep:grep",
    "diff": "agentr_tui.cli.commands.show:diff",
    "eval": "agentr_tui.cli.commands.scale.evaluate:evaluate",
    "round": "agentr_tui.cli.commands.scale.round:round_",
    "compare": "agentr_tui.cli.commands.scale.compare:compare",
    "notes": "agentr_tui.cli.commands.scale.notes:notes",
    "serve": "agentr_tui.cli.commands.serve:serve",
    "envs": "agentr_tui.cli.commands.show:envs",
    "config": "agentr_tui.cli.commands.config:config",
    "trust": "agentr_tui.cli.commands.trust:trust",
    "doctor": "agentr_tui.cli.commands.doctor:doctor",
    "completion": "agentr_tui.cli.commands.completion:completion",
}
ALL_COMMANDS = tuple(COMMANDS)

CONFIGURABLE = (
    "search",
    "collect",
    "eval",
    "demo",
    "revise",
    "review",
    "verify",
    "export",
    "convert",
    "replay",
    "open",
)
"""Commands whose options may stand in the settings file, each in a table of its own name."""

HELP = {
    "demo": "Watch a TextCraft search live. Without a terminal, it goes all the way to a JSONL file.",
    "open": "Open traces, original tree files, rollouts of other harnesses or folders in the app.",
    "search": "Run one search and write its trace.",
    "collect": "Search many tasks in worker processes, one trace a task. The same command again continues.",
    "attach": "Show and steer a search that another process runs.",
    "revise": "Make revision samples from the wrong steps in traces, tree files or rollouts of other harnesses.",
    "review": "List, accept and reject samples without a screen, and print figures of the review.",
    "recover": "Let the actor continue from wrong steps, with and without the revision thought.",
    "verify": "Compare one verifier's marks with another's, or with a person's.",
    "export": "Write a dataset of the samples that replay in the environment.",
    "convert": "Convert a trace to a tree file or a graph, or a tree file or rollouts of another harness to traces.",
    "replay": "Execute every step of a tree again and list the differences.",
    "stats": "Print figures of traces: nodes, pairs, lessons, what 1,000 calls gave; of rollouts: solved attempts.",
    "show": "Print a node with its children, or the path to it, as text.",
    "grep": "List the nodes of many traces that match a query.",
    "diff": "Compare two traces, without what depends on the machine.",
    "eval": "Let an actor do tasks alone and print its scores. The same command again continues.",
    "round": "Collect, revise, export, learn and evaluate, round after round. The same command again continues.",
    "compare": "Compare searches on the same tasks, with 95 % bootstrap intervals over the tasks.",
    "notes": "Write the lessons of a workspace as a page of notes; what was edited there is kept.",
    "serve": "Show the app in a browser. Prints a link with a token that works once.",
    "envs": "List the environments and what each needs.",
    "config": "List every setting, its value and where it comes from.",
    "trust": "Permit, once, what a trace or a workspace names.",
    "doctor": "Check this installation and say how to get what is missing.",
    "completion": "Print the script with which a shell completes commands, options, their words and files.",
}

EXAMPLES = {
    "": ("agentr demo", "agentr open run.trace.jsonl", "agentr search --help"),
    "demo": ("agentr demo", "agentr demo --headless --task 5"),
    "open": ("agentr open --shipped", "agentr open traces/ --follow"),
    "search": (
        "agentr search --task 2 --iterations 8",
        "agentr search --actor openai --model MODEL --base-url http://localhost:8000/v1",
        "agentr search --resume run.trace.jsonl",
    ),
    "collect": (
        "agentr collect --env textcraft --tasks 0-99",
        "agentr collect --tasks 0-9999 --shard 3/16 --out /shared/round-1",
        "agentr collect --tasks @ids.txt --concurrency 32 --total-calls 20000",
    ),
    "attach": ("agentr attach run.trace.jsonl",),
    "revise": ("agentr revise run.trace.jsonl", "agentr revise traces/ --verifier openai --model MODEL"),
    "review": (
        "agentr review list verdict:verified",
        "agentr review reject 'mark<2' --reason 'the mark is too early'",
        "agentr review stats",
    ),
    "recover": ("agentr recover verdict:verified --price", "agentr recover 'gap>=0.8' --continuations 4"),
    "verify": ("agentr verify run.trace.jsonl --against human",),
    "export": (
        "agentr export --format agent-r --out data.jsonl",
        "agentr export --format trl-sft --out data/sft.jsonl --split train=0.9,dev=0.1",
    ),
    "convert": ("agentr convert run.trace.jsonl run.json", "agentr convert run.trace.jsonl run.dot --no-merge"),
    "replay": ("agentr replay run.trace.jsonl",),
    "stats": ("agentr stats traces/", "agentr stats run.trace.jsonl --json"),
    "show": ("agentr show run.trace.jsonl --depth 4", "agentr show run.trace.jsonl 17 --path"),
    "grep": ("agentr grep 'disaster depth<6' traces/",),
    "diff": ("agentr diff a.trace.jsonl b.trace.jsonl",),
    "eval": (
        "agentr eval --tasks 0-49 --actor openai --model MODEL --base-url URL",
        "agentr eval new/ --against old/",
    ),
    "round": ("agentr round rounds.toml", "agentr round rounds.toml --learned models/round-1"),
    "compare": ("agentr compare traces/", "agentr compare traces/ --by model --verify --json"),
    "notes": ("agentr notes", "agentr notes --out notes.md --kinds 20"),
    "serve": ("agentr serve", "agentr serve traces/ --port 0"),
    "envs": ("agentr envs",),
    "config": ("agentr config", "agentr config --json"),
    "trust": ("agentr trust foreign.trace.jsonl",),
    "doctor": ("agentr doctor", "agentr doctor --base-url http://localhost:8000/v1 --model MODEL"),
    "completion": (
        "agentr completion bash > ~/.agentr.bash; echo '. ~/.agentr.bash' >> ~/.bashrc",
        "agentr completion zsh > ~/.agentr.zsh; echo '. ~/.agentr.zsh' >> ~/.zshrc",
        "agentr completion fish > ~/.config/fish/completions/agentr.fish",
        "agentr completion powershell >> $PROFILE",
    ),
}


def epilogue(command: str) -> str:
    """Returns the text below the options of a command in `--help`: examples, and other places for settings."""
    lines = ["Examples:", *(f"  {example}" for example in EXAMPLES[command])]
    if command in CONFIGURABLE:
        variable = f"AGENTR_{command.upper()}_"
        lines += [
            "",
            f"An option can also be set by an environment variable ({variable} and its name in capitals) or in a"
            " settings file. `agentr config` lists every setting.",
        ]
    return "\n".join(lines)


def layers(arguments: Sequence[str], refuse: bool = True) -> tuple[WorkspaceSettings, Dict]:
    """Returns the settings files for a call, the strongest first. Raises `InputError` that names file and place."""
    read = []
    for file in (workspace_file(arguments), user_file()):
        settings = read_settings(file)
        check_names(settings, ALL_COMMANDS, file)
        read.append((file, {name: value for name, value in settings.items() if name not in APP_NAMES}))
    (shared, of_workspace), (mine, of_user) = read
    return WorkspaceSettings(shared, of_workspace, refuse), Dict(of_user, source=str(mine))


def check_texts(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raises `InputError` for a value that is not UTF-8 text and may be kept in a file. Names of files may be any
    bytes.

    `app`, `commands` and `arguments`: as a source of options gets them.
    """
    for argument in arguments:
        for token in argument.tokens if "Path" not in str(argument.hint) else ():
            if not token.value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in token.value):
                raise InputError(f"{argument.name} {token.value!a}: is not UTF-8 text")


def build(arguments: Sequence[str], refuse: bool = True) -> App:
    """The command line application: flags over environment (`AGENTR_SEARCH_SEED`) over files over defaults.

    `refuse`: whether a call fails for a setting of the workspace that has to be asked for; else it is left out.
    """
    app = App(
        name="agentr",
        help=(
            "Watch, rewind and audit Monte Carlo tree searches over agent trajectories, and export revision datasets."
            " Without a command, it opens the library of the workspace."
        ),
        help_epilogue=epilogue(""),
        version=__version__,
        config=(
            *(() if _goes_on(arguments) else (Env("AGENTR_", show=False), *layers(arguments, refuse))),
            check_texts,
        ),
        help_format="plaintext",
        default_parameter=Parameter(negative_iterable=()),  # no --empty-header beside --header
        print_error=False,
        exit_on_error=False,
        result_action="return_value",
    )
    app.default(_library)
    for name, target in COMMANDS.items():
        app.command(target, name=name, help=HELP[name], help_epilogue=epilogue(name))
    return app


def _goes_on(arguments: Sequence[str]) -> bool:
    """Whether a search has its settings from a trace: then only what stands on the command line changes them."""
    names = [argument.partition("=")[0] for argument in arguments]
    command = next((name for name in names if name in COMMANDS), "")
    return command == "search" and not {"--resume", "--from"}.isdisjoint(names)


def _library(*, workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE)) -> int:
    """Open the library of a workspace."""
    commands = importlib.import_module("agentr_tui.cli.commands.run")  # by name, as every other command
    code: int = commands.library(workspace)
    return code
