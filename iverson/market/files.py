# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of columns: one small interface for what the store keeps, and writing that never tears.

`ColumnFile` is all the store knows about a file format, so that another one can take the place of
Parquet.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import ConfigError

Columns = dict[str, NDArray[Any]]


class ColumnFile(Protocol):
    """A file format that keeps named columns of equal length."""

    suffix: str

    def write(self, path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write the columns: float64, datetime64 of any unit, or str."""
        ...

    def read(self, path: Path) -> Columns:
        """Return the columns; datetime64 may come back in another unit, str as object."""
        ...


class ParquetFile:
    """Columns in a Parquet file, compressed with zstd; pyarrow is imported on first use."""

    suffix = ".parquet"

    def write(self, path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write the columns; a datetime64[D] column is kept in milliseconds."""
        frame = pd.DataFrame(
            {
                name: values.astype("datetime64[ms]")
                if values.dtype == np.dtype("datetime64[D]")
                else values
                for name, values in columns.items()
            }
        )
        try:
            frame.to_parquet(path, engine="pyarrow", compression="zstd", index=False)
        except ImportError as error:
            raise _without_pyarrow(path) from error

    def read(self, path: Path) -> Columns:
        """Return the columns in the order of the file."""
        frame = read_parquet(path)
        return {str(name): frame[name].to_numpy() for name in frame.columns}


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file; `ConfigError` says what to install when pyarrow is not."""
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise _without_pyarrow(path) from error


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file so that readers see the old one or the whole new one, never a part.

    `write` gets a temporary path in the same directory; the result is flushed to disk and moved
    over `path`. If anything fails the temporary file is removed and `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        _flush(path.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _without_pyarrow(path: Path) -> ConfigError:
    return ConfigError(f"{path} needs pyarrow, which is not installed; run `pip install pyarrow`")
