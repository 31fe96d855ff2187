"""Options of the verifier `openai`, for every command that may judge."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from cyclopts import Parameter

from engine.base.errors import InputError
from engine.verifiers.base import JudgeSettings


class JudgeFlags(TypedDict, total=False):
    """One option for each field of `JudgeSettings`."""

    model: Annotated[str, Parameter(help="Of the verifier openai.")]
    base_url: Annotated[str, Parameter(help="Of its server; default: OpenAI's.")]
    key_env: Annotated[str, Parameter(help="Variable that holds the key.")]
    votes: Annotated[int, Parameter(help="Replies a step, of which more than half decide.")]
    temperature: Annotated[float, Parameter(help="Of the judge; default: 0 for one vote, 0.7 for several.")]
    max_tokens: Annotated[int, Parameter(help="Of a reply.")]
    timeout: Annotated[float, Parameter(help="Seconds a call.")]
    retries: Annotated[int, Parameter(help="After the first try of a call.")]
    price_in: Annotated[float, Parameter(help="US dollars a million prompt tokens.")]
    price_out: Annotated[float, Parameter(help="US dollars a million completion tokens.")]


def judge_of(flags: JudgeFlags | None) -> JudgeSettings:
    """The settings that the options make. Raises `InputError` naming the one that is unusable."""
    try:
        return msgspec.convert(dict(flags or {}), JudgeSettings)
    except msgspec.ValidationError as error:
        raise InputError(f"option of the judge: {error}") from error
