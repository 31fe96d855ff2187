"""The revision thought of the sample in front: another of the list, or one that a person writes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial

from textual.app import SuspendNotSupported

from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.services import RevisionServices
from agentr_tui.screens.shared.dialogs import Choice
from engine.base.errors import InputError
from engine.base.untrusted_files import read_text
from engine.samples.splice import revision_thoughts

LOOK_EVERY = 0.1
"""Seconds between two looks at whether the app is asked to end while an editor runs."""

EDITOR_PATIENCE = 10
"""Looks after which an editor that does not end is killed."""

KEYS = "abcdefghijklmnoprstuvwxyz"
"""Of the choices; q closes the menu."""


class Thoughts:
    """Puts another thought into the sample."""

    def __init__(self, services: RevisionServices, front: SampleInFront) -> None:
        self._services = services
        self._front = front

    def menu(self) -> None:
        """The menu of thoughts."""
        if self._front.shown is None:
            return
        self._services.choose(
            "revision thought",
            [
                Choice("n", "the next of the list", self._next),
                Choice("c", "choose from the list", self._choose),
                Choice("w", "write it here", self._write),
                Choice("e", "write it in $EDITOR", self.edit),
            ],
        )

    def _set(self, text: str) -> None:
        text = " ".join(text.split())
        shown = self._front.shown
        if shown is None:
            return
        if not text:
            self._services.say("A thought must not be empty: the old one is kept.", severity="warning")
            return
        sample = shown.sample.id
        self._front.change(lambda: self._services.session.decisions.decide(sample, thought=text))

    def _next(self) -> None:
        if self._front.now is not None:
            review, shown = self._front.now
            self._front.change(lambda: review.next_thought(shown.sample))

    def _choose(self) -> None:
        choices = [
            Choice(KEYS[at] if at < len(KEYS) else "", text, partial(self._set, text))
            for at, text in enumerate(revision_thoughts())
        ]
        self._services.choose("revision thought", choices)

    def _write(self) -> None:
        shown = self._front.shown
        if shown is not None:
            self._services.ask_text("revision thought", self._set, shown.sample.thought)

    def edit(self) -> None:
        """Write it in $EDITOR, which has the terminal meanwhile."""
        shown = self._front.shown
        if shown is None:
            return
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.NamedTemporaryFile("w+", suffix=".txt", encoding="utf-8") as file:
            file.write(shown.sample.thought + "\n")
            file.flush()
            try:
                with self._services.suspended():
                    self._run([*shlex.split(editor), file.name])
                self._set(read_text(file.name))  # an editor may put a new file in its place
            except SuspendNotSupported:
                self._services.complain(f"{editor}: an editor needs a terminal, and here is none: w writes it here")
            except (OSError, ValueError, InputError, subprocess.CalledProcessError) as error:
                self._services.complain(f"{editor}: {error}; the thought stays as it was")

    def _run(self, command: list[str]) -> None:
        """Run an editor to its end; where the app is asked to end meanwhile, so is the editor. Raises `OSError`,
        `subprocess.CalledProcessError`."""
        with subprocess.Popen(command, stdout=sys.__stdout__, stderr=sys.__stderr__) as process:
            asked = 0
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_EVERY)
                if self._services.is_leaving():
                    (process.terminate if asked < EDITOR_PATIENCE else process.kill)()
                    asked += 1
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
