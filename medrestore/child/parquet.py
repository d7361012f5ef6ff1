"""Questions about Parquet tables, answered in the child: Arrow parses them there, in one thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from .opened import OpenFiles, Reply


class Tables(OpenFiles[str]):
    """Tables by their paths."""

    def _open(self, path: str, *, locking: bool) -> str:
        return path

    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        return {"table": self._table}

    def _table(self, number: int, largest: int, longest: int) -> Reply:
        """The names of the columns, and their values as JSON: a word in place of it where the table is none of scores.

        Args:
            largest: bytes that it may declare.
            longest: characters of a text in it.
        """
        path = self._files[number]
        with parquet.ParquetFile(path) as file:
            about, fields = file.metadata, list(file.schema_arrow)
        size = sum(about.row_group(index).total_byte_size for index in range(about.num_row_groups))
        if max(size, about.num_rows * about.num_columns * 8) > largest:
            return {"wrong": "size"}, []
        for field in fields:
            if field.type.num_fields > 0 and not pyarrow.types.is_dictionary(field.type):
                return {"wrong": "kind", "column": field.name}, []
        # text as a dictionary: a long one that is repeated a million times is then kept once
        text = [field.name for field in fields if not pyarrow.types.is_primitive(field.type)]
        with parquet.ParquetFile(path, read_dictionary=text) as file:
            table = file.read(use_threads=False)
        for column in table.columns:
            for chunk in column.chunks if pyarrow.types.is_dictionary(column.type) else ():
                if any(len(str(value)) > longest for value in chunk.dictionary):
                    return {"wrong": "text"}, []
        columns = [[plain_cell(value) for value in column.to_pylist()] for column in table.columns]
        return {"names": table.column_names}, [np.frombuffer(json.dumps(columns).encode("ascii"), np.uint8)]


def plain_cell(value: Any) -> Any:
    """A value as JSON has it; anything but text and numbers as text."""
    return value if value is None or isinstance(value, str | int | float) else str(value)
