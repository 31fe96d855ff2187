"""The chat template of a model: found by name or in a tokenizer's folder, and taken apart into its pieces.

`--for-model` names a folder that holds `tokenizer_config.json` (or a file of it, or a `.jinja` file), a model whose
tokenizer lies in a local cache of Hugging Face, or a family that is known. Nothing is fetched. A model's own template
is rendered with made-up messages, in jinja2's sandbox as transformers does it; what stands around them are the pieces.
A template that is not made of pieces is refused with the reason: no mask could be right.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.base.errors import InputError, NoFile
from engine.base.tokenizer_file import EXTRA
from engine.base.untrusted_files import is_file, is_folder, read_text, typed_path, what_is
from engine.datasets.templates.markup import ANY_CONTROL, CHATML, FAMILIES, Markup, family_of
from engine.samples.splice import Turn

QWEN_CLASSES = ("QWenTokenizer", "Qwen2Tokenizer", "Qwen2TokenizerFast")
"""Tokenizers that put nothing before a text, as XTuner knows by their names."""

Message = dict[str, str]
Render = Callable[..., str]


@dataclass(frozen=True, slots=True)
class ModelTemplate:
    """What `--for-model` found."""

    markup: Markup
    alternate: bool  # whether the model's own template refuses roles that do not alternate
    tokenizer: Path | None = None  # its tokenizer.json, where there is one


def model_template(name: str) -> ModelTemplate:
    """The template of a folder, a model in a local cache, or a family. Raises `InputError`."""
    place = typed_path(name)
    if what_is(place) is not None:
        return _read(place, name)
    cached = _in_caches(name)
    if cached is not None:
        return replace(_read(cached, name))
    family = family_of(name)
    if family is None:
        raise InputError(
            f"--for-model {name}: no such folder, no model in a local cache of Hugging Face, and no family that is"
            f" known ({', '.join(FAMILIES)}): give the folder of its tokenizer (tokenizer_config.json)"
        )
    own = replace(family, model=name) if "/" in name else family
    return ModelTemplate(own, alternate=family.system is None)


def _in_caches(name: str) -> Path | None:
    """The folder of a model's newest files in a cache of Hugging Face."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        return None
    folder = "models--" + name.replace("/", "--")
    for cache in _caches():
        snapshots = cache / folder / "snapshots"
        try:
            named = read_text(cache / folder / "refs" / "main").strip()
            found = [snapshots / named] if named else []
        except InputError:
            found = []
        if snapshots.is_dir():
            found += sorted(snapshots.iterdir(), key=lambda each: (each.stat().st_mtime, each.name), reverse=True)
        for each in found:
            if (each / CONFIG).is_file() or (each / TEMPLATE).is_file():
                return each
    return None


def _caches() -> list[Path]:
    home = Path(os.environ.get("HF_HOME") or typed_path("~/.cache/huggingface"))
    named = [os.environ.get("HF_HUB_CACHE"), os.environ.get("HUGGINGFACE_HUB_CACHE")]
    return [*(Path(each) for each in named if each), home / "hub"]


CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
TOKENS: tuple[str, ...] = ("bos_token", "eos_token", "pad_token", "unk_token")
"""Tokens that templates name."""


def _read(place: Path, name: str) -> ModelTemplate:
    """The template of a tokenizer's folder, or of one of its files."""
    folder = place if is_folder(place) else place.parent
    config = _json(folder / CONFIG)
    tokens = {key: _content(config[key]) for key in TOKENS if key in config}
    if is_file(place) and place.suffix in (".jinja", ".j2"):
        source = read_text(place)
    elif is_file(folder / TEMPLATE):
        source = read_text(folder / TEMPLATE)
    else:
        source = _source(config.get("chat_template") or _json(folder / "chat_template.json").get("chat_template"))
    if not source:
        families = ", ".join(FAMILIES)
        raise InputError(
            f"--for-model {name}: {folder} holds no chat template ({CONFIG}, {TEMPLATE}): is it a base model? Give the"
            f" folder of the tokenizer that will be used, or a family: {families}"
        )
    special = _special(config, folder)
    try:
        markup, alternate = take_apart(source, tokens, special, name)
    except NotOfPieces as error:
        raise InputError(f"--for-model {name}: its chat template can't carry a mask: {error}") from error
    bos = tokens.get("bos_token") or ""
    quiet = config.get("tokenizer_class") in QWEN_CLASSES
    markup = replace(markup, own_start=markup.start == ("" if quiet else bos))
    tokenizer = folder / "tokenizer.json"
    return ModelTemplate(markup, alternate, tokenizer if is_file(tokenizer) else None)


def _json(path: Path) -> dict[str, Any]:
    """A file's object; empty where there is no file. Raises `InputError`."""
    try:
        found = json.loads(read_text(path))
    except NoFile:
        return {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: not an object of JSON")
    return found


def _content(token: Any) -> str:
    """A token as a text; it may be an object with its settings."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _source(found: Any) -> str:
    """The template; of several that one which is for chats."""
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default") or next(iter(named.values()), "")
    return found if isinstance(found, str) else ""


def _special(config: Mapping[str, Any], folder: Path) -> list[str]:
    """The tokens that a text must not hold: those that the tokenizer calls special."""
    listed = config.get("added_tokens_decoder")
    rows = list(listed.values()) if isinstance(listed, dict) else _json(folder / "tokenizer.json").get("added_tokens")
    found = [_content(row) for row in rows or () if isinstance(row, dict) and row.get("special")]
    found += [_content(value) for key, value in config.items() if key.endswith("_token")]
    more = config.get("additional_special_tokens")
    found += [_content(each) for each in more] if isinstance(more, list) else []
    return sorted({token for token in found if len(token) > 2}, key=lambda token: (-len(token), token))


# -- taking a template apart -------------------------------------------------------------------------


class NotOfPieces(Exception):
    """A template that does not put the same pieces around every message; the message says what it does instead."""


def renderer(source: str, tokens: Mapping[str, str]) -> Render:
    """A template as transformers renders it, its `generation` marks aside. Raises `InputError`, `NotOfPieces`."""
    try:
        import jinja2
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise InputError(f"--for-model with a template needs jinja2: pip install 'agentr-tui[{EXTRA}]'") from error

    class Generation(Extension):
        """`{% generation %} … {% endgeneration %}`: what stands between is kept."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(body).set_lineno(line)

    def refuse(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.date(2024, 7, 26).strftime(form)
    try:
        template = environment.from_string(source)
    except jinja2.exceptions.TemplateError as error:
        raise NotOfPieces(f"it is no jinja template ({error})") from error

    def render(messages: Sequence[Message], generate: bool = False) -> str:
        try:
            return template.render(
                messages=[dict(each) for each in messages], add_generation_prompt=generate, tools=None, **tokens
            )
        except Exception as error:  # whatever a stranger's template does wrong
            why = " ".join(str(error).split()) or type(error).__name__
            raise NotOfPieces(f"it refuses a conversation ({why})") from error

    return render


SAID = ("zqalpha", "zqbeta", "zqgamma", "zqdelta", "zqepsilon", "zqzeta")
SYSTEM = "zqsystem"


def take_apart(source: str, tokens: Mapping[str, str], special: Sequence[str], name: str) -> tuple[Markup, bool]:
    """Returns the pieces of a template, and whether it refuses roles that do not alternate.

    `source`: the template's text. `tokens`: the special tokens that it uses, by name. `special`: all special tokens of
    the tokenizer. `name`: of the template.

    Raises `NotOfPieces` where its text is made otherwise, `InputError` where jinja2 is missing.
    """
    render = renderer(source, tokens)
    talk = [_say(("user", "assistant")[place % 2], text) for place, text in enumerate(SAID)]
    before, answer, next_user, answer_again, user_again, last_answer, tail = _between(render(talk), SAID)
    if answer_again != answer or user_again != next_user:
        raise NotOfPieces("it does not write every turn alike")
    # the user's end and the response's beginning are told apart by the prompt for a response
    asked = render(talk[:1])
    prompt = render(talk[:1], True)
    user_after = asked[asked.index(SAID[0]) + len(SAID[0]) :]
    if not prompt.startswith(asked) or not answer.startswith(user_after):
        raise NotOfPieces("its text before a response changes when the response is there")
    given, found = prompt[len(asked) :], answer[len(user_after) :]
    thinks = []
    if found.startswith(given):
        opening, lead = given, found[len(given) :]
    elif given.startswith(found):
        opening, lead = found, ""
        thinks.append(f"gives the model {_shown(given[len(found) :])} to begin a response with")
    else:
        raise NotOfPieces("what a model is given to begin a response is not what stands before one")
    if last_answer != answer:
        if not last_answer.startswith(answer):
            raise NotOfPieces("it writes the last response otherwise than the others")
        thinks.append(f"writes {_shown(last_answer[len(answer) :])} before the last response")
    if not tail.strip():
        raise NotOfPieces("it ends a response with nothing that a model could learn to stop by")
    if not next_user.startswith(tail):
        raise NotOfPieces("it ends the last response otherwise than the others")
    user_before = next_user[len(tail) :]
    if not before.endswith(user_before):
        raise NotOfPieces("it writes the first user turn otherwise than the others")
    end = _end(tail, special, tokens.get("eos_token", ""))
    bare = before[: len(before) - len(user_before)]
    system, start = _system(render, talk, bare, user_before, tokens.get("bos_token", ""))
    if _drops_thinking(render, talk):
        thinks.append("drops what stands before </think> in a response")
    padded = render([_say("user", f" {SAID[0]} "), _say("assistant", f" {SAID[1]} "), *talk[2:]])
    markup = Markup(
        name=name,
        start=start,
        system=system,
        user=(user_before, user_after),
        opening=opening,
        lead=lead,
        after=tail,
        end=end,
        model=name,
        unspoken=bare[len(start) :],
        trim=f" {SAID[0]} " not in padded,
        control="|".join(re.escape(token) for token in special) or ANY_CONTROL,
        thinks=", and ".join(thinks),
    )
    known = [each for each in FAMILIES.values() if each is not CHATML and each.pieces == markup.pieces]
    if known:
        best = next((each for each in known if each.unspoken == markup.unspoken), known[0])
        markup = replace(markup, llamafactory=best.llamafactory)
    _check(render, markup, talk)
    return markup, _refuses(render, [talk[0], talk[2]])


def _say(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _between(text: str, said: Sequence[str]) -> list[str]:
    """What stands before, between and after some texts. Raises `NotOfPieces`."""
    found, at = [], 0
    for each in said:
        if text.count(each) != 1:
            raise NotOfPieces("it leaves out a message's text, or writes it twice")
        place = text.index(each)
        if place < at:
            raise NotOfPieces("it changes the order of messages")
        found.append(text[at:place])
        at = place + len(each)
    return [*found, text[at:]]


def _system(
    render: Render, talk: Sequence[Message], bare: str, user_before: str, bos: str
) -> tuple[tuple[str, str] | None, str]:
    """What stands around the system's text, and what every conversation begins with.

    None in place of the pieces: the template has no system turn of its own.
    """
    try:
        before, between, *_ = _between(render([_say("system", SYSTEM), *talk]), (SYSTEM, *SAID))
    except NotOfPieces:
        return None, bare
    if before == bare + user_before or not between.endswith(user_before):
        return None, bare  # the system's text is put into the user's turn, or left out
    start = bos if bos and before.startswith(bos) and bare.startswith(bos) else ""
    if not start and bare and before.startswith(bare):
        start = bare
    return (before[len(start) :], between[: len(between) - len(user_before)]), start


def _end(after: str, special: Sequence[str], eos: str) -> str:
    """The token that a model ends its turn with. Raises `NotOfPieces`."""
    places = [(after.index(token), -len(token), token) for token in (*special, eos) if token and token in after]
    if places:
        return min(places)[2]
    if not special and (marked := re.search(ANY_CONTROL, after)):
        return marked[0]
    raise NotOfPieces(f"it ends a response with {_shown(after)}, in which is no token of the tokenizer's")


def _drops_thinking(render: Render, talk: Sequence[Message]) -> bool:
    spoken = [talk[0], _say("assistant", f"<think>{SYSTEM}</think>{SAID[1]}"), *talk[2:]]
    try:
        return SYSTEM not in render(spoken)
    except NotOfPieces:
        return False


def _refuses(render: Render, messages: Sequence[Message]) -> bool:
    try:
        render(messages)
    except NotOfPieces:
        return True
    return False


def _check(render: Render, markup: Markup, talk: Sequence[Message]) -> None:
    """Raise `NotOfPieces` where the pieces make another text than the template, up to a last response."""
    heads = [[_say("system", SYSTEM)], []] if markup.system is not None else [[]]
    for head in heads:
        messages = [*head, *talk[:-1]]
        turns = [Turn(each["role"], each["content"], None, "good") for each in messages]
        if render(messages) != markup.text(turns):
            raise NotOfPieces("its text of a conversation is not made of the same pieces around every message")


def _shown(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if "\n" in text.strip() or not text.strip() else text.strip()
