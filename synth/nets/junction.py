"""A junction tree whose tables agree with each other: as a chain of conditionals, and asked for any marginal.

Koller & Friedman 2009, chapter 10: neighbours share a separator, given which the two sides are independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Clique = tuple[int, ...]
Table = NDArray[np.float64]


@dataclass(frozen=True)
class JunctionTree:
    """Probabilities over the maximal cliques of a graphical model.

    tables: clique -> probabilities, an axis per column in the clique's order; each sums to 1
    neighbours: clique -> those next to it in the tree, or in its part of a forest
    """

    tables: Mapping[Clique, Table]
    neighbours: Mapping[Clique, Sequence[Clique]]

    def walk(self, start: Clique) -> Iterator[tuple[Clique, Clique | None]]:
        """Every clique after the neighbour by which it is reached; None for the first of each part."""
        seen: set[Clique] = set()
        for root in (start, *self.tables):
            stack: list[tuple[Clique, Clique | None]] = [(root, None)]
            while stack:
                clique, before = stack.pop()
                if clique in seen:
                    continue
                seen.add(clique)
                yield clique, before
                stack += [(other, clique) for other in self.neighbours[clique] if other not in seen]

    def chain(self) -> Iterator[tuple[int, Clique, Table]]:
        """Columns in an order in which they can be drawn: (column, parents, P(column | parents)), the column's axis
        the last. A parent's value that never comes gives the column's own shares."""
        for clique, before in self.walk(next(iter(self.tables))):
            parents = tuple(column for column in clique if column in (before or ()))
            for column in clique:
                if column in parents:
                    continue
                joint = contract([(self.tables[clique], clique)], (*parents, column))
                own = joint.sum(tuple(range(joint.ndim - 1)))
                mass = joint.sum(-1, keepdims=True)
                yield column, parents, np.where(mass > 0, joint / np.where(mass > 0, mass, 1), own / own.sum())
                parents = (*parents, column)

    def marginals(self, source: Clique) -> dict[int, Table]:
        """Joint tables of `source`, columns of one clique, with each other column: its axes first, the other's last."""
        start = next(clique for clique in self.tables if set(source) <= set(clique))
        reached: dict[Clique | None, tuple[Table, Clique]] = {None: (self.tables[start], start)}
        found: dict[int, Table] = {}
        for clique, before in self.walk(start):
            table = self.tables[clique]
            if clique != start:
                separator = tuple(column for column in clique if column in (before or ()))
                known = source + tuple(column for column in separator if column not in source)
                share = contract([(table, clique)], separator)
                inverse = np.where(share > 0, 1 / np.where(share > 0, share, 1), 0)
                parts = [(contract([reached[before]], known), known), (inverse, separator), (table, clique)]
                labels = known + tuple(column for column in clique if column not in known)
                reached[clique] = contract(parts, labels), labels
            else:
                reached[clique] = table, clique
            for column in set(clique) - set(source) - set(found):
                found[column] = contract([reached[clique]], (*source, column))
        return found


def contract(parts: Sequence[tuple[Table, Clique]], columns: Clique) -> Table:
    """Product of tables, each with the columns of its axes, summed over all but `columns`."""
    axis = {column: i for i, column in enumerate(dict.fromkeys(c for _, labels in parts for c in labels))}
    operands: list[object] = []
    for table, labels in parts:
        operands += [table, [axis[column] for column in labels]]
    return np.asarray(np.einsum(*operands, [axis[column] for column in columns]))  # type: ignore[call-overload]
