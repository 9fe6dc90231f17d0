from __future__ import annotations

import pytest

from finetune_api.errors import UserError
from finetune_trainer.sources.location import matcher, parse, split_pattern


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://host:8443/a/b.jsonl?X-Signature=secret#part", "https://host:8443/a/b.jsonl"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a%20b", "s3://bucket/a%20b"),
        ("file:///x", "file:///x"),
    ],
)
def test_a_uri_is_shown_without_its_query(uri: str, shown: str) -> None:
    location = parse(uri, field="spec.model.uri")

    assert location.shown == shown
    assert "secret" not in repr(location)
    assert "secret" not in str(location.problem("is wrong"))


@pytest.mark.parametrize("uri", ["plain/path", "s3:bucket/key", "://x"])
def test_what_is_no_uri_is_refused_with_its_field(uri: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(uri, field="spec.output.uri")

    assert str(caught.value) == "spec.output.uri: This is no URI of the form scheme://place/path."


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*.jsonl", ["a.jsonl", ".jsonl"], ["a/b.jsonl", "a.json", "a.jsonl.gz", "aXjsonl"]),
        ("**/*.csv", ["a.csv", "a/b.csv", "a/b/c.csv"], ["a.csvx"]),
        ("2026-[01]*/x", ["2026-0/x", "2026-11/x"], ["2026-2/x", "2026-1/y/x"]),
        ("a[!b]c", ["axc"], ["abc", "a/c"]),
        ("a[b", ["a[b"], ["ab"]),
        ("data/**", ["data/a", "data/a/b"], ["data", "other/a"]),
    ],
)
def test_a_pattern_means_the_same_everywhere(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = matcher(pattern)

    assert [name for name in matching + others if matches(name)] == matching


def test_a_pattern_is_split_where_its_wildcards_begin() -> None:
    assert split_pattern("a/b/*.jsonl") == ("a/b", "*.jsonl")
    assert split_pattern("*/b") == ("", "*/b")
    assert split_pattern("a/b[1]/c/d") == ("a", "b[1]/c/d")
