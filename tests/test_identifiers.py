"""Random UUIDs without the module `uuid`, held against it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.identifiers import derived_id, is_random_id, random_id


def test_made_ids_are_random_uuids() -> None:
    """Version 4, variant of RFC 9562, canonical, and no two the same."""
    made = [random_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    for text in made:
        found = UUID(text)
        assert (str(found), found.version, found.variant) == (text, 4, "specified in RFC 4122")


@given(st.uuids())
def test_every_uuid_of_version_4_and_no_other_is_recognised(found: UUID) -> None:
    """In agreement with the module."""
    assert is_random_id(str(found)) is (
        found.version == 4 and found.variant == "specified in RFC 4122"
    )
    assert is_random_id(str(uuid4()))


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-fA-F-]{36}", fullmatch=True))
def test_what_is_recognised_is_canonical(text: str) -> None:
    """Whatever else is given, nothing raises."""
    if is_random_id(text):
        assert str(UUID(text)) == text


def test_derived_id_is_told_by_its_origin_alone() -> None:
    """The same again, another for another mask, and back by the same mask."""
    text = random_id()
    derived = derived_id(text, 0xFFFF)
    assert derived != text
    assert is_random_id(derived)
    assert derived_id(derived, 0xFFFF) == text


@pytest.mark.parametrize("text", ["", "r", "x" * 36, "-" * 36, "5c871acc82554e5a84e59c79b8f0db98"])
def test_what_is_no_uuid_has_none_derived(text: str) -> None:
    """It raises, for the caller to pass over."""
    with pytest.raises(ValueError, match=r"not a UUID|invalid literal"):
        derived_id(text, 1)
