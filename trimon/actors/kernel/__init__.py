"""The actor kernel: lifecycle, mailboxes, replies, supervision, introspection.

Knows nothing of metrics and depends on trio and the standard library alone. `docs/actors.md` is its manual.
"""

from trimon.actors.kernel.ask import AskTimeout, Question, ask
from trimon.actors.kernel.child import Child
from trimon.actors.kernel.faults import describe
from trimon.actors.kernel.group import Group, Strategy
from trimon.actors.kernel.lifecycle import TRANSITIONS, State, lifecycle_table
from trimon.actors.kernel.mailbox import (
    Mailbox,
    MailboxClosed,
    MailboxFull,
    MessageTooLarge,
    Overflow,
)
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.reply import ActorGone, Reply
from trimon.actors.kernel.report import CrashReport, CrashReports
from trimon.actors.kernel.restarts import RestartBudget, RestartPolicy
from trimon.actors.kernel.spec import Actor, ChildSpec, Restart
from trimon.actors.kernel.stats import MailboxStats
from trimon.actors.kernel.supervisor import BudgetExhausted, Supervisor
from trimon.actors.kernel.tree import find, node, plain, tree, walk

__all__ = [
    "TRANSITIONS",
    "Actor",
    "ActorGone",
    "AskTimeout",
    "BudgetExhausted",
    "Child",
    "ChildSpec",
    "CrashReport",
    "CrashReports",
    "Group",
    "Mailbox",
    "MailboxClosed",
    "MailboxFull",
    "MailboxStats",
    "MessageTooLarge",
    "Overflow",
    "Pool",
    "Question",
    "Reply",
    "Restart",
    "RestartBudget",
    "RestartPolicy",
    "State",
    "Strategy",
    "Supervisor",
    "ask",
    "describe",
    "find",
    "lifecycle_table",
    "node",
    "plain",
    "tree",
    "walk",
]
