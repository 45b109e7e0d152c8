"""The code of plug-ins: found by `module:attribute`, and loaded anew when its files have changed."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias

from trimon.errors import UserError

# What code of others may raise while it is imported or called; its sys.exit must not end the server.
# It is called and not awaited, so that nothing of this is a cancellation.
FAULTS: Final = BaseException

Stamp: TypeAlias = tuple[tuple[str, int, int], ...]


def described(error: BaseException) -> str:
    """Type and text of an exception, also of one whose text cannot be shown."""
    try:
        return f"{type(error).__name__}: {error}"
    except FAULTS:
        return type(error).__name__


def load_attribute(reference: str) -> object:
    """What `module:attribute` names. Blocks on the disk. Raises UserError."""
    module_name, _, attribute = reference.partition(":")
    try:
        found: object = importlib.import_module(module_name.strip())
        for part in attribute.strip().split("."):
            found = getattr(found, part)
    except FAULTS as error:
        raise UserError(f'discovery plug-in "{reference}": {described(error)}') from error
    return found


def load_past_hanging(reference: str) -> object:
    """The same while an import of that module hangs, whose lock another import would wait for. Raises UserError."""
    for name in _package_of(reference):
        del sys.modules[name]
    importlib.invalidate_caches()
    module_name = reference.partition(":")[0].strip()
    parts = module_name.split(".")
    try:
        for count in range(1, len(parts) + 1):
            _execute(".".join(parts[:count]))
    except FAULTS as error:
        raise UserError(f'discovery plug-in "{reference}": {described(error)}') from error
    return load_attribute(reference)


def _execute(name: str) -> None:
    """Imports one module without the lock that imports of it share."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except FAULTS:
        sys.modules.pop(name, None)
        raise


def stamp_of(reference: str) -> Stamp:
    """Paths, times and sizes of the source files that a plug-in consists of: all of its top package that is loaded.

    Empty for what comes with trimon. Blocks on the disk.
    """
    paths = [getattr(module, "__file__", None) for module in _package_of(reference).values()]
    return tuple(sorted(_look(path) for path in paths if isinstance(path, str)))


def has_changed(stamp: Stamp) -> bool:
    """Whether a file of a stamp is another one now. Blocks on the disk."""
    return any(_look(before[0]) != before for before in stamp)


def _look(path: str) -> tuple[str, int, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return path, 0, -1  # a file that is gone is a change too
    return path, status.st_mtime_ns, status.st_size


def load_again(reference: str) -> object:
    """The same as `load_attribute` with the package read anew. What runs keeps its code; a failure changes nothing."""
    before = _package_of(reference)
    for name, module in before.items():
        del sys.modules[name]
        _forget_bytecode(module)
    importlib.invalidate_caches()
    try:
        return load_attribute(reference)
    except UserError:
        for name in _package_of(reference):
            del sys.modules[name]
        sys.modules.update(before)
        raise


def _package_of(reference: str) -> dict[str, ModuleType]:
    """The loaded modules of a plug-in's top package, by name."""
    top = reference.partition(":")[0].strip().partition(".")[0]
    if top == "trimon":
        return {}
    return {
        name: module
        for name, module in list(sys.modules.items())
        if module is not None and (name == top or name.startswith(f"{top}."))
    }


def _forget_bytecode(module: ModuleType) -> None:
    """Remove the compiled file: its check of time and size misses a change within the same second."""
    cached = getattr(module, "__cached__", None)
    if isinstance(cached, str):
        try:
            Path(cached).unlink(missing_ok=True)
        except OSError:
            return  # not ours to remove; then its own check must do
