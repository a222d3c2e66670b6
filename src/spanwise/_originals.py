"""Say so where the package that a facade stands in for is installed beside it.

Both then hold a module of the same name, and which files of it are there is left to the order in
which they were installed.
"""

from __future__ import annotations

from typing import Final

from spanwise import _guard, _state

NAMES: Final = ("brixo", "fluxloop")


def tell_if_installed(name: str) -> None:
    """Log one line, once in a process, if a distribution of this name is installed."""
    if name in _state.originals_looked_for:
        return
    _state.originals_looked_for.add(name)
    with _guard.guard("originals"):
        # Imported here: it is asked for at the first use, and importing must stay light.
        from importlib import metadata

        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            return
        _guard.warn(
            f"original {name}",
            f"{described(name, version)}; to have spanwise's whole, run: {mend(name)}",
        )


def described(name: str, version: str) -> str:
    """Return what is wrong where this distribution is installed."""
    return (
        f"the package {name} {version} is installed beside spanwise, and both hold the module "
        f"{name!r}"
    )


def mend(name: str) -> str:
    """Return the command that mends it."""
    return f"pip uninstall -y {name} && pip install --force-reinstall --no-deps spanwise"
