"""The server: the parts wired together, the supervision tree, reload and stop.

Reading order: `settings` and `configuration`; the `parts` (storage, queries, rules, scraping ...), made by `parts/serverparts`;
`reload`, which brings them a configuration; `frontend`, which shows them; the `tree` they hang in; `server`, which runs it all.
"""

from trimon.server.configuration import LoadedConfiguration, complete
from trimon.server.server import Server
from trimon.server.settings import Seams, Settings

__all__ = ["LoadedConfiguration", "Seams", "Server", "Settings", "complete"]
