"""File and static discovery: Prometheus' semantics of files that somebody else writes."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock

import trimon.discovery.mechanisms.file as file_mechanism
from trimon import limits
from trimon.discovery import targetfile
from trimon.discovery.doubles import Found, context_of_doubles
from trimon.discovery.mechanisms.file import FileDiscovery
from trimon.discovery.mechanisms.static import StaticDiscovery
from trimon.discovery.plugin import CheckedGroups
from trimon.discovery.targetfile import groups_from_json, read_groups, target_text
from trimon.errors import UserError
from trimon.offload import ThreadOffload


def names(found: Found) -> list[str]:
    return sorted(labels["__address__"] for labels in found.targets)


def error_of(discovery: FileDiscovery, path: Path) -> Any:
    files = discovery.inspect()["files"]
    assert isinstance(files, dict)
    return files[str(path)]["error"]


def write(path: Path, *addresses: str, **labels: str) -> None:
    path.write_text(json.dumps([{"targets": list(addresses), "labels": labels}]))


@pytest.mark.parametrize("suffix", ["json", "yml"])
def test_a_file_is_a_list_of_groups(tmp_path: Path, suffix: str) -> None:
    """JSON and YAML say the same; sources are file and index, the path is a label."""
    path = tmp_path / f"t.{suffix}"
    path.write_text('[{"targets": ["a:1", "b:1"], "labels": {"x": "y"}}, {"targets": ["c:1"]}, {}]')
    one, two, three = read_groups(path)
    assert (one.source, two.source) == (f"{path}:0", f"{path}:1")
    assert [target["__address__"] for target in one.targets] == ["a:1", "b:1"]
    assert one.labels == {"x": "y", "__meta_filepath": str(path)}
    assert three.targets == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.json", '[{"targets": [1]}]', "t.json: json: group 0: targets is a list of strings"),
        ("t.json", '[{"labels": {"a": 1}}]', "t.json: json: group 0: labels is an object of strings"),
        ("t.json", '[{"hosts": []}]', 't.json: json: unknown field "hosts"'),
        ("t.json", "[null]", "t.json: nil target group item found"),
        ("t.json", '[\n{"targets": }]', "t.json:2:13: json: "),
        ("t.json", "{}", "t.json: json: a list of target groups is needed, not dict"),
        (
            "t.yml",
            "- hosts: []",
            "t.yml: yaml: unmarshal errors:\n  line 1: field hosts not found in type struct",
        ),
        ("t.yml", "-", "t.yml:1:2: nil target group item found"),
        (
            "t.yml",
            "targets: []",
            "t.yml: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!map into []*targetgroup.Group",
        ),
        (
            "t.yml",
            "- targets: a",
            "t.yml: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `a` into []string",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    """Unknown fields, wrong types and null items refuse the whole file."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_groups(path)
    assert message in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "null"])
def test_an_empty_file_has_no_groups(tmp_path: Path, text: str) -> None:
    """An empty YAML file, an empty list and null are no targets and no error."""
    path = tmp_path / "t.yml"
    path.write_text(text)
    assert read_groups(path) == []


async def test_files_come_change_break_and_go(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """New files add, changed ones replace, bad ones keep what they had and are counted, gone ones remove."""
    found = Found()
    discovery = FileDiscovery(
        {"files": [f"{tmp_path}/*.json", f"{tmp_path}/one.yml"], "refresh_s": 60}, context_of_doubles()
    )
    write(tmp_path / "a.json", "a:1")
    nursery.start_soon(discovery.run, found.sink)
    await found.wait_published()
    assert names(found) == ["a:1"]
    write(tmp_path / "b.json", "b:1", "b:2")
    (tmp_path / "one.yml").write_text("- targets: [c:1]\n")
    await trio.sleep(61)
    assert names(found) == ["a:1", "b:1", "b:2", "c:1"]
    (tmp_path / "b.json").write_text("[{")
    await trio.sleep(61)
    assert names(found) == ["a:1", "b:1", "b:2", "c:1"]
    fields = discovery.inspect()
    assert isinstance(fields["read_errors"], int)
    assert fields["read_errors"] >= 1
    assert "unexpected end of JSON input" in error_of(discovery, tmp_path / "b.json")
    write(tmp_path / "b.json", "b:3")
    (tmp_path / "a.json").unlink()
    await trio.sleep(61)
    assert names(found) == ["b:3", "c:1"]
    write(tmp_path / "b.json")
    await trio.sleep(61)
    assert names(found) == ["c:1"]
    assert not error_of(discovery, tmp_path / "b.json")
    nursery.cancel_scope.cancel()


async def test_unchanged_files_publish_nothing(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Reading the same content again is no change for anybody."""
    write(tmp_path / "a.json", "a:1")
    found = Found()
    discovery = FileDiscovery({"files": [f"{tmp_path}/a.json"], "refresh_s": 10}, context_of_doubles())
    nursery.start_soon(discovery.run, found.sink)
    await trio.sleep(100)
    assert found.changes == 1
    assert found.sink.stats.publishes >= 9
    nursery.cancel_scope.cancel()


async def test_a_file_that_did_not_change_is_not_read_again(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read again when its time stamps, size or inode say so, or were made a moment before the reading."""
    path = tmp_path / "a.json"
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return target_text(path)

    monkeypatch.setattr(file_mechanism, "target_text", counted)
    write(path, "a:1")
    found = Found()
    discovery = FileDiscovery({"files": [str(path)], "refresh_s": 10}, context_of_doubles())
    nursery.start_soon(discovery.run, found.sink)
    await trio.sleep(95)
    assert len(read) > 5  # it changed just now
    monkeypatch.setattr(file_mechanism, "SETTLED_S", -1.0)
    await trio.sleep(30)
    read.clear()
    await trio.sleep(100)
    assert read == []
    write(path, "a:2")
    await trio.sleep(100)
    assert len(read) == 1
    assert found.changes == 2
    nursery.cancel_scope.cancel()


async def test_a_directory_may_come_later(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A directory that is not there is no targets, and is found at a later reading."""
    found = Found()
    discovery = FileDiscovery({"files": [f"{tmp_path}/later/*.yml"], "refresh_s": 10}, context_of_doubles())
    nursery.start_soon(discovery.run, found.sink)
    await found.wait_published()
    assert found.targets == ()
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.yml").write_text("- targets: [a:1]\n")
    await trio.sleep(11)
    assert names(found) == ["a:1"]
    nursery.cancel_scope.cancel()


async def test_a_change_on_disk_is_noticed_without_waiting(tmp_path: Path, nursery: trio.Nursery) -> None:
    """With the refresh an hour away, a rewritten and a renamed-over file show within seconds (real time)."""
    path = tmp_path / "a.json"
    write(path, "a:1")
    found = Found()
    context = context_of_doubles(offload=ThreadOffload(2))
    discovery = FileDiscovery({"files": [str(path)], "refresh_s": 3600}, context)
    nursery.start_soon(discovery.run, found.sink)
    with trio.fail_after(20):
        await found.wait_published()
        write(path, "b:1")
        await found.arrived.wait()
        assert names(found) == ["b:1"]
        write(tmp_path / "new", "c:1")
        (tmp_path / "new").rename(path)
        await found.arrived.wait()
        assert names(found) == ["c:1"]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("files", [None, [], "a.json", ["a.txt"], ["*/a.json"]])
def test_bad_patterns_are_refused(files: object) -> None:
    """At least one pattern, a known ending, wildcards only in the last element."""
    with pytest.raises(UserError):
        FileDiscovery({"files": files}, context_of_doubles())


async def test_static_groups_are_published_once() -> None:
    """Static targets come in one publish, each with the labels of its group; then there is nothing to do."""
    found = Found()
    groups = [{"targets": ["a:1", "b:1"], "labels": {"x": "y"}}, {"targets": []}]
    await StaticDiscovery({"groups": groups}, context_of_doubles()).run(found.sink)
    assert found.targets == ({"__address__": "a:1", "x": "y"}, {"__address__": "b:1", "x": "y"})
    assert found.sink.stats.publishes == 1


async def test_too_much_for_one_discovery_changes_nothing(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More targets than the limit are told and change nothing; with less again all is as the files say."""
    monkeypatch.setattr(limits, "TARGETS_PER_PUBLISH_MAX", 3)
    found = Found()
    discovery = FileDiscovery({"files": [f"{tmp_path}/*.json"], "refresh_s": 60}, context_of_doubles())
    write(tmp_path / "a.json", "a:1", "a:2")
    nursery.start_soon(discovery.run, found.sink)
    await found.wait_published()
    write(tmp_path / "b.json", "b:1", "b:2")
    await trio.sleep(61)
    assert names(found) == ["a:1", "a:2"]
    assert "4 targets in all; at most 3 are allowed" in str(discovery.inspect()["refused"])
    write(tmp_path / "a.json", "a:3")
    await trio.sleep(61)
    assert (names(found), discovery.inspect()["refused"]) == (["a:3", "b:1", "b:2"], "")
    write(tmp_path / "b.json", "b:1", "b:2", "b:3", "b:4")
    await trio.sleep(61)
    assert names(found) == ["a:3", "b:1", "b:2"]
    assert error_of(discovery, tmp_path / "b.json") == "more than 3 targets in one publish"


async def test_a_label_that_no_target_may_have_is_the_files_error(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """One file with such a label keeps the others as good as they are."""
    found = Found()
    discovery = FileDiscovery({"files": [f"{tmp_path}/*.json"], "refresh_s": 60}, context_of_doubles())
    write(tmp_path / "a.json", "a:1")
    write(tmp_path / "b.json", "b:1", x="y" * (limits.LABEL_VALUE_BYTES_MAX + 1))
    nursery.start_soon(discovery.run, found.sink)
    await found.wait_published()
    assert names(found) == ["a:1"]
    assert "is too long" in error_of(discovery, tmp_path / "b.json")


@pytest.mark.parametrize("pattern", ["/no\0where/*.json", "/tmp/\0*.json", "/tmp/\0.json", "/\0/a.yml"])
async def test_a_path_that_no_file_can_have_finds_nothing(pattern: str, autojump_clock: MockClock) -> None:
    """A pattern with a NUL publishes no targets, and the discovery goes on."""
    found = Found()
    discovery = FileDiscovery({"files": [pattern], "refresh_s": 60}, context_of_doubles())
    with trio.move_on_after(130):
        await discovery.run(found.sink)
    assert (found.published, names(found)) == (True, [])
    # Others may write in the directory that is watched.
    assert int(str(discovery.inspect()["readings"])) >= 3


@pytest.mark.parametrize("suffix", ["json", "yml"])
def test_a_file_has_a_most_of_groups(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups without targets count, so do lists and objects of JSON, but not brackets in texts."""
    monkeypatch.setattr(limits, "GROUPS_PER_PUBLISH_MAX", 5)
    monkeypatch.setattr(limits, "JSON_CONTAINERS_MAX", 16)
    path = tmp_path / f"t.{suffix}"
    path.write_text(json.dumps([{"targets": ['[[[[[{{{{{\\"[[[['], "labels": {"a": "{{{{{{"}}] * 5))
    assert len(read_groups(path)) == 5
    path.write_text("[" + ",".join(["{}"] * 6) + "]")
    with pytest.raises(UserError, match=rf"t.{suffix}: 6 target groups; a file may have 5"):
        read_groups(path)
    if suffix == "json":
        path.write_text('[{"targets": [' + ",".join(["[]"] * 20) + "]}]")
        with pytest.raises(UserError, match=r"t.json: json: more than 16 lists and objects"):
            read_groups(path)


async def test_many_groups_are_compared_in_a_thread(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups without targets too: the loop does not wait for them, and they are not published."""
    places: list[threading.Thread] = []

    def noted(*args: object) -> CheckedGroups:
        places.append(threading.current_thread())
        return changes(*args)  # type: ignore[arg-type]  # passed on

    changes = file_mechanism._changes
    monkeypatch.setattr(file_mechanism, "_changes", noted)
    path = tmp_path / "many.json"
    path.write_text(json.dumps([{"targets": [], "labels": {"a": str(i)}} for i in range(5000)]))
    write(tmp_path / "one.json", "a:1")
    found = Found()
    discovery = FileDiscovery(
        {"files": [str(tmp_path / "*.json")]}, context_of_doubles(offload=ThreadOffload(2))
    )
    nursery.start_soon(discovery.run, found.sink)
    with trio.fail_after(5):
        while not found.changes:  # noqa: ASYNC110 # the sink of tests has no event
            await trio.sleep(0.01)
    assert names(found) == ["a:1"]
    assert places
    assert threading.main_thread() not in places
    nursery.cancel_scope.cancel()


async def test_a_read_that_hangs_stops_no_other_file(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, keeps what the file had, and is not tried again before it has come back."""
    slow, fast = tmp_path / "a.json", tmp_path / "b.json"
    write(slow, "a:1")
    write(fast, "b:1")
    released, tries = threading.Event(), list[Path]()

    def text(path: Path) -> str:
        if path == slow and tries:
            tries.append(path)
            released.wait(20)
        return target_text(path)

    monkeypatch.setattr(limits, "DISCOVERY_READ_S", 0.1)
    monkeypatch.setattr(file_mechanism, "target_text", text)
    found, context = Found(), context_of_doubles()
    discovery = FileDiscovery({"files": [str(tmp_path / "*.json")], "refresh_s": 10}, context)
    nursery.start_soon(discovery.run, found.sink)
    await trio.sleep(5)
    assert names(found) == ["a:1", "b:1"]
    tries.append(slow)
    write(slow, "a:2")
    write(fast, "b:2")
    await trio.sleep(60)
    assert names(found) == ["a:1", "b:2"]
    assert len(tries) == 2
    assert list(discovery.inspect()["hanging"]) == [str(slow)]  # type: ignore[call-overload]  # a mapping
    assert "has not come back" in discovery.inspect()["files"][str(slow)]["error"]  # type: ignore[index]  # mappings
    tries.clear()
    released.set()
    await trio.sleep(30)
    assert (names(found), discovery.inspect()["hanging"]) == (["a:2", "b:2"], {})
    nursery.cancel_scope.cancel()


async def test_a_bad_file_that_did_not_change_is_not_read_again(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays an error that is counted at each refresh; nor are files read again whose targets were refused."""
    monkeypatch.setattr(file_mechanism, "SETTLED_S", -1.0)
    monkeypatch.setattr(limits, "TARGETS_PER_PUBLISH_MAX", 3)
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return target_text(path)

    monkeypatch.setattr(file_mechanism, "target_text", counted)
    (tmp_path / "bad.json").write_text("[{")
    write(tmp_path / "a.json", "a:1", "a:2")
    write(tmp_path / "b.json", "b:1", "b:2")
    discovery = FileDiscovery({"files": [f"{tmp_path}/*.json"], "refresh_s": 10}, context_of_doubles())
    nursery.start_soon(discovery.run, Found().sink)
    await trio.sleep(95)
    assert len(read) == 3
    fields = discovery.inspect()
    assert fields["read_errors"] == 10
    assert "4 targets in all" in str(fields["refused"]) or "more than 3 targets" in str(fields["refused"])
    (tmp_path / "b.json").unlink()
    await trio.sleep(20)
    assert discovery.inspect()["refused"] == ""
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("pattern", "names_found"),
    [
        ("{}//d//e/a.json", ["{}//d//e/a.json"]),
        ("{}/d/./e/a.json", ["{}/d/./e/a.json"]),
        ("{}/d/../d/e/a.json", ["{}/d/../d/e/a.json"]),
        ("{}//d//e/*.json", ["{}/d/e/a.json"]),
        ("{}/d/../d/e/a*.json", ["{}/d/e/a.json"]),
        ("{}/d/e//*.json", ["{}/d/e/a.json"]),
        ("{}/d/?/a.json", ["{}/d/e/a.json"]),
        ("{}/d/[^e]/a.json", []),
        ("{}/d/e/b.json", []),
    ],
)
async def test_names_of_files_are_as_they_are_written(
    pattern: str, names_found: list[str], tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """`__meta_filepath` has a plain name letter by letter, and what a pattern matches cleaned, as Go's Glob does."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    write(tmp_path / "d" / "e" / "a.json", "a:1")
    found = Found()
    discovery = FileDiscovery({"files": [pattern.format(tmp_path)]}, context_of_doubles())
    nursery.start_soon(discovery.run, found.sink)
    await found.wait_published()
    assert [each["__meta_filepath"] for each in found.targets] == [
        name.format(tmp_path) for name in names_found
    ]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("!foo bar", "bar"),
        ("!!foo bar", "bar"),
        ("!!str 5", "5"),
        ("!!int 5", "5"),
        ("!!float 5", "5"),
        ("!!binary YWJj", "abc"),
        ('!!null ""', ""),
        ("!!bool yes", "yes"),
        ("!!timestamp 2001-01-01", "2001-01-01"),
        ("! 5", "5"),
        ("!<tag:example.com,2000:q> 5", "5"),
        ("!foo ~", "~"),
        ("!!int abc", "yaml: cannot decode !!str `abc` as a !!int"),
        ("!!null abc", "yaml: cannot decode !!str `abc` as a !!null"),
        ("!!bool abc", "yaml: cannot decode !!str `abc` as a !!bool"),
        ("!!float x", "yaml: cannot decode !!str `x` as a !!float"),
        ("!!timestamp zz", "yaml: cannot decode !!str `zz` as a !!timestamp"),
        ("!foo [b]", "cannot unmarshal !!seq into string"),
    ],
)
def test_tags_of_yaml_are_those_of_prometheus(value: str, label: str, tmp_path: Path) -> None:
    """A tag that nobody knows is a text's, one that is known has to fit; those of collections are not looked at."""
    path = tmp_path / "t.yml"
    path.write_text(f'!x [!y {{targets: !!map ["a:1"], labels: !z {{l: {value}}}}}]')
    if "cannot" in label:
        with pytest.raises(UserError) as caught:
            read_groups(path)
        assert label in caught.value.message
    else:
        (group,) = read_groups(path)
        assert dict(group.labels)["l"] == label
        assert [dict(each) for each in group.targets] == [{"__address__": "a:1"}]


_TEXTS = st.text(max_size=5)
_GROUPS = st.lists(
    st.none()
    | st.integers()
    | st.fixed_dictionaries(
        {}, optional={"targets": st.lists(_TEXTS), "labels": st.dictionaries(_TEXTS, _TEXTS)}
    )
)


@example([1 << 64], "", 0)
@given(_GROUPS, st.sampled_from(["", " ", "x", "]", ","]), st.integers(0, 40))
def test_long_lists_are_read_group_by_group_with_the_same_result(
    groups: list[object], tail: str, cut: int
) -> None:
    """Whatever the text: the same groups, or the same error."""
    text = json.dumps(groups, indent=1, ensure_ascii=False) + tail
    for given_text in (text, text[: max(0, len(text) - cut)]):
        outcomes: list[object] = []
        for most in (0, 1 << 30):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(targetfile, "_WHOLE_CHARACTERS", most)
                try:
                    outcomes.append(groups_from_json(given_text, "f.json"))
                except UserError as error:
                    outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
