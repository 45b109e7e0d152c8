"""Alerting rules in virtual time, over a real store: series, messages, restarts."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.support.rule_world import RuleWorld, rule_world
from tests.support.store_world import until
from trimon.rules.alert import Alert, AlertState

KEY = "/etc/rules/r.yml;g"
SERIES = (("alertname", "Down"), ("i", "a"), ("severity", "page"))


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def rule(more: str = "for: 30s") -> str:
    return (
        "groups:\n  - name: g\n    rules:\n"
        f"      - {{alert: Down, expr: m == 1, {more}, labels: {{severity: page}}, annotations: {{s: down}}}}\n"
    )


class Switch:
    """Pushes `m` every second: 1 while it is on."""

    def __init__(self) -> None:
        self.on = False

    async def run(self, here: RuleWorld) -> None:
        while True:
            await here.push("m", float(self.on), i="a")
            await trio.sleep(1)


def with_state(state: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((*SERIES, ("alertstate", state))))


async def test_an_alert_from_pending_to_its_end(tmp_path: Path, autojump_clock: MockClock) -> None:
    """ALERTS tells the states one after the other, each ended when the next begins; messages come when it fires and ends."""
    messages: list[tuple[Alert, str]] = []
    async with (
        rule_world(
            tmp_path, notify=lambda alerts, expr: messages.extend((alert, expr) for alert in alerts)
        ) as here,
        trio.open_nursery() as nursery,
    ):
        switch = Switch()
        nursery.start_soon(switch.run, here)
        here.configure(rule())
        await trio.sleep(30)
        session = here.manager.groups[KEY].alerting[0]
        assert (session.state, dict(session.alerts)) == ("inactive", {})
        switch.on = True
        await trio.sleep(25)
        assert session.state == "pending"
        assert messages == []
        await trio.sleep(40)
        assert session.state == "firing"
        switch.on = False
        await trio.sleep(30)
        assert session.state == "inactive"
        await trio.sleep(30)
        alerts = here.points("ALERTS")
        pending, firing = alerts[with_state("pending")], alerts[with_state("firing")]
        assert [value for _, value in pending] == [1, 1, 1, None]
        assert pending[-1][0] == firing[0][0]
        assert firing[-1][1] is None
        (since,) = here.points("ALERTS_FOR_STATE").values()
        assert {value for _, value in since[:-1]} == {pending[0][0] // 1000}
        assert since[-1][1] is None
        states = [alert.state for alert, _ in messages]
        assert states[0] is AlertState.FIRING
        assert states[-1] is AlertState.INACTIVE
        assert {expr for _, expr in messages} == {"m == 1"}
        fired = messages[0][0]
        assert fired.fired_at_ms - fired.active_at_ms == 30_000
        nursery.cancel_scope.cancel()


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An alert that was pending before a restart fires when it would have, and nothing is stored before it is restored."""
    long = "for: 20m"
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        switch = Switch()
        switch.on = True
        nursery.start_soon(switch.run, here)
        here.configure(rule(long))
        await trio.sleep(8 * 60)
        (alert,) = here.manager.groups[KEY].alerting[0].alerts.values()
        active_at_ms, start_ms = alert.active_at_ms, here.world.clock.now_ms()
        nursery.cancel_scope.cancel()
    async with rule_world(tmp_path, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        switch = Switch()
        switch.on = True
        nursery.start_soon(switch.run, here)
        here.configure(rule(long))
        session = here.manager.groups[KEY].alerting[0]
        await until(lambda: bool(session.alerts))
        (fresh,) = session.alerts.values()
        assert fresh.active_at_ms >= start_ms
        await trio.sleep(20)
        (restored,) = session.alerts.values()
        assert abs(restored.active_at_ms - active_at_ms) <= 20_000
        await trio.sleep(13 * 60)
        (fired,) = session.alerts.values()
        assert fired.state is AlertState.FIRING
        assert abs(fired.fired_at_ms - active_at_ms - 20 * 60_000) <= 40_000
        nursery.cancel_scope.cancel()


async def test_a_reload_keeps_alerts(tmp_path: Path, autojump_clock: MockClock) -> None:
    """With another expression the alert goes on; with other labels it is forgotten without a message, and its series end."""
    messages: list[Alert] = []
    async with (
        rule_world(tmp_path, notify=lambda alerts, _: messages.extend(alerts)) as here,
        trio.open_nursery() as nursery,
    ):
        switch = Switch()
        switch.on = True
        nursery.start_soon(switch.run, here)
        here.configure(rule())
        await trio.sleep(60)
        (alert,) = here.manager.groups[KEY].alerting[0].alerts.values()
        here.configure(rule().replace("m == 1", "m == 1.0"))
        await trio.sleep(15)
        (after,) = here.manager.groups[KEY].alerting[0].alerts.values()
        assert (after.active_at_ms, after.fired_at_ms) == (alert.active_at_ms, alert.fired_at_ms)
        messages.clear()
        here.configure(rule().replace("severity: page", "severity: warn"))
        await trio.sleep(15)
        (renamed,) = here.manager.groups[KEY].alerting[0].alerts.values()
        assert renamed.state is AlertState.PENDING
        assert here.points("ALERTS")[with_state("firing")][-1][1] is None
        assert messages == []
        nursery.cancel_scope.cancel()


async def test_too_many_alerts_are_forgotten(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Beyond the group's limit a rule fails with the figures, and its alerts begin anew when they are fewer."""
    text = rule("for: 0s").replace("    rules:", "    limit: 1\n    rules:")
    async with rule_world(tmp_path) as here, trio.open_nursery() as nursery:
        switches = [Switch(), Switch()]
        switches[0].on = True
        nursery.start_soon(switches[0].run, here)

        async def other() -> None:
            while True:
                await here.push("m", float(switches[1].on), i="b")
                await trio.sleep(1)

        nursery.start_soon(other)
        here.configure(text)
        await trio.sleep(30)
        session = here.manager.groups[KEY].alerting[0]
        assert len(session.alerts) == 1
        switches[1].on = True
        await trio.sleep(15)
        assert (session.health, session.last_error) == ("err", "exceeded limit of 1 with 2 alerts")
        assert not session.alerts
        switches[1].on = False
        await trio.sleep(15)
        assert (session.health, len(session.alerts)) == ("ok", 1)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, -1.0, 2.6e11])
async def test_a_restart_takes_no_time_that_is_none(
    tmp_path: Path, value: float, autojump_clock: MockClock
) -> None:
    """Whoever may push can push ALERTS_FOR_STATE: what is no time up to now does not count, and nothing crashes."""
    async with rule_world(tmp_path) as here:
        await here.push("ALERTS_FOR_STATE", value, alertname="Down", i="a", severity="page")
        start_ms = here.world.clock.now_ms() + 1000
    async with rule_world(tmp_path, start_ms=start_ms) as here, trio.open_nursery() as nursery:
        switch = Switch()
        switch.on = True
        nursery.start_soon(switch.run, here)
        here.configure(rule("for: 20m"))
        await trio.sleep(180)
        group = here.manager.groups[KEY]
        assert not group.restores
        (alert,) = group.alerting[0].alerts.values()
        assert start_ms <= alert.active_at_ms <= start_ms + 60_000
        nursery.cancel_scope.cancel()
