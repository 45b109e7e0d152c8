"""The plan from one configuration to the next."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.config import Config, load_text, plan, providers_of

BASE = """
global: {{external_labels: {{dc: {dc}}}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: a
    sample_limit: {limit}
    static_configs: [{{targets: [{target}]}}]
  - job_name: b
    basic_auth: {{password: "{password}"}}
    file_sd_configs: [{{files: [x.json]}}]
  - job_name: c
    file_sd_configs: [{{files: [{file}]}}]
storage: {{tsdb: {{out_of_order_time_window: {window}}}}}
"""
SAME = {
    "dc": "x",
    "rules": "r.yml",
    "limit": 1,
    "target": "h:1",
    "password": "p",
    "file": "x.json",
    "window": "0s",
}


def config(**changes: object) -> Config:
    return load_text(BASE.format(**(SAME | changes)), "/p.yml")


def test_nothing_changes_nothing() -> None:
    """Equal configurations keep everything; comments and the order of keys do not count."""
    again = load_text("# a comment\n" + BASE.format(**SAME), "/p.yml")
    made = plan(config(), again)
    assert made.nothing
    assert made.pools.keep == ("a", "b", "c")


def test_from_nothing_everything_starts() -> None:
    """Without an old configuration all jobs and providers start and everything is new."""
    made = plan(None, config())
    assert made.pools.start == ("a", "b", "c")
    assert len(made.providers.start) == 2
    assert made.rewired == ("a", "b", "c")
    assert made.rule_files
    assert made.storage
    assert "external_labels" in made.global_fields


def test_each_change_touches_its_own() -> None:
    """A limit or a secret restarts its pool only, targets only rewire, global fields are named."""
    limit = plan(config(), config(limit=2))
    assert limit.pools.restart == ("a",)
    assert limit.providers.nothing
    assert limit.rewired == ()
    assert plan(config(), config(password="q")).pools.restart == ("b",)
    target = plan(config(), config(target="h:2"))
    assert target.pools.nothing
    assert (len(target.providers.start), len(target.providers.stop), target.rewired) == (1, 1, ("a",))
    file = plan(config(), config(file="y.json"))
    assert (len(file.providers.start), file.providers.stop, file.rewired) == (1, (), ("c",))
    assert plan(config(), config(dc="y")).global_fields == ("external_labels",)
    assert plan(config(), config(rules="q.yml")).rule_files
    assert plan(config(), config(window="1h")).storage


def test_equal_discovery_is_one_provider() -> None:
    """Jobs with the same discovery share a provider, also across mechanisms' instances."""
    shared = providers_of(config().scrape_configs)
    assert sorted((each.mechanism, each.jobs) for each in shared.values()) == [
        ("file", ("b", "c")),
        ("static", ("a",)),
    ]
    apart = providers_of(config(file="y.json").scrape_configs)
    assert len(apart) == 3


jobs = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=5)


@settings(deadline=None)  # the machine may be busy
@given(jobs, jobs)
def test_a_plan_leads_from_the_old_to_the_new(
    old: dict[str, tuple[int, int]], new: dict[str, tuple[int, int]]
) -> None:
    """Applying start, stop and restart to the old jobs and providers gives exactly the new ones."""

    def load(jobs: dict[str, tuple[int, int]]) -> Config:
        lines = "".join(
            f"  - {{job_name: {name}, sample_limit: {limit}, file_sd_configs: [{{files: [f{file}.yml]}}]}}\n"
            for name, (limit, file) in jobs.items()
        )
        return load_text("scrape_configs:\n" + lines, "/p.yml")

    before, after = load(old), load(new)
    made = plan(before, after)
    pools = made.pools
    assert (set(old) - set(pools.stop)) | set(pools.start) == set(new)
    assert set(pools.keep) | set(pools.restart) == set(old) & set(new)
    assert set(pools.restart) == {name for name in set(old) & set(new) if old[name][0] != new[name][0]}
    assert set(made.rewired) == {name for name in new if name not in old or old[name][1] != new[name][1]}
    running = set(providers_of(before.scrape_configs))
    assert (running - set(made.providers.stop)) | set(made.providers.start) == set(
        providers_of(after.scrape_configs)
    )
