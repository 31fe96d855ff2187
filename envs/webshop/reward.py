"""The score of a purchase: how well the product, its options and its price fit the goal.

    score = type · (attributes matched + options matched + price holds) / (attributes + options of the goal + 1)

after Yao et al. 2022 (arXiv 2207.01206, section 3) with the matching rules of WebShop's code as AgentGym runs it. The
type is 1, 0.5, 0.1 or 0 by the nouns that both titles share; WebShop finds them with a language model (spaCy), here
they are the words of a title that are no function words, numbers or participles in -ed: in product titles, where
nearly every word is capitalised, the model takes these for proper nouns too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from envs.webshop.catalogue import Product
from envs.webshop.goals import Goal

MATCH = 85
"""Per cent that the similarity of two texts must exceed, rounded, to count as a match."""

_COLOUR_WORDS = """
    alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo
    caramel champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream crystal
    dark denim eggplant elephant espresso fuchsia gold granite grape graphite grass gray green grey heather indigo
    ivory ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor
    mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal rust sand
    sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger turquoise violet walnut
    wheat white wine yellow"""
_COLOURS = tuple(_COLOUR_WORDS.split())
"""Words that an option is reduced to where it holds one; the first of the list counts."""

_FUNCTION = """
    a an the this that these those and or nor but if as at by for from in into of off on onto out over per to under up
    via with without within is are be was were been has have had do does can will it its our you your we my me i he
    she they them his her their no not all any each more most very so than then there here when where which who how
    what etc"""
_FUNCTION_WORDS = frozenset(_FUNCTION.split())
_WORD = re.compile(r"(?<![\w'’])[^\W\d_][\w.]*")
_PARTICIPLE = re.compile(r"[^\W\d_]{2,}[^e\W\d_]ed")
_NOT_IN_A_TOKEN = re.compile(r"[\W_]+")
_LATIN_1 = dict.fromkeys(range(128, 256))


class Score(NamedTuple):
    """A purchase's score and its terms."""

    total: float  # 0 to 1
    type: float  # 1, 0.5, 0.1 or 0
    attributes: int  # of the goal, matched
    options: int  # of the goal, matched
    price: bool  # whether the price is within the limit


def score(goal: Goal, product: Product, options: Mapping[str, str]) -> Score:
    """Returns the score of buying a product.

    `goal`: what was asked for. `product`: what is bought. `options`: those chosen, name → value.
    """
    kind = type_score(goal.product, product)
    attributes = sum(_has(product, attribute) for attribute in goal.attributes)
    chosen = [_reduced(value) for value in options.values()]
    wanted = [_reduced_wish(name, value) for name, value in goal.options]
    matched = sum(any(similar(option, wish) for option in chosen) for wish in wanted)
    price = product.price <= goal.price_upper
    total = (attributes + matched + price) / (len(goal.attributes) + len(goal.options) + 1) * kind
    return Score(total, kind, attributes, matched, price)


def type_score(wanted: Product, bought: Product) -> float:
    """Whether a product is of the wanted kind: 1, 0.5, 0.1 or 0."""
    nouns = _nouns(wanted.title)
    shared = len(set(nouns) & set(_nouns(bought.title))) / len(nouns) if nouns else 0.2
    if shared == 0:
        return 0.0
    if shared < 0.1:
        return 0.1
    alike = bought.query == wanted.query or len(bought.kinds & wanted.kinds) >= 2 or shared > 0.2
    return 1.0 if alike else 0.5


@lru_cache(maxsize=20_000)
def _nouns(title: str) -> tuple[str, ...]:
    words = (word.lower().rstrip(".") for word in _WORD.findall(title))
    return tuple(word for word in words if word not in _FUNCTION_WORDS and not _PARTICIPLE.fullmatch(word))


def _has(product: Product, attribute: str) -> bool:
    if any(similar(own, attribute) for own in product.attributes):
        return True
    texts = (product.title, " ".join(product.bullets), product.description)
    return any(attribute in text.lower() for text in texts)


def _reduced(value: str) -> str:
    return next((colour for colour in _COLOURS if colour in value), value)


def _reduced_wish(name: str, value: str) -> str:
    """What a wanted option is compared as: a colour that is just that, else name and value together.

    So it is in AgentGym's code, with two consequences: a value that is part of the wanted one matches ("large" where
    "x-large" is wanted), and one that holds a colour's letters may match nothing ("daylight" is reduced to "light").
    """
    if not name:
        return _reduced(value)
    return next((colour for colour in _COLOURS if colour in (name, value)), f"{name} {value}")


@lru_cache(maxsize=200_000)
def similar(one: str, other: str) -> bool:
    """Whether two texts match: their token set ratio exceeds `MATCH`."""
    return round(token_set_ratio(one, other)) > MATCH


def token_set_ratio(one: str, other: str) -> float:
    """Similarity of two texts as sets of words, 0 to 100 (the token set ratio of thefuzz and rapidfuzz).

    100 where all words of one are in the other; else the best ratio of the shared words, and of these together with
    what only one of them has. 0 where one has no word. Letters of the Latin-1 supplement do not count, as in thefuzz.
    """
    words, others = _tokens(one), _tokens(other)
    if not words or not others:
        return 0.0
    shared, rest, other_rest = words & others, words - others, others - words
    if shared and (not rest or not other_rest):
        return 100.0
    left, right, both = (" ".join(sorted(part)) for part in (rest, other_rest, shared))
    gap = bool(both)
    whole, other_whole = len(both) + gap + len(left), len(both) + gap + len(right)
    ratios = [_alike(len(left) + len(right) - 2 * _common(left, right), whole + other_whole)]
    if both:
        ratios.append(_alike(gap + len(left), len(both) + whole))
        ratios.append(_alike(gap + len(right), len(both) + other_whole))
    return max(ratios)


def _tokens(text: str) -> frozenset[str]:
    return frozenset(_NOT_IN_A_TOKEN.sub(" ", text.translate(_LATIN_1)).lower().split())


def _alike(distance: int, length: int) -> float:
    return 100 - 100 * distance / length


def _common(one: str, other: str) -> int:
    """Length of the longest common subsequence (bit-parallel; Hyyrö 2004)."""
    places: dict[str, int] = {}
    for place, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | 1 << place
    row = everything = (1 << len(one)) - 1
    for letter in other:
        matched = row & places.get(letter, 0)
        row = (row + matched) | (row - matched)
    return (~row & everything).bit_count()
