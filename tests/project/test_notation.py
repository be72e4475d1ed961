from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.project.notation import candidate_encodings, detect_notation, find_unit


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a,b,y\n1,x,0\n2,y,1\n", {}),
        ("a;b;y\n1;x, or so;0\n2;y, or not;1\n", {"separator": ";"}),
        ("a|b|y\n1|x|0\n", {"separator": "|"}),
        ("a b  y\n1 2  0\n3 4  1\n", {"separator": r"\s+"}),
        ("a text  y\nno other sign here\n", {}),
        ("a;y\n1,5;0\n-2,25;1\n", {"separator": ";", "decimal": ","}),
        ("a;y\n1.234,5;0\n2.000,25;1\n", {"separator": ";", "decimal": ",", "thousands": "."}),
        ("a;y\n1 234,5;0\n2 000,25;1\n", {"separator": ";", "decimal": ",", "thousands": " "}),
        ('a,y\n"1,234",0\n"22,000.5",1\n', {"thousands": ","}),
        ("a;y\n1'234.5;0\n2'000;1\n", {"separator": ";", "thousands": "'"}),
        ("a;b;y\n1,5;2.5;0\n1,25;2.25;1\n", {"separator": ";"}),  # as many columns of either kind
        ("a,y\n1e-5,0\n2.5E3,1\n", {}),
        ("a,b,y\n1,?,0\n?,x,1\n2.5,?,1\n", {"missing_values": ["?"]}),
        ("a,y\n1,-\n2,x\n", {}),  # a column of text has its own words
        ("a,y\n2024-01-31,0\n01.02.2024,1\n", {}),
    ],
)
def test_the_notation_is_concluded_from_the_first_rows(text: str, keys: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    notation = detect_notation(file, "y", "utf-8")
    assert notation.keys == keys
    assert set(notation.reasons) == set(keys)


def test_an_ambiguous_sign_is_mentioned(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("a;y\n1,234;0\n2,500;1\n")
    notation = detect_notation(file, "y", "utf-8")
    assert notation.keys["decimal"] == ","
    assert notation.doubts == (
        "numbers such as '1,234' are read with the sign for decimals; look whether that is right",
    )


@pytest.mark.parametrize(
    ("content", "encodings", "example"),
    [
        (b"a,y\n1,2\n", ["utf-8"], ""),
        ("Stra\u00dfe,Gr\u00f6\u00dfe m\n".encode("latin-1"), ["utf-8", "latin-1"], "Stra\u00dfe"),
        ("name,5 \u20ac\n".encode("cp1252"), ["utf-8", "cp1252"], "\u20ac"),
        ("a,y\n".encode("utf-16"), ["utf-16"], ""),
        ("a,y\n".encode("utf-32"), ["utf-32"], ""),
    ],
)
def test_encodings_are_tried_in_the_order_of_their_likelihood(
    content: bytes, encodings: list[str], example: str, tmp_path: Path
) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(content)
    candidates = candidate_encodings(file)
    found = [next(candidates) for _ in encodings]
    assert [encoding for encoding, _ in found] == encodings
    assert example in found[-1][1]


@pytest.mark.parametrize(
    ("cells", "example"),
    [
        (["2.4%", "10%", "7.0%", "8%", "9.5%"], "10%"),
        (["$1,004.50", "$7", "$8", "$9.5", "$-3"], "$-3"),
        (["71.7 kg", "60 kg", "5 kg", "61 kg", "62 kg"], "5 kg"),
        (["1 kg", "2 g", "3 kg", "4 kg", "5 kg"], ""),
        (["1", "2", "3", "4", "5"], ""),
        (["10%", "20%"], ""),  # too few to say
        (["a1", "b2", "c3", "d4", "e5"], ""),
    ],
)
def test_numbers_with_one_unit_are_recognised(cells: list[str], example: str) -> None:
    assert find_unit(cells) == example


def test_a_column_of_numbers_with_a_unit_is_mentioned_and_the_target_is_not(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("share,y\n" + "".join(f"{row}.5%,{row} km\n" for row in range(9)))
    (doubt,) = detect_notation(file, "y", "utf-8").doubts
    assert doubt.startswith(
        "column 'share' holds numbers with a unit, such as '0.5%', and is text: write them without it"
    )
