"""What a file of somebody else's may use on this machine: environment, files, server, key.

A trace, a tree file or a run of `revise` may come from anybody, and names things that reach beyond it: an environment
whose module is imported, files and folders that are read, a server and the variable that holds its key. None of them is
used unless one of these holds:

- it reaches nothing: an environment that is built in, or installed, and takes no place (`textcraft`, `castle:blue`);
  a server on this machine that gets no key;
- a person named it: with an option, the environment or their own settings file (`TrustedSettings`);
- a person said yes to it, for this trace, on this machine (`engine.environment.consent_store`). Who starts a search
  says yes to what that search names.

Else `UntrustedTrace` is raised, before anything is imported, read or sent. Without permission only a server on loopback
or the default one is asked, and only the key in `OPENAI_API_KEY` is sent. The variables of `--header` count like
that of the key.
"""

from __future__ import annotations

import ipaddress
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from engine.base.errors import InputError
from engine.environment.consent_store import give, given
from engine.tree.events import SearchSettings, Started
from envs.base import names_place

DEFAULT_KEY_ENV = SearchSettings().key_env

TrustedSettings = Iterable[Mapping[str, Any]]
"""Settings that a person named: what stands in them is trusted, by name and value. The environment's name is `env`."""

PLAIN = frozenset(
    {"algorithm", "extra_body", "model", "parse", "reasoning_effort", "send_reasoning", "structured", "tools"}
)
"""Settings that are words and name no place."""


class Claim(NamedTuple):
    """Something that reaches beyond the file that names it."""

    name: str  # of the setting; `env` of an environment, `server` of base_url and key_env together
    value: str
    settings: dict[str, Any]  # the same as settings

    @property
    def told(self) -> str:
        """What it would do, for people."""
        if self.name == "env":
            return f"open the environment {self.value}, which may run code, read files or ask servers"
        if self.name == "server":
            where = self.settings["base_url"] or "the default server"
            sent = " and ".join(f"${name}" for name in self.sent)
            unset = f"ask the server {where}, with the key in ${self.settings['key_env']} once it is set"
            return f"send the key in {sent} to {where}" if sent else unset
        return f"use {self.value} as its {self.name}"

    @property
    def sent(self) -> list[str]:
        """The variables whose values a server would get."""
        named = [self.settings["key_env"], *(each.partition("=")[2] for each in self.settings["header"])]
        return [name for name in named if os.environ.get(name)]

    @property
    def flags(self) -> str:
        """The options by which a person names it."""
        named = [
            (name, each)
            for name, value in self.settings.items()
            for each in (value if isinstance(value, list) else [value])
        ]
        return " ".join(f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in named if value)


class NeedsConsent(InputError):
    """Something needs a person's yes first."""

    told: str  # what is asked for
    whence: str  # whose words they are

    @property
    def question(self) -> str:
        """The question to a person."""
        return f"{self.told}. {self.whence}"

    def allow(self) -> None:
        """Remember a person's yes on this machine."""
        raise NotImplementedError


class UntrustedTrace(NeedsConsent):
    """A trace, or a file made from it, names a server, key, file or module that no person named."""

    def __init__(self, source: object, claims: Sequence[Claim], trace: Started | str | None = None) -> None:
        self.source, self.claims, self.about = str(source), list(claims), digest_of(trace)
        told = " and ".join(claim.told for claim in claims)
        self.told, self.whence = f"{source} would {told}", "A trace says so, and a trace may come from anybody."
        flags = " ".join(claim.flags for claim in claims)
        remedy = f"name it yourself: {flags}"
        if self.about:
            remedy += f"; or say yes to what this trace names, once: agentr trust {shlex.quote(self.source)}"
        super().__init__(f"{self.told}, and a trace may come from anybody: where that is right, {remedy}")

    @property
    def named(self) -> dict[str, Any]:
        """Returns what a person trusts with a yes, as `TrustedSettings`."""
        return {name: value for claim in self.claims for name, value in claim.settings.items()}

    def allow(self) -> None:
        """Remember a person's yes on this machine."""
        for claim in self.claims:
            give(self.about, claim.name, claim.value, source=self.source)


class Permit(NamedTuple):
    """An environment that may be made."""

    name: str
    folder: str = ""  # where its module is looked for, too


def by_person(name: str) -> Permit:
    """The permit for an environment that a person named: its module is looked for in the working folder, too."""
    return Permit(name, os.getcwd())


def digest_of(first: object) -> str:
    """Returns a digest of a trace's first line, without what is permitted by value (environment and settings); empty
    for no trace. A digest is returned as it is."""
    if not isinstance(first, Started):
        return first if isinstance(first, str) else ""
    said = [first.trace, first.task, first.header, first.prefix, first.forked_from]
    return blake2b(msgspec.json.encode(said), digest_size=16).hexdigest()


def variables_of(settings: SearchSettings) -> list[str]:
    """The variables of the environment whose values a search sends."""
    return [settings.key_env, *(each.partition("=")[2] for each in settings.header)]


def is_loopback(url: str) -> bool:
    """Whether a URL leads no further than this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or no URL
        return False


# -- what is asked for ---------------------------------------------------------------------------------------


def environment_claims(*names: str) -> list[Claim]:
    """Those of environments that reach what their names say."""
    return [Claim("env", name, {"env": name}) for name in dict.fromkeys(names) if name and names_place(name)]


def settings_claims(settings: SearchSettings) -> list[Claim]:
    """What the settings of a search name: where its actor's answers are, a server and its key, files, folders.

    A setting that is not known to be a mere word or number names a place.
    """
    if settings.actor.startswith(("recorded:", "replayed:")):
        return [Claim("actor", settings.actor, {"actor": settings.actor})]
    if settings.actor != "openai":
        return []
    server = {"base_url": settings.base_url, "key_env": settings.key_env, "header": list(settings.header)}
    value = " ".join([settings.base_url, settings.key_env, *settings.header])
    claims = [] if _is_harmless(settings) else [Claim("server", value, server)]
    for name in SearchSettings.__struct_fields__:
        value = getattr(settings, name)
        if name in PLAIN or name in server or name == "actor" or not value or isinstance(value, int | float):
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        claims.append(Claim(name, text, {name: text}))
    return claims


def _is_harmless(settings: SearchSettings) -> bool:
    """Whether asking this server reaches no other machine but the default one, and tells no key but the default one."""
    if settings.base_url and not is_loopback(settings.base_url):
        return False
    return {name for name in variables_of(settings) if os.environ.get(name)} <= {DEFAULT_KEY_ENV}


# -- whether it may be ---------------------------------------------------------------------------------------


def _is_own(claim: Claim, own: Sequence[Mapping[str, Any]]) -> bool:
    if claim.name != "server":
        return any(each.get(claim.name) == claim.value for each in own)
    if claim.settings["base_url"] and is_loopback(claim.settings["base_url"]):
        servers = {claim.settings["base_url"]}
    else:
        servers = {"", *(each["base_url"] for each in own if "base_url" in each)}
    keys = {DEFAULT_KEY_ENV, *(each["key_env"] for each in own if "key_env" in each)}
    keys |= {header.partition("=")[2] for each in own for header in each.get("header") or ()}
    return claim.settings["base_url"] in servers and keys.issuperset(claim.sent)


def check(claims: Iterable[Claim], started: Started | str | None, own: TrustedSettings, source: object) -> None:
    """Raises `UntrustedTrace` for claims that no person named or permitted.

    `claims`: what the file wants to use. `started`: first event of the trace that names them, or its digest; None:
    there is none. `own`: settings that a person named. `source`: the file, for messages.
    """
    named = list(own)
    digest = digest_of(started)
    asked = [claim for claim in claims if not _is_own(claim, named) and given(digest, claim.name, claim.value) is None]
    if asked:
        raise UntrustedTrace(source, asked, digest)


def check_server(
    settings: SearchSettings, own: TrustedSettings, source: object, started: Started | str | None = None
) -> None:
    """Raises `UntrustedTrace` where settings from a file may not be used without a person's yes.

    `settings`: as the file has them. `own`: settings that a person named. `source`: the file, for messages. `started`:
    first event of its trace, or its digest; None: there is none.
    """
    check(settings_claims(settings), started, own, source)


def check_search(
    settings: SearchSettings, started: Started, own: TrustedSettings, source: object, environment: str | None = None
) -> None:
    """Raises `UntrustedTrace` where a search with settings from a file may not run without a person's yes: one question
    for all that the search would use.

    `settings`: as the file has them. `started`: the trace's first event. `own`: settings that a person named. `source`:
    the file, for messages. `environment`: its name; None: the one that the trace names.
    """
    name = environment or started.opened or started.environment
    check([*environment_claims(name), *settings_claims(settings)], started, own, source)


def permit(
    name: str, started: Started | str | None, own: TrustedSettings = (), source: object = "this trace"
) -> Permit:
    """The permit for an environment that a trace, or what was made of it, names. Raises `UntrustedTrace`.

    `name`: of the environment. `started`: first event of the trace, or its digest. `own`: what a person named.
    `source`: the file, for messages.
    """
    claims = environment_claims(name)
    if not claims:
        return Permit(name)
    named = list(own)
    check(claims, started, named, source)
    if any(each.get("env") == name for each in named):
        return by_person(name)
    known = given(digest_of(started), "env", name)
    return Permit(name, known.folder if known is not None and os.path.isdir(known.folder) else "")


def remember(
    started: Started,
    which: Permit,
    settings: SearchSettings | None = None,
    source: object = "",
    *,
    called: str = "",
    like: str = "",
) -> None:
    """Keep a person's yes for this trace: to its environment, and to what its settings name.

    `started`: the trace's first event. `which`: the permit of the environment. `settings`: of the search; None: nothing
    to keep of them. `source`: the file as the person saw it. `called`: what the opened environment calls itself, which
    a recording has from its file. `like`: digest of another trace, whose permitted environments are also permitted for
    this one.
    """
    digest = digest_of(started)
    names = [which.name] if which.name.startswith("recorded:") else [which.name, called]
    for claim in environment_claims(*names):
        give(digest, claim.name, claim.value, source=source, folder=which.folder)
    for claim in environment_claims(started.environment, started.opened):
        if (known := given(like, claim.name, claim.value)) is not None:
            give(digest, claim.name, claim.value, source=source, folder=known.folder)
    for claim in settings_claims(settings) if settings is not None else ():
        give(digest, claim.name, claim.value, source=source)
