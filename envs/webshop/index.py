"""Full-text search over products: a tantivy index, built once and kept in the user's cache folder.

What is indexed and how is WebShop's: one text a product (`Product.text`), English stems, words of the query added up by
BM25, the 50 best. Equal scores are in the order of product ids, so the same query always gives the same list.

An index lies in a folder named by the digest of what it holds, is written beside it and renamed, so that builders never
see each other's halves; a manifest in it holds the digest of every file, and whatever does not agree is built anew.
Where nothing can be written the index is kept in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import tantivy
from tantivy import Filter, Occur, Query, TextAnalyzerBuilder, Tokenizer

from envs.user_folders import cache_folder
from envs.webshop.catalogue import Product

MAX_RESULTS = 50
MAX_QUERY_WORDS = 200
_LAYOUT = "1"  # of the folder; changes with the schema, the analyzer or the manifest
_ANALYZER = "shop"
_MANIFEST = "manifest.json"
_HEAP = 1_000_000_000  # bytes that the writer may use before it starts another segment; it takes what it needs
_MAX_WORD = 40
_STALE = 3600.0  # seconds after which a half-built index was left by a process that died


class _Manifest(msgspec.Struct):
    digest: str
    files: dict[str, str]  # name → digest


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_integer_field("number", fast=True)
    return builder.build()


def _analyzer() -> tantivy.TextAnalyzer:
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in (
        Filter.remove_long(_MAX_WORD),
        Filter.lowercase(),
        Filter.stopword("english"),
        Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


class ProductIndex:
    """An index that can be searched, from any thread."""

    def __init__(self, index: tantivy.Index, products: Sequence[Product]) -> None:
        self._products = products  # a product's number is its place in here
        self._schema = _schema()
        self._analyzer = _analyzer()
        self._searcher = index.searcher()

    def search(self, query: str) -> tuple[Product, ...]:
        """The best products, at most `MAX_RESULTS`. Equal scores: by product id. Words beyond `MAX_QUERY_WORDS` do not
        count."""
        words = self._analyzer.analyze(query)[:MAX_QUERY_WORDS]
        if not words:
            return ()
        # Each occurrence of a word adds its score, as a bag of words does.
        term = Query.term_query
        parts = [(Occur.Should, term(self._schema, "text", word, index_option="freq")) for word in words]
        bag = Query.boolean_query(parts)
        limit = MAX_RESULTS + 1
        while True:  # until no product beyond the last one asked for has its score
            hits = self._searcher.search(bag, limit=limit, count=False).hits
            if len(hits) < limit or hits[-1][0] < hits[MAX_RESULTS - 1][0]:
                break
            limit *= 4
        numbers = self._searcher.fast_field_values("number", [address for _, address in hits])
        found = [(-score, self._products[int(number or 0)]) for (score, _), number in zip(hits, numbers, strict=True)]
        found.sort(key=lambda hit: (hit[0], hit[1].asin))
        return tuple(product for _, product in found[:MAX_RESULTS])


def open_index(products: Sequence[Product], cache: Path | None = None) -> ProductIndex:
    """The index over these products: the kept one, else a new one. `cache`: folder, default the user's."""
    digest = digest_of(products)
    parent = cache if cache is not None else cache_folder("agentr-tui") / "webshop"
    folder = parent / digest
    index = _open(folder, digest)
    if index is None:
        try:
            index = _build_on_disk(products, folder, digest)
        except OSError:  # nowhere to keep it
            index = _write(tantivy.Index(_schema()), products)
    return ProductIndex(index, products)


def digest_of(products: Sequence[Product]) -> str:
    """Digest of all that the index depends on: the products' texts in their order, tantivy's version, our layout."""
    digest = hashlib.blake2b(f"{_LAYOUT}\n{version('tantivy')}".encode(), digest_size=16)
    for product in products:
        for text in (product.asin, product.text):
            data = text.encode("utf-8", "replace")
            digest.update(b"%d\n" % len(data))
            digest.update(data)
    return digest.hexdigest()


def _open(folder: Path, digest: str) -> tantivy.Index | None:
    """The kept index, None where there is none or a file of it is not as it was written."""
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
        if manifest.digest != digest or manifest.files != _digests(folder):
            return None
        index = tantivy.Index.open(str(folder))
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    index.register_tokenizer(_ANALYZER, _analyzer())
    return index


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.iterdir():
        if path.name != _MANIFEST and path.suffix != ".lock":
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "blake2b").hexdigest()
    return found


def _build_on_disk(products: Sequence[Product], folder: Path, digest: str) -> tantivy.Index:
    """Build beside `folder`, then rename. Raises `OSError` where it can't be written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    half = Path(tempfile.mkdtemp(prefix=f"{digest}.", dir=folder.parent))
    try:
        index = tantivy.Index(_schema(), path=str(half))
        _write(index, products)
        del index
        manifest = _Manifest(digest, _digests(half))
        (half / _MANIFEST).write_bytes(msgspec.json.encode(manifest))
        _put(half, folder, digest)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    opened = _open(folder, digest)
    if opened is None:
        raise OSError(f"{folder}: the index does not read as it was written")
    return opened


def _write(index: tantivy.Index, products: Sequence[Product]) -> tantivy.Index:
    index.register_tokenizer(_ANALYZER, _analyzer())
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    for number, product in enumerate(products):
        document = tantivy.Document()
        document.add_text("text", product.text)
        document.add_integer("number", number)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return index


def _put(half: Path, folder: Path, digest: str) -> None:
    """Rename the finished index into place, unless another process was faster."""
    for _ in range(3):
        try:
            half.rename(folder)
            return
        except OSError:
            if _open(folder, digest) is not None:
                return
        broken = Path(tempfile.mkdtemp(prefix=f"{digest}.", dir=folder.parent))
        with contextlib.suppress(OSError):  # another process took it away
            os.rename(folder, broken / "broken")
        shutil.rmtree(broken, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what builders left that died."""
    for left in folder.parent.glob(f"{folder.name}.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
