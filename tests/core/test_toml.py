"""TOML in bounds."""

from __future__ import annotations

import time

import pytest

from kaggleprice.core.toml import parse_toml


@pytest.mark.parametrize(
    "text",
    [
        f"x = {'[' * 20_000}{']' * 20_000}",
        f"x = {'[' * 150}{']' * 150}",
        f"{'.'.join('a' * 20_000)} = 1",
        f"[{'.'.join('a' * 20_000)}]",
        " . ".join(['"a"'] * 20_000) + " = 1",
        f"x = {'{a = ' * 150}1{'}' * 150}",
    ],
)
def test_what_is_nested_too_deeply_is_refused_at_once(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse_toml(text)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("text", ["= 1", f"x = {'9' * 5000}"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_toml(text)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, int("9" * 400)])
def test_numbers_of_more_than_64_bits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        parse_toml(f"[a]\nx = [1, {number}]")
    nearest = max(min(number, 2**63 - 1), -(2**63))
    assert parse_toml(f"x = {nearest}") == {"x": nearest}


def test_what_is_deep_enough_for_anybody() -> None:
    text = f"{'.'.join('abcdefgh')} = 1\nx = {'[' * 50}{']' * 50}\ny = '{'.' * 500}'"
    assert set(parse_toml(text)) == {"a", "x", "y"}
