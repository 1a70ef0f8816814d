# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain loop that defines the works."""

from tests.bench import reference

PACKAGES = ()
WORKS = reference.WORKS
