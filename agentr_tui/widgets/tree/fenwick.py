"""Fenwick trees: sums over a growing list of counts; asking, changing and appending cost O(log n).

A tree is a plain list with cell 0 unused (P. M. Fenwick, "A new data structure for cumulative frequency tables",
1994).
"""

from __future__ import annotations


def build(values: list[int]) -> list[int]:
    """A Fenwick tree of the values; cell 0 is unused."""
    sums = [0, *values]
    for place in range(1, len(sums)):
        if (above := place + (place & -place)) < len(sums):
            sums[above] += sums[place]
    return sums


def add(sums: list[int], index: int, delta: int) -> None:
    """Change a value by `delta`.

    `sums`: the tree. `index`: of the value, from 0. `delta`: may be negative.
    """
    place = index + 1
    while place < len(sums):
        sums[place] += delta
        place += place & -place


def append(sums: list[int], value: int) -> None:
    """One value more at the end."""
    place = len(sums)
    sums.append(value + prefix(sums, place - 1) - prefix(sums, place - (place & -place)))


def prefix(sums: list[int], count: int) -> int:
    """The sum of the first `count` values."""
    total = 0
    while count:
        total += sums[count]
        count -= count & -count
    return total


def find(sums: list[int], target: int) -> tuple[int, int]:
    """Index of the value that covers `target` when all are laid end to end, and what is left of `target` there."""
    place, step = 0, 1 << (len(sums) - 1).bit_length()
    while step:
        if place + step < len(sums) and sums[place + step] <= target:
            place += step
            target -= sums[place]
        step >>= 1
    return place, target
