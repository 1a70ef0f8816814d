# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of columns: one small interface for what the store keeps, and writing that never tears.

`ColumnFile` is all the store knows about a file format. Parquet is what other programs read, and
needs pyarrow; NPZ needs nothing but NumPy, which is why a deployed trader keeps it.
"""

from __future__ import annotations

import glob
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
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
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise _without_pyarrow(path) from error
        # Without pandas, which takes twice as long for a small file; the file is closed at the end
        # of the block, or Windows could not replace it.
        with parquet.ParquetFile(path) as file:
            content = file.read(use_threads=False)
        return {name: content.column(name).to_numpy() for name in content.column_names}


class NpzFile:
    """Columns in a compressed NumPy archive, which `numpy.load` reads; no pickles, either way."""

    suffix = ".npz"

    def write(self, path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write the columns, with the quickest compression; text becomes fixed-width text."""
        # numpy.savez_compressed has no level, and zlib's default takes four times as long for a
        # tenth of the size.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, values in columns.items():
                plain = values.astype("str") if values.dtype.kind == "O" else values
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(
                        member, np.ascontiguousarray(plain), allow_pickle=False
                    )

    def read(self, path: Path) -> Columns:
        """Return the columns in the order of the file."""
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


FORMATS: dict[str, type[ParquetFile | NpzFile]] = {"parquet": ParquetFile, "npz": NpzFile}


def column_file(name: str) -> ColumnFile | None:
    """Return the format of a name, None for "auto"; `ConfigError` for any other name."""
    if name == "auto":
        return None
    if name not in FORMATS:
        raise ConfigError(f"format is {name!r}; expected auto, {' or '.join(FORMATS)}")
    return FORMATS[name]()


def has_pyarrow() -> bool:
    """Tell whether Parquet can be read and written here."""
    return find_spec("pyarrow") is not None


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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for, then hold a lock between processes; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            yield


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the same lock when nobody else does, and yield whether it is held; never waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                yield False
                return
            try:
                yield True
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True


def sweep(folder: Path, name: str) -> None:
    """Remove what writes of `name` and any suffix left when they were killed.

    Only for who holds the lock under which they are written.
    """
    for left in folder.glob(f".{glob.escape(name)}.*.part"):
        left.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _without_pyarrow(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} needs pyarrow, which is not installed; run `pip install pyarrow`, or turn the "
        "store into NPZ with `iverson bars convert npz` where pyarrow is"
    )
