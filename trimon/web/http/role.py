"""What a user must be allowed to do."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """What a user must be allowed to do, where users are told apart; each route needs one."""

    NONE = "none"
    """Nobody is asked who he is, unless there are users at all."""
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    DEBUG = "debug"
