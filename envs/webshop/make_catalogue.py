"""Makes the bundled catalogue: products that do not exist, with attributes, options, prices and instructions.

    python -m envs.webshop.make_catalogue                       # writes the bundled file again
    python -m envs.webshop.make_catalogue DIR --products 1000   # WebShop's three files, for trying things out

Everything in it is made up here from word lists, brands and ids too, and the same for the same number of products.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from envs.webshop.catalogue import BUNDLED

PRODUCTS = 360
NOTE = "Synthetic: no product, brand, price or instruction in here exists. Made by envs/webshop/make_catalogue.py."
_SEED = 20250111
_WITHOUT_INSTRUCTION = 0.15  # share of products
_WITHOUT_PRICE = 0.04
_PRICE_RANGE = 0.2

_HEADS = "Quor Vint Zell Brax Tolm Ymri Fosk Drel Plun Wexa Harn Ilb Noop Skav Trun Umbo"
_TAILS = "ora ity ifel andro ewick umet alune ostra"
_LEADS = ("Find me", "I need", "I am looking for", "Show me")


class _Aisle(NamedTuple):
    """A category: its kinds of products, and what can be said of them."""

    kinds: tuple[str, ...]
    is_: tuple[str, ...]  # said before the kind
    with_: tuple[str, ...]  # said after it
    for_: tuple[str, ...]
    options: dict[str, tuple[str, ...]]
    prices: tuple[float, float]  # dollars


_COLOURS = ("red", "navy blue", "black", "white", "sage green", "rose gold", "grey", "mustard")
_CLOTHES = ("x-small", "small", "medium", "large", "x-large", "xx-large")

_AISLES: dict[str, _Aisle] = {
    "kitchen": _Aisle(
        ("water bottles", "frying pans", "cutting boards", "lunch boxes"),
        ("bpa free", "dishwasher safe", "leak proof", "non stick", "easy clean", "heavy duty"),
        ("stainless steel", "wooden handle", "silicone lid"),
        ("camping trips", "small kitchens", "meal prep"),
        {"color": _COLOURS, "size": ("12 ounce", "20 ounce", "32 ounce")},
        (8, 60),
    ),
    "lighting": _Aisle(
        ("desk lamps", "floor lamps", "string lights", "night lights"),
        ("energy efficient", "dimmable", "easy assemble", "space saving", "battery powered", "long lasting"),
        ("bronze finish", "glass shade", "motion sensor"),
        ("living room", "reading corner", "dining room"),
        {"color": ("bronze", "black", "white", "brushed nickel"), "bulb": ("warm", "cool", "neutral")},
        (12, 140),
    ),
    "skin care": _Aisle(
        ("face creams", "body lotions", "lip balms", "cleansing gels"),
        ("fragrance free", "cruelty free", "paraben free", "dermatologist tested", "certified organic", "oil free"),
        ("aloe vera", "shea butter", "green tea"),
        ("dry skin", "sensitive skin", "fine lines"),
        {"scent": ("unscented", "lavender", "citrus", "cucumber"), "size": ("1 ounce", "4 ounce", "8 ounce")},
        (6, 70),
    ),
    "audio": _Aisle(
        ("wireless earbuds", "bluetooth speakers", "headphones", "soundbars"),
        ("noise cancelling", "water resistant", "fast charging", "hands free", "long lasting", "plug and play"),
        ("carrying case", "stereo sound", "usb port"),
        ("long flights", "morning runs", "home cinema"),
        {"color": _COLOURS},
        (15, 220),
    ),
    "footwear": _Aisle(
        ("running shoes", "hiking boots", "house slippers", "sandals"),
        ("slip resistant", "light weight", "machine washable", "water proof", "quick drying", "arch supporting"),
        ("rubber sole", "memory foam", "faux fur"),
        ("daily wear", "rainy days", "wide feet"),
        {"color": _COLOURS, "size": ("6", "7", "8", "9", "10"), "width": ("regular", "wide")},
        (18, 130),
    ),
    "clothing": _Aisle(
        ("rain jackets", "knit sweaters", "yoga leggings", "linen shirts"),
        ("machine washable", "loose fit", "stretchy", "quick drying", "wrinkle free", "hand washable"),
        ("long sleeve", "elastic waist", "drawstring closure"),
        ("daily wear", "cold mornings", "office days"),
        {"color": _COLOURS, "size": _CLOTHES},
        (14, 95),
    ),
    "snacks": _Aisle(
        ("trail mixes", "granola bars", "dried fruits", "rice crackers"),
        ("gluten free", "low sugar", "nut free", "non gmo", "plant based", "high protein"),
        ("sea salt", "dark chocolate", "natural ingredients"),
        ("school lunches", "long hikes", "office breaks"),
        {"flavor": ("apple", "peanut", "coconut", "ginger"), "size": ("pack of 6", "pack of 12", "pack of 24")},
        (5, 45),
    ),
    "furniture": _Aisle(
        ("bookshelves", "coffee tables", "office chairs", "shoe racks"),
        ("space saving", "easy assemble", "heavy duty", "height adjustable", "eco friendly", "mid century"),
        ("solid wood", "steel frame", "lumbar support"),
        ("living room", "home office", "narrow hallways"),
        {"color": ("walnut", "oak", "white", "black"), "size": ("small", "medium", "large")},
        (35, 380),
    ),
    "garden": _Aisle(
        ("plant pots", "garden hoses", "watering cans", "bird feeders"),
        ("frost proof", "light weight", "rust free", "eco friendly", "easy hang", "self draining"),
        ("copper rim", "brass nozzle", "bamboo stand"),
        ("small balconies", "herb beds", "window sills"),
        {"color": ("terracotta", "sage green", "grey", "white"), "size": ("small", "medium", "large")},
        (7, 85),
    ),
    "travel": _Aisle(
        ("packing cubes", "neck pillows", "carry-on backpacks", "luggage scales"),
        ("water resistant", "light weight", "machine washable", "tear resistant", "easy carry", "compact size"),
        ("laptop sleeve", "double zipper", "memory foam"),
        ("weekend trips", "long flights", "business travel"),
        {"color": _COLOURS, "size": ("small", "medium", "large")},
        (9, 150),
    ),
    "pets": _Aisle(
        ("dog beds", "cat trees", "pet bowls", "chew toys"),
        ("non slip", "easy clean", "scratch resistant", "machine washable", "extra soft", "non toxic"),
        ("sisal rope", "raised edge", "washable cover"),
        ("small dogs", "older cats", "playful puppies"),
        {"color": ("grey", "beige", "navy blue", "sage green"), "size": ("small", "medium", "large")},
        (8, 160),
    ),
    "stationery": _Aisle(
        ("dotted notebooks", "gel pens", "desk organizers", "sketch pads"),
        ("acid free", "quick drying", "refillable", "hard cover", "bleed proof", "recycled"),
        ("elastic band", "fine tip", "thick paper"),
        ("art classes", "daily planning", "left handed writers"),
        {"color": _COLOURS, "size": ("pack of 1", "pack of 3", "pack of 10")},
        (4, 40),
    ),
}


def catalogue(products: int = PRODUCTS) -> dict[str, Any]:
    """The content of the bundled file: WebShop's three files by their names, and that they are synthetic."""
    rng = random.Random(_SEED)
    items, ins = [], {}
    aisles = list(_AISLES)
    for number in range(products):
        asin = f"SYN{number:07d}"
        name = aisles[number % len(aisles)]
        item, known = _product(asin, name, _AISLES[name], rng)
        items.append(item)
        ins[asin] = known
    rng.shuffle(items)
    return {"synthetic": True, "note": NOTE, "items_shuffle": items, "items_ins_v2": ins, "items_human_ins": {}}


def _product(asin: str, aisle_name: str, aisle: _Aisle, rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    kind = rng.choice(aisle.kinds)
    brand = rng.choice(_HEADS.split()) + rng.choice(_TAILS.split())
    is_ = rng.sample(aisle.is_, rng.randint(2, 3))
    with_ = rng.sample(aisle.with_, rng.randint(0, 1) or rng.randint(0, 1))
    for_ = rng.sample(aisle.for_, rng.randint(0, 2))
    attributes = is_ + with_ + for_
    title = f"{brand} {is_[0].title()} {kind.title()}, {', '.join(text.title() for text in attributes[1:4])}"
    item = {
        "asin": asin,
        "name": title,
        "category": aisle_name,
        "query": kind,
        "product_category": f"{aisle_name.title()} › {kind.title()} › {kind.split()[-1].title()}",
        "full_description": _description(brand, kind, is_, with_, for_),
        "small_description": [f"{text.capitalize()}: {_praise(rng)}" for text in attributes],
        "pricing": _pricing(aisle.prices, rng),
        "customization_options": {
            name: [{"value": value, "image": None} for value in _some(values, rng)]
            for name, values in aisle.options.items()
            if rng.random() < 0.8
        },
        "images": [""],
    }
    known: dict[str, Any] = {"attributes": attributes}
    if rng.random() >= _WITHOUT_INSTRUCTION:
        wanted_is = rng.sample(is_, rng.randint(1, len(is_)))
        wanted = wanted_is + with_ + for_
        text = f"{rng.choice(_LEADS)} {', '.join(wanted_is)} {kind}"
        text += f" with {with_[0]}" if with_ else ""
        text += f" for {' and '.join(for_)}" if for_ else ""
        known |= {"instruction": text, "instruction_attributes": wanted}
    return item, known


def _description(brand: str, kind: str, is_: Sequence[str], with_: Sequence[str], for_: Sequence[str]) -> str:
    said = f"{kind.capitalize()} by {brand}: {', '.join(is_)}"
    said += f", with {with_[0]}" if with_ else ""
    said += f". Made for {' and '.join(for_)}" if for_ else ""
    return said + ". This product does not exist."


def _praise(rng: random.Random) -> str:
    return rng.choice(("as it should be", "checked twice", "our promise", "by design", "you will notice"))


def _pricing(prices: tuple[float, float], rng: random.Random) -> str | None:
    low, high = prices
    price = round(low * (high / low) ** rng.random(), 2)
    draw = rng.random()
    if draw < _WITHOUT_PRICE:
        return None
    if draw < _WITHOUT_PRICE + _PRICE_RANGE:
        return f"${price}${round(price * rng.uniform(1.1, 1.6), 2)}"
    return f"${price}"


def _some(values: Sequence[str], rng: random.Random) -> list[str]:
    """Two to four of the values, in their order."""
    chosen = set(rng.sample(values, min(len(values), rng.randint(2, 4))))
    return [value for value in values if value in chosen]


def bundled_bytes() -> bytes:
    """The bundled file."""
    text = json.dumps(catalogue(), ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def write_files(folder: Path, products: int) -> None:
    """Write WebShop's three files. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = catalogue(products)
    for name in ("items_shuffle", "items_ins_v2", "items_human_ins"):
        (folder / f"{name}.json").write_text(json.dumps(made[name], ensure_ascii=False), encoding="utf-8")
    (folder / "SYNTHETIC.txt").write_text(made["note"] + "\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a synthetic WebShop catalogue.")
    parser.add_argument("folder", nargs="?", type=Path, help="write WebShop's three files there, not the bundled file")
    parser.add_argument("--products", type=int, default=PRODUCTS, help=f"how many, for a folder (default {PRODUCTS})")
    chosen = parser.parse_args()
    if chosen.folder is not None:
        write_files(chosen.folder, chosen.products)
    else:
        (Path(__file__).parent / BUNDLED).write_bytes(bundled_bytes())


if __name__ == "__main__":
    main()
