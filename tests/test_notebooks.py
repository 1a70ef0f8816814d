# SPDX-License-Identifier: GPL-3.0-or-later
"""The notebooks run from top to bottom and are committed without outputs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    """In a copy of the checkout, so that what a notebook writes does not stay."""
    for name in ("notebooks", "strategies", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    notebook = nbformat.read(tmp_path / "notebooks" / path.name, as_version=4)
    folder = str(tmp_path / "notebooks")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()

    assert not any(
        output.get("output_type") == "error"
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    """Outputs are made by whoever runs it, and never go stale."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
