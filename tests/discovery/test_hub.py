"""The hub: what all providers know, per job, with nothing lost on a change-over."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.discovery.hub import Hub
from trimon.discovery.mask import LabelMask
from trimon.discovery.sink import LabelSets


def sets(*addresses: str) -> LabelSets:
    return tuple({"__address__": address} for address in addresses)


def names(found: LabelSets) -> list[str]:
    return sorted(labels["__address__"] for labels in found)


def test_changes_are_coalesced_per_job() -> None:
    """However often providers publish, a take gives each changed job once, with all its targets."""
    calls: list[int] = []
    hub = Hub(lambda: calls.append(1))
    hub.wire({"one": ["p", "q"], "two": ["q"]})
    assert set(hub.take()) == {"one", "two"}
    hub.update("p", {"s": sets("a")}, complete=True)
    hub.update("p", {"t": sets("b")}, complete=False)
    hub.update("p", {"s": sets("c")}, complete=False)
    taken = hub.take()
    assert {job: names(found) for job, found in taken.items()} == {"one": ["b", "c"]}
    assert hub.take() == {}
    hub.update("q", {"s": sets("d")}, complete=True)
    assert {job: names(found) for job, found in hub.take().items()} == {"one": ["b", "c", "d"], "two": ["d"]}
    assert len(calls) >= 6


def test_what_is_confirmed_is_an_update_and_no_change() -> None:
    """A publish of what is known is counted and told, there is nothing to take, and one of nobody's provider is neither."""
    changes, confirmed = list[int](), list[int]()
    hub = Hub(lambda: changes.append(1), on_confirm=lambda: confirmed.append(1))
    hub.wire({"j": ["p"]})
    hub.update("p", {"s": sets("a")}, complete=True)
    hub.take()
    before = len(changes)
    hub.confirm("p")
    hub.confirm("nobody")
    assert (len(changes), len(confirmed), hub.updates, hub.take()) == (before, 1, 2, {})
    assert names(hub.targets("j")) == ["a"]


def test_a_complete_update_forgets_what_it_does_not_name() -> None:
    """The first publish after a restart replaces everything the provider said before."""
    hub = Hub()
    hub.wire({"j": ["p"]})
    hub.update("p", {"s": sets("a"), "t": sets("b")}, complete=True)
    hub.update("p", {"t": sets("c")}, complete=True)
    assert names(hub.targets("j")) == ["c"]


def test_a_new_subscriber_gets_what_is_known_at_once() -> None:
    """A job that joins a running provider has its targets with the wiring."""
    hub = Hub()
    hub.wire({"one": ["p"]})
    hub.update("p", {"s": sets("a")}, complete=True)
    hub.take()
    hub.wire({"one": ["p"], "two": ["p"]})
    assert {job: names(found) for job, found in hub.take().items()} == {"two": ["a"]}


def test_a_job_without_providers_loses_its_targets() -> None:
    """A job whose last source of targets was taken away has none, and that is told."""
    hub = Hub()
    hub.wire({"j": ["p"]})
    hub.update("p", {"s": sets("a")}, complete=True)
    hub.take()
    hub.wire({"j": []})
    assert hub.take() == {"j": ()}


def test_targets_stay_until_the_new_providers_have_spoken() -> None:
    """On a change of providers the old targets stay, without doubles, until each new one has published."""
    hub = Hub()
    hub.wire({"j": ["p"]})
    hub.update("p", {"s": sets("a", "b")}, complete=True)
    hub.take()
    hub.wire({"j": ["q", "r"]})
    assert names(hub.take()["j"]) == ["a", "b"]
    hub.update("q", {"s": sets("b", "c")}, complete=True)
    assert names(hub.take()["j"]) == ["a", "b", "c"]
    assert hub.inspect()["changing_over"] == 1
    hub.update("r", {}, complete=True)
    assert names(hub.take()["j"]) == ["b", "c"]
    assert hub.inspect()["changing_over"] == 0


def test_an_update_nobody_wants_is_ignored() -> None:
    """A provider that is on its way out cannot bring a job back."""
    hub = Hub()
    hub.wire({"j": ["p"]})
    hub.wire({})
    hub.update("p", {"s": sets("a")}, complete=True)
    assert hub.take() == {}
    assert hub.targets("j") == ()


steps = st.one_of(
    st.tuples(
        st.just("update"),
        st.sampled_from("pqr"),
        st.dictionaries(st.sampled_from("st"), st.lists(st.sampled_from("abc"), max_size=2, unique=True)),
        st.booleans(),
    ),
    st.tuples(
        st.just("wire"),
        st.dictionaries(st.sampled_from("jk"), st.lists(st.sampled_from("pqr"), max_size=3, unique=True)),
    ),
    st.tuples(st.just("take")),
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(steps, max_size=20))
def test_whoever_takes_in_the_end_knows_the_truth(script: list[tuple[object, ...]]) -> None:
    """For any order of wiring, updates and takes, what was taken last of each job is what it has."""
    hub = Hub()
    model: dict[str, dict[str, list[str]]] = {}
    wiring: dict[str, list[str]] = {}
    seen: dict[str, LabelSets] = {}
    for step in script:
        match step:
            case ("update", str(provider), dict(groups), bool(complete)):
                hub.update(provider, {s: sets(*found) for s, found in groups.items()}, complete=complete)
                if provider in model:
                    model[provider] = groups if complete else model[provider] | groups
            case ("wire", dict(wanted)):
                hub.wire(wanted)
                wiring = wanted
                model = {p: model.get(p, {}) for keys in wanted.values() for p in keys}
            case _:
                seen.update(hub.take())
    for provider in model:
        hub.update(provider, {}, complete=False)  # by now all have spoken: nothing changes over any more
    seen.update(hub.take())
    for job, keys in wiring.items():
        expected = sorted(name for key in keys for found in model[key].values() for name in found)
        assert names(seen.get(job, ())) == expected == names(hub.targets(job))


def test_labels_that_look_like_secrets_are_masked() -> None:
    """Meta labels are masked by their name or by what the discovery declares; others never."""
    mask = LabelMask(["__meta_x_serial"])
    labels = (
        ("__address__", "a:1"),
        ("__meta_docker_container_label_api_token", "t0p"),
        ("__meta_x_serial", "123"),
        ("__param_password", "t0p"),
        ("job", "j"),
        ("password", "on every sample anyway"),
    )
    shown = mask.labels(labels)
    assert "t0p" not in str(shown)
    assert "123" not in str(shown)
    assert dict(shown)["password"] == "on every sample anyway"
    assert mask.mapping(dict(labels)) == dict(shown)
    plain = (("__meta_x_name", "a"), ("job", "j"))
    assert mask.labels(plain) is plain
    mask.add(["__meta_x_name"])
    assert dict(mask.labels(plain))["__meta_x_name"] == "<secret>"
