"""What may be named as a plug-in: a class with `async run`, or a function that says it makes one."""

from __future__ import annotations

import inspect
from typing import cast, get_type_hints

from trimon.discovery.plugin import Factory
from trimon.errors import UserError


def factory_of(reference: str, found: object) -> Factory:
    """What a reference names, if it makes discoveries; it is not called for that. Raises UserError.

    Anything can be named by `module:attribute`, and would be called with what the configuration says: `os:system`, too.
    """
    if inspect.isclass(found):
        if _has_async_run(found):
            return cast("Factory", found)
        what = f"the class {found.__qualname__}, which has no async run(sink)"
    elif inspect.isfunction(found):
        if _has_async_run(_returned(found)):
            return cast("Factory", found)
        what = "a function that does not say that it returns a discovery (`-> Discovery`)"
    else:
        what = f"of type {type(found).__name__}"
    raise UserError(
        f'discovery plug-in "{reference}" is {what}; a plug-in is a class with async run(sink), or a function that is '
        "annotated to return one, made or called with (options, context)"
    )


def _returned(function: object) -> object:
    """The class that a function's annotation names; None where it names none that can be found."""
    try:
        return get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 # an annotation is an expression of somebody else
        return None


def _has_async_run(made: object) -> bool:
    run = getattr(made, "run", None) if inspect.isclass(made) else None
    return callable(run) and inspect.iscoroutinefunction(inspect.unwrap(run))
