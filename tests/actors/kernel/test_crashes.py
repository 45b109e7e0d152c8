"""What a group does about odd crashes: of constructors, of nurseries inside actors, of the hook that is told."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.actors.kernel.actors import QUICK, Journal, Worker, worker_spec
from trimon.actors.kernel import ChildSpec, CrashReports, Group, Restart, tree


async def test_a_factory_that_raises_is_a_crash(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A failing constructor is reported and retried like a failing run."""
    tries = 0
    journal = Journal()

    def make() -> Worker:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("not yet")
        return Worker("a", journal)

    reports = CrashReports()
    group = Group("root", [ChildSpec("a", make, policy=QUICK)], reports=reports)
    nursery.start_soon(group.run)
    await group.ready.wait()
    assert (tries, reports.total) == (3, 2)
    nursery.cancel_scope.cancel()


async def test_exception_groups_are_taken_apart(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An actor with a nursery crashes with its leaf exceptions named, not with a group around them."""

    class Nested:
        async def run(self) -> None:
            async with trio.open_nursery() as inner:
                inner.start_soon(self.fall)
                await trio.sleep_forever()

        async def fall(self) -> None:
            raise KeyError("deep")

        def inspect(self) -> dict[str, object]:
            return {}

    seen: list[str] = []
    reports = CrashReports(lambda report: seen.append(report.error))
    group = Group("root", [ChildSpec("a", Nested, restart=Restart.NEVER)], reports=reports)
    nursery.start_soon(group.run)
    await trio.sleep(1)
    assert seen == ["KeyError: 'deep'"]
    assert "fall" in reports.latest()[0].traceback
    await group.stop(1)


async def test_a_broken_hook_harms_nobody(
    nursery: trio.Nursery, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hook that raises is counted; the child is restarted all the same."""

    def hook(report: object) -> None:
        raise RuntimeError("log is gone")

    reports = CrashReports(hook)
    journal = Journal()
    group = Group("root", [worker_spec("a", journal, 1.0)], reports=reports)
    nursery.start_soon(group.run)
    await trio.sleep(2.5)
    assert journal.names("start") == ["a", "a"]
    assert reports.hook_failures == 1
    assert "log is gone" in capsys.readouterr().err
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("exit_", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("deep", [False, True])
async def test_an_exit_inside_an_actor_is_its_crash(
    exit_: BaseException, deep: bool, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """sys.exit and the like in an actor, or in a task of it, crash that actor and nothing else."""

    class Leaver:
        async def run(self) -> None:
            await trio.sleep(1)
            if not deep:
                raise exit_
            async with trio.open_nursery() as inner:
                inner.start_soon(trio.sleep_forever)
                inner.start_soon(self.leave)

        async def leave(self) -> None:
            raise exit_

        def inspect(self) -> dict[str, object]:
            raise exit_

    journal = Journal()
    reports = CrashReports()
    specs = [ChildSpec("a", Leaver, restart=Restart.NEVER), worker_spec("b", journal)]
    group = Group("root", specs, reports=reports)
    nursery.start_soon(group.run)
    await group.ready.wait()
    shown = tree(group)["children"]
    assert isinstance(shown, list)
    assert isinstance(shown[0], dict)
    assert "inspect_failed" in str(shown[0]["fields"])
    await trio.sleep(2)
    assert reports.latest()[0].error.startswith(type(exit_).__name__)
    assert [child.state.value for child in group.children()] == ["failed", "running"]
    await group.stop(1)
