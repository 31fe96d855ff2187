"""Whom a search may ask whose settings come from a trace.

A trace names the server that its search asked and the variable that holds the key. A trace may come from anybody:
whoever goes on with it would send the key that it names to where it says. So a search that takes its settings from a
trace opens no connection unless one of these holds:

- the server is on loopback;
- no key would be sent: the named variable is not set;
- server and variable are the user's own. A server is where it is the default one, or named by an option, the
  environment or the settings file; a variable is where it is `OPENAI_API_KEY`, or named likewise. The variables of
  `--header` count like that of the key.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.errors import InputError
from engine.events import SearchSettings

DEFAULT_KEY_ENV = SearchSettings().key_env

Own = Iterable[Mapping[str, Any]]
"""Settings that a person named: `base_url` and `key_env` in them are trusted."""


class Stranger(InputError):
    """A trace names a server that the user did not."""

    def __init__(self, source: object, settings: SearchSettings) -> None:
        self.base_url = settings.base_url
        self.key_env = settings.key_env
        self.header = list(settings.header)
        where = f"--base-url {settings.base_url} " if settings.base_url else ""
        headers = "".join(f" --header {each}" for each in self.header)
        what = " and ".join(f"${name}" for name in variables_of(settings))
        super().__init__(
            f"{source} would send the key in {what} to {settings.base_url or 'the default server'}, and a"
            f" trace may come from anybody: where that is right, name them yourself: {where}--key-env"
            f" {settings.key_env}{headers}"
        )

    @property
    def named(self) -> dict[str, Any]:
        """What a person trusts who says yes."""
        return {"base_url": self.base_url, "key_env": self.key_env} | ({"header": self.header} if self.header else {})


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


def check_server(settings: SearchSettings, own: Own, source: object) -> None:
    """Raises `Stranger` where these settings, which come from `source`, may not be used unasked."""
    sent = [name for name in variables_of(settings) if os.environ.get(name)]
    if settings.actor != "openai" or is_loopback(settings.base_url) or not sent:
        return
    named = list(own)
    servers = {"", *(each["base_url"] for each in named if "base_url" in each)}
    keys = {DEFAULT_KEY_ENV, *(each["key_env"] for each in named if "key_env" in each)}
    keys |= {header.partition("=")[2] for each in named for header in each.get("header") or ()}
    if settings.base_url not in servers or not keys.issuperset(sent):
        raise Stranger(source, settings)
