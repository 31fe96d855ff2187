"""The products of a shop, read from WebShop's three file formats.

`items_shuffle*.json` holds the products, `items_ins_v2*.json` their attributes and written instructions,
`items_human_ins*.json` (may be absent) instructions that people wrote. Each may be gzip'd. Products without an id of
at most 10 characters and repeated ids are passed over, as WebShop does; whatever else is not in the format is a
`CatalogueError`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from envs.base import EnvError
from envs.regular_files import open_regular

BUNDLED = "catalogue.json.gz"
"""The bundled catalogue: one file with WebShop's three as its fields `items_shuffle`, …, and `synthetic`: true."""

SYNTHETIC = "synthetic catalogue of made-up products"
PRICE_WHERE_NONE = 100.0  # dollars, where a product has no price
NO_ATTRIBUTES = ("DUMMY_ATTR",)  # of a product that the attributes file does not know
_MAX_ASIN = 10
MOST = 8 << 30
"""Bytes of a file of products: the whole of WebShop's is some gigabytes."""

FREE, MAX_RATIO = 1 << 26, 100
"""Bytes to which any packed file may unpack, and how many times its size a larger one may: WebShop's reach ten."""

_NOT_IN_A_PRICE = re.compile(r"[^\d.]")


class CatalogueError(EnvError):
    """A catalogue is unusable: the message names file, product and field."""


class Instruction(NamedTuple):
    """What a customer wants of one product, without a price."""

    text: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()  # name ("" where none is given) and value


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One product as its pages show it and the score compares it."""

    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    query: str  # the search that is said to find its kind
    kinds: frozenset[str]  # its categories, from the general to the special
    price_tag: str
    price: float  # dollars; of a range, one price within
    options: tuple[tuple[str, tuple[str, ...]], ...]  # name, and its values in the order of the page
    attributes: tuple[str, ...]

    @property
    def text(self) -> str:
        """What the search engine indexes: title, description, first bullet point, options; in lower case."""
        options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in self.options)
        return " ".join((self.title, self.description, *self.bullets[:1], options)).lower()


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Products, and what customers want."""

    name: str  # for people: where it comes from
    synthetic: bool  # whether its products are made up by this package
    products: tuple[Product, ...]  # in the order of the file
    by_asin: Mapping[str, Product]
    written: Mapping[str, Instruction]  # by product id; their attributes are never empty
    human: Mapping[str, tuple[Instruction, ...]]


def bundled() -> Catalogue:
    """The bundled synthetic catalogue."""
    place = files("envs.webshop") / BUNDLED
    raw = msgspec.json.decode(gzip.decompress(place.read_bytes()))
    contents = (raw[name] for name in ("items_shuffle", "items_ins_v2", "items_human_ins"))
    return build(contents, (BUNDLED,) * 3, SYNTHETIC, synthetic=True)


class Places(NamedTuple):
    """The files of a catalogue."""

    products: Path
    attributes: Path | None  # and written instructions
    human: Path | None  # people's instructions


def read(places: Places) -> Catalogue:
    """The catalogue in these files. Raises `CatalogueError`."""
    contents = (_json(place) if place is not None else {} for place in places)
    names = [str(place or places.products) for place in places]
    return build(contents, names, str(places.products))


def find(path: Path) -> Places:
    """The files of the catalogue in a folder, or of one products file and those that lie beside it.

    Raises `CatalogueError` where there are no products, or several files might be meant.
    """
    if path.is_file():
        products = path
    elif path.is_dir():
        found = _matching(path, "items_shuffle")
        if not found:
            raise CatalogueError(f"{path}: contains no items_shuffle*.json; put WebShop's data files there")
        if len(found) > 1:
            listed = ", ".join(place.name for place in found)
            raise CatalogueError(f"{path}: holds {listed}: name one of these files instead of the folder")
        products = found[0]
    else:
        raise CatalogueError(f"{path}: no such folder of WebShop's data, and no such file")
    ending = products.name.removeprefix("items_shuffle")
    return Places(products, _beside(products, "items_ins_v2", ending), _beside(products, "items_human_ins", ending))


def _matching(folder: Path, stem: str) -> list[Path]:
    return sorted(place for pattern in (f"{stem}*.json", f"{stem}*.json.gz") for place in folder.glob(pattern))


def _beside(products: Path, stem: str, ending: str) -> Path | None:
    """The file with the same ending as the products, else the only one there is."""
    found = _matching(products.parent, stem)
    same = [place for place in found if _bare(place.name) == _bare(stem + ending)]
    if same or not found:
        return same[0] if same else None
    if len(found) > 1:
        listed = ", ".join(place.name for place in found)
        raise CatalogueError(f"{products.parent}: which of {listed} belongs to {products.name}? Keep one beside it")
    return found[0]


def _bare(name: str) -> str:
    return name.removesuffix(".gz")


def _bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked. Raises `CatalogueError` where it holds more than `MOST`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read() if size <= MOST else b""
    most = MOST
    if data[:2] == b"\x1f\x8b":
        most = max(FREE, MAX_RATIO * size)
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            data = unpacked.read(most + 1)
    if max(size, len(data)) > most:
        raise CatalogueError(f"{path}: holds more than WebShop's data ever do: name another file")
    return data


def _json(path: Path) -> Any:
    try:
        return msgspec.json.decode(_bytes(path))
    except EnvError as error:
        raise CatalogueError(str(error)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise CatalogueError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CatalogueError(f"{path}: not JSON: {error}") from error


def build(contents: Iterable[Any], files: Sequence[str], name: str, synthetic: bool = False) -> Catalogue:
    """Returns a catalogue of the decoded contents of the three files. Raises `CatalogueError` that names file, product
    and field.

    `contents`: products, attributes, and instructions that people wrote, in this order. `files`: their names for
    messages, in the same order. `name`: of the catalogue. `synthetic`: whether the products are invented.
    """
    items, ins, human = contents
    _expect(isinstance(items, list), files[0], "a list of products")
    _expect(isinstance(ins, dict), files[1], "an object by product id")
    _expect(isinstance(human, dict), files[2], "an object by product id")
    products: dict[str, Product] = {}
    for number, item in enumerate(items):
        where = f"{files[0]}: product {number}"
        _expect(isinstance(item, dict), where, "an object")
        asin = item.get("asin")
        _expect(isinstance(asin, str), f"{where}: asin", "text")
        if asin == "nan" or len(asin) > _MAX_ASIN or asin in products:
            continue
        known = ins.get(asin) or {}
        place = f"{files[1]}: product {asin}"
        _expect(isinstance(known, dict), place, "an object")
        attributes = _texts(known, "attributes", place) if known.get("attributes") is not None else NO_ATTRIBUTES
        products[asin] = _product(item, asin, attributes, f"{files[0]}: product {asin}")
    written = {asin: wish for asin in products if (wish := _written(ins.get(asin), f"{files[1]}: product {asin}"))}
    people = {asin: tuple(_people(human[asin], f"{files[2]}: product {asin}")) for asin in products if asin in human}
    return Catalogue(name, synthetic, tuple(products.values()), products, written, people)


def _product(item: dict[str, Any], asin: str, attributes: tuple[str, ...], where: str) -> Product:
    title = _text(item, "name", where)
    tag, price = _price(item, asin, where)
    return Product(
        asin=asin,
        title=title,
        description=_text(item, "full_description", where, ""),
        bullets=_bullets(item, where),
        query=_text(item, "query", where, "").lower().strip(),
        kinds=frozenset(part.strip() for part in _text(item, "product_category", where, "").split("›")),
        price_tag=tag,
        price=price,
        options=tuple(_options(item, where)),
        attributes=attributes,
    )


def _bullets(item: dict[str, Any], where: str) -> tuple[str, ...]:
    """A list of texts, or one text."""
    if isinstance(item.get("small_description"), list):
        return _texts(item, "small_description", where)
    text = _text(item, "small_description", where, "")
    return (text,) if text else ()


def _price(item: dict[str, Any], asin: str, where: str) -> tuple[str, float]:
    """The price as shown, and the price to pay. WebShop draws a price within a range anew at every start; here it is
    drawn by the product's id, the same everywhere."""
    pricing = _text(item, "pricing", where, "")
    if not pricing:
        return f"${PRICE_WHERE_NONE}", PRICE_WHERE_NONE
    try:
        prices = [float(_NOT_IN_A_PRICE.sub("", part)) for part in pricing.split("$")[1:]]
    except ValueError:
        prices = []
    _expect(bool(prices), f"{where}: pricing", f"dollars like $12.5 or $5.0$9.9, not {pricing[:40]!r}")
    if len(prices) == 1:
        return f"${prices[0]}", prices[0]
    low, high = prices[:2]
    share = int.from_bytes(hashlib.sha1(asin.encode()).digest()[:8], "big") / 2**64
    return f"${low} to ${high}", low + (high - low) * share


def _options(item: dict[str, Any], where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    groups = item.get("customization_options") or {}
    where = f"{where}: customization_options"
    _expect(isinstance(groups, dict), where, "an object")
    for name, choices in groups.items():
        if choices is None:
            continue
        place = f"{where}: {name}"
        _expect(isinstance(choices, list), place, "a list")
        for choice in choices:
            _expect(isinstance(choice, dict) and isinstance(choice.get("value"), str), place, "a list of {value: text}")
        yield name.lower(), tuple(choice["value"].strip().replace("/", " | ").lower() for choice in choices)


def _written(known: Any, where: str) -> Instruction | None:
    if not known or known.get("instruction") is None:
        return None
    attributes = _texts(known, "instruction_attributes", where)
    _expect(bool(attributes), f"{where}: instruction_attributes", "at least one attribute")
    return Instruction(_text(known, "instruction", where), attributes)


def _people(rows: Any, where: str) -> Iterator[Instruction]:
    _expect(isinstance(rows, list), where, "a list of instructions")
    for row in rows:
        _expect(isinstance(row, dict), where, "a list of objects")
        if not row.get("instruction_attributes"):
            continue  # WebShop passes over what names no attribute
        options = row.get("instruction_options")
        if isinstance(options, dict):
            pairs = tuple((str(name), str(value)) for name, value in options.items())
        else:
            pairs = tuple(("", value) for value in _texts(row, "instruction_options", where))
        text = _text(row, "instruction", where).strip(".")
        yield Instruction(text, _texts(row, "instruction_attributes", where), pairs)


def _text(item: Mapping[str, Any], field: str, where: str, default: str | None = None) -> str:
    value = item.get(field)
    if value is None and default is not None:
        return default
    _expect(isinstance(value, str), f"{where}: {field}", "text")
    assert isinstance(value, str)
    return value


def _texts(item: Mapping[str, Any], field: str, where: str) -> tuple[str, ...]:
    values = item.get(field) or []
    _expect(isinstance(values, list) and all(isinstance(value, str) for value in values), f"{where}: {field}", "texts")
    return tuple(values)


def _expect(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise CatalogueError(f"{where} must be {what}")
