"""Whom a search may ask whose settings come from a trace.

A trace names the server that its search asked and the variable that holds the key. A trace may come from anybody:
whoever goes on with it would send the key that it names to where it says. So a search that takes its settings from a
trace opens no connection unless one of these holds:

- the server is on loopback;
- no key would be sent: the named variable is not set;
- server and variable are the user's own. A server is where it is the default one, or named by an option, the
  environment or the settings file; a variable is where it is `OPENAI_API_KEY`, or named likewise.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.base.errors import InputError
from engine.tree.events import SearchSettings

DEFAULT_KEY_ENV = SearchSettings().key_env

Own = Iterable[Mapping[str, Any]]
"""Settings that a person named: `base_url` and `key_env` in them are trusted."""


class Stranger(InputError):
    """A trace names a server that the user did not."""

    def __init__(self, source: object, settings: SearchSettings) -> None:
        self.base_url = settings.base_url
        self.key_env = settings.key_env
        where = f"--base-url {settings.base_url} " if settings.base_url else ""
        super().__init__(
            f"{source} would send the key in ${settings.key_env} to {settings.base_url or 'the default server'}, and a"
            f" trace may come from anybody: where that is right, name them yourself: {where}--key-env"
            f" {settings.key_env}"
        )

    @property
    def named(self) -> dict[str, str]:
        """What a person trusts who says yes."""
        return {"base_url": self.base_url, "key_env": self.key_env}


def is_loopback(url: str) -> bool:
    """Whether a URL leads no further than this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, or no URL
        return False


def check_server(settings: SearchSettings, own: Own, source: object) -> None:
    """Raises `Stranger` where these settings, which come from `source`, may not be used unasked."""
    if settings.actor != "openai" or is_loopback(settings.base_url) or not os.environ.get(settings.key_env):
        return
    named = list(own)
    servers = {"", *(each["base_url"] for each in named if "base_url" in each)}
    keys = {DEFAULT_KEY_ENV, *(each["key_env"] for each in named if "key_env" in each)}
    if settings.base_url not in servers or settings.key_env not in keys:
        raise Stranger(source, settings)
