"""Labels that are masked, and the target that they were of."""

from __future__ import annotations

from trimon.discovery.mask import LabelMask
from trimon.model.labels import labels_of
from trimon.web.api.targets.truelabels import AMBIGUOUS, UNKNOWN, true_labels

MASK = LabelMask().labels
ONE = labels_of({"__address__": "a:1", "__meta_token": "tok-tok-1", "__meta_url": "http://u:word-word@h/"})
OTHER = labels_of({"__address__": "a:1", "__meta_token": "tok-tok-2", "__meta_url": "http://u:word-word@h/"})


def test_plain_labels_are_taken_as_they_are() -> None:
    """No target is looked for, and nothing that rules make of them is masked."""
    found = true_labels({"a": "b"}, [ONE], MASK)
    assert (found.labels, found.warnings) == ({"a": "b"}, ())
    assert found.shown((("__meta_token", "x"),), MASK) == {"__meta_token": "x"}


def test_the_target_is_found_by_what_is_shown_of_it() -> None:
    """Secrets stay masked wherever a rule puts them, within other texts too."""
    found = true_labels(dict(MASK(ONE)), [labels_of({"__address__": "b:1"}), ONE], MASK)
    assert (found.labels, found.warnings) == (dict(ONE), ())
    made = labels_of({"x": "tok-tok-1", "y": "a tok-tok-1 b", "z": "word-word", "__meta_token": "tok-tok-1"})
    assert found.shown(made, MASK) == {
        "x": "<secret>",
        "y": "a <secret> b",
        "z": "<secret>",
        "__meta_token": "<secret>",
    }


def test_who_cannot_be_told_is_said() -> None:
    """No such target, and several that differ in what is masked."""
    shown = dict(MASK(ONE))
    assert true_labels(shown, [], MASK).warnings == (UNKNOWN,)
    assert true_labels(shown, [ONE, OTHER], MASK).warnings == (AMBIGUOUS,)
    assert true_labels(shown, [ONE, ONE], MASK).warnings == ()
