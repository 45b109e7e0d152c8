"""Many label sets at once: a table of integer codes, a column per label name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trimon.model.labels import Labels
from trimon.records import dataclass

Codes = npt.NDArray[np.int32]

# Of tables that are no longer, readers may note what they made of them, text, order and a sorted copy: some 400 bytes a row.
NOTED_ROWS_MAX: Final = 128
NOTED_ROW_BYTES: Final = 400


@dataclass(frozen=True, slots=True)
class LabelTable:
    """`rows` series; `columns[i][row]` is the code of label `names[i]`, an index into `values[i]`.

    `names` ascend and are distinct. Code 0 is always the empty string, a label that is missing. The values of
    a dictionary are distinct, in any order, and may hold values that no row uses. Arrays are never written. `notes` are what
    readers made of a short table, such as its text, under names of their own; an entry is never changed.
    """

    rows: int
    names: tuple[str, ...]
    columns: tuple[Codes, ...]
    values: tuple[Sequence[str], ...]
    notes: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def empty(cls) -> LabelTable:
        """A table without rows."""
        return cls(0, (), (), ())

    @classmethod
    def of(cls, label_sets: Sequence[Labels]) -> LabelTable:
        """The table of given label sets, in their order. For edges and tests: it loops over series."""
        names = tuple(sorted({name for labels in label_sets for name, _ in labels}))
        position = {name: index for index, name in enumerate(names)}
        columns = [np.zeros(len(label_sets), np.int32) for _ in names]
        dictionaries: list[dict[str, int]] = [{"": 0} for _ in names]
        for row, labels in enumerate(label_sets):
            for name, value in labels:
                index = position[name]
                dictionary = dictionaries[index]
                columns[index][row] = dictionary.setdefault(value, len(dictionary))
        return cls(len(label_sets), names, tuple(columns), tuple(list(d) for d in dictionaries))

    def labels(self, row: int) -> Labels:
        """The label set of one row."""
        return tuple(
            (name, values[column[row]])
            for name, column, values in zip(self.names, self.columns, self.values, strict=True)
            if column[row]
        )

    def take(self, rows: npt.NDArray[np.intp]) -> LabelTable:
        """The table of the given rows, in the given order; dictionaries are shared."""
        return LabelTable(len(rows), self.names, tuple(c[rows] for c in self.columns), self.values)

    def column(self, name: str) -> tuple[Codes, Sequence[str]]:
        """Codes and dictionary of one label; all zero when no row has it."""
        if name in self.names:
            index = self.names.index(name)
            return self.columns[index], self.values[index]
        return np.zeros(self.rows, np.int32), ("",)
