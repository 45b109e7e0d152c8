"""What is made before anything is packed: the web UI and the compiled loops. A build hook of hatchling."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The hook is loaded by its path, and its neighbours are no package.
sys.path.insert(0, str(Path(__file__).parent))

from build_loops import CompileError, build_loops
from build_ui import NODE, BuildError, build_ui, is_built


class BuildHook(BuildHookInterface):  # type: ignore[type-arg] # hatchling's own parameter is of no use here
    """Makes `trimon/web/static/` and `trimon/compiled/loops.so`."""

    PLUGIN_NAME = "custom"

    @property
    def _places(self) -> tuple[Path, Path]:
        web = Path(self.root) / "trimon" / "web"
        return web / "ui", web / "static"

    def dependencies(self) -> list[str]:
        """Node and its npm, where there is something to build."""
        if os.environ.get("TRIMON_UI") == "skip" or is_built(*self._places):
            return []
        return [NODE]

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Builds both; says why not where that fails."""
        del version
        if os.environ.get("TRIMON_UI") != "skip":
            try:
                build_ui(*self._places)
            except BuildError as error:
                if os.environ.get("TRIMON_UI") == "required":
                    raise
                print(f"trimon is installed without its web UI: {error}", file=sys.stderr)
        if os.environ.get("TRIMON_COMPILED") != "skip":
            self._build_loops(build_data)

    def _build_loops(self, build_data: dict[str, object]) -> None:
        try:
            build_loops(Path(self.root) / "trimon" / "compiled")
        except CompileError as error:
            if os.environ.get("TRIMON_COMPILED") == "required":
                raise
            print(f"trimon is installed without its compiled loops, and is slower: {error}", file=sys.stderr)
        else:
            # A wheel with a library is for one platform, though for every version of Python.
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
