"""Why a template cannot be escaped."""

from __future__ import annotations

from trimon.templates.nodes import Node


class HtmlError(Exception):
    """A fault of a page: what is wrong, and at which node or line."""

    def __init__(self, description: str, node: Node | None = None, line: int = 0) -> None:
        super().__init__(description)
        self.description = description
        self.node = node
        self.line = line
        self.name = ""

    def amend(self, where: str, node: Node) -> None:
        """Says in which round of a loop it was; the line is that of the node, for errors without one."""
        self.description = f"{where}: {self.description}"
        self.line = node.source.line(node.position) if node.source is not None else 0

    def __str__(self) -> str:
        """As html/template words it."""
        node = self.node
        if node is not None and node.source is not None:
            source = node.source
            where = f"{source.name}:{source.line(node.position)}:{source.column(node.position)}"
            return f"html/template:{where}: {self.description}"
        if self.line:
            return f"html/template:{self.name}:{self.line}: {self.description}"
        return (
            f"html/template:{self.name}: {self.description}"
            if self.name
            else f"html/template: {self.description}"
        )
