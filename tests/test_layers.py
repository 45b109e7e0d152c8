"""The order of the layers, read from the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent / "trimon"

# Lowest first; a module may import from rows above its own and from its own package.
LAYERS = [
    {"__init__", "records"},
    {"errors", "everydaywords"},
    {"limits", "clock", "random", "redaction", "openfiles", "problems"},
    {"gotext", "compiled"},
    {"units", "wire"},
    {"model"},
    {"virtualclock", "collector", "files", "memory", "offload", "log", "selfmetrics", "fetch", "tracing"},
    {"config"},
    {"peers"},
    {"storage", "query", "scrape", "rules", "discovery", "remote", "notify", "templates"},
    {"actors.kernel"},
    {"actors"},
    {"web"},
    {"demo"},
    {"server"},
    {"cli"},
    {"__main__"},
]
SIBLINGS_THAT_MAY = {("rules", "query"), ("rules", "templates")}
WITHOUT_TRIO = ("storage", "query", "model", "config", "scrape", "rules", "remote", "notify", "templates")


def room(module: str) -> str:
    """The package or file directly below trimon that a module lives in."""
    parts = module.split(".")[1:]
    if not parts:
        return "__init__"
    if parts[:2] == ["actors", "kernel"]:
        return "actors.kernel"
    return parts[0]


def layer(name: str) -> int:
    for index, names in enumerate(LAYERS):
        if name in names:
            return index
    raise AssertionError(f"{name} has no layer: add it to LAYERS and to docs/contributing.md")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


def imports(module: str, path: Path) -> set[str]:
    """Absolute names of all that a module imports, also inside functions and for types alone."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        stack.extend(ast.iter_child_nodes(node))
    return names


def test_imports_point_downward() -> None:
    """Every import goes to a lower layer or stays in its own package."""
    wrong = []
    for module, path in modules().items():
        here = room(module)
        for name in imports(module, path):
            if name.split(".")[0] != "trimon":
                continue
            there = room(name)
            if there == here or (here, there) in SIBLINGS_THAT_MAY or there == "__init__":
                continue
            if room(name) not in {entry for names in LAYERS for entry in names}:
                continue  # an attribute of the package itself, such as __version__
            if layer(there) >= layer(here):
                wrong.append(f"{module} ({here}) imports {name} ({there})")
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    """No module imports itself, directly or through others."""
    known = modules()
    graph = {
        module: {name for name in imports(module, path) if name in known and name != module}
        for module, path in known.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join((*trail[trail.index(module) :], module))}"
        if module in done:
            return
        for name in sorted(graph[module]):
            visit(name, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_engines_know_no_event_loop() -> None:
    """The synchronous packages never import trio, or anything that brings an event loop."""
    for module, path in modules().items():
        if room(module) in WITHOUT_TRIO:
            names = {name.split(".")[0] for name in imports(module, path)}
            assert not names & {"trio", "quart", "hypercorn", "anyio", "asyncio"}, module


def test_the_kernel_knows_no_metrics() -> None:
    """The kernel imports trio and the standard library, and nothing else of the program."""
    for module, path in modules().items():
        if room(module) == "actors.kernel":
            ours = {name for name in imports(module, path) if name.startswith("trimon.")}
            assert all(name.startswith("trimon.actors.kernel") for name in ours), (module, ours)


def test_no_junk_rooms() -> None:
    """No module is called after nothing in particular."""
    junk = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [module for module in modules() if set(module.split(".")) & junk]


def test_files_hold_one_noun() -> None:
    """No file of the package is longer than 500 lines."""
    long = {
        module: count
        for module, path in modules().items()
        if (count := len(path.read_text().splitlines())) > 500
    }
    assert not long, long
