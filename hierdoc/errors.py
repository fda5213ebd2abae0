"""The two kinds of failure that a person is told about in one line."""

from __future__ import annotations


class HierdocError(Exception):
    """Wrong input or a wrong request: the command prints one line and exits with code 2."""


class HierdocFailure(Exception):
    """A right request that could not be carried out: the command prints one line and exits with code 1."""
