"""Addresses of images: what is taken without a look at every rule is what the rules take."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.writes.values import PLAIN_URL, is_full, is_url

LABEL = "a" * 63


LABELS = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\Z")
HOSTS = st.builds(
    lambda labels, last: ".".join((*labels, last)),
    st.lists(LABELS, min_size=1, max_size=4),
    st.from_regex(r"\A[a-z]{2,6}\Z"),
)
PATHS = st.text(st.characters(min_codepoint=33, max_codepoint=126))


@settings(max_examples=50, deadline=None)
@given(st.builds("http{}://{}/{}".format, st.sampled_from(["", "s"]), HOSTS, PATHS))
@example(f"https://{LABEL}.{LABEL}.{LABEL}.{'a' * 61}/")
@example("http://a-b.example/1.jpg?size=1&x=[2]#%")
def test_a_plain_address_is_a_full_one(url: str) -> None:
    assert PLAIN_URL.fullmatch(url)
    is_url(url)


@pytest.mark.parametrize("url", ["https://-a.example/", f"https://{LABEL}a.example/", "https://a/", "https://a.b/\n"])
def test_others_go_by_all_rules(url: str) -> None:
    assert not PLAIN_URL.fullmatch(url)
    assert not is_full(url)
