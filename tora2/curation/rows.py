"""`clips.parquet`: a row for each candidate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.shards import parquet
from ..files import atomic_path
from .journal import Row

_CHUNK = 50_000


def write_rows(rows: Iterable[Row], scores: Iterable[str], path: Path) -> None:
    """Write the rows, sorted by source and time; a score that a row has not is null.

    Args:
        rows: of all candidates.
        scores: names of all scores, which become columns.
        path: of the file.

    Raises:
        OSError: if it cannot be written.
    """
    import pyarrow

    names = sorted(scores)
    schema = pyarrow.schema(
        [
            ("key", pyarrow.string()),
            ("source", pyarrow.string()),
            ("start", pyarrow.float64()),
            ("end", pyarrow.float64()),
            ("kept", pyarrow.bool_()),
            ("dropped_by", pyarrow.string()),
            ("reason", pyarrow.string()),
            ("width", pyarrow.int32()),
            ("height", pyarrow.int32()),
            ("fps", pyarrow.float64()),
            ("caption", pyarrow.string()),
            ("entities", pyarrow.int32()),
            *((name, pyarrow.float64()) for name in names),
        ]
    )
    chunks = [
        pyarrow.RecordBatch.from_pylist([_values(row, names) for row in chunk], schema)
        for chunk in _chunks(rows)
    ]
    table = pyarrow.Table.from_batches(chunks, schema)
    table = table.sort_by([("source", "ascending"), ("start", "ascending"), ("end", "ascending")])
    with atomic_path(path) as temporary:
        parquet().write_table(table, temporary)


def _values(row: Row, names: list[str]) -> dict[str, Any]:
    scores = {name: row.scores.get(name) for name in names}
    source = row.source.encode("utf-8", "backslashreplace").decode()
    return {**vars(row), "source": source, **scores}


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    taken = iter(rows)
    while chunk := list(islice(taken, _CHUNK)):
        yield chunk
