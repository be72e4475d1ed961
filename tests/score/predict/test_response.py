from __future__ import annotations

import json

from score.payload.reader import Flags
from score.predict import response


def test_the_articles_form_is_one_number_for_two_classes_and_all_for_more() -> None:
    assert json.loads(response.article([1], [[0.2, 0.8]])) == {"proba": [0.8]}
    assert json.loads(response.article([2], [[0.1, 0.2, 0.7]])) == {"proba": [[0.1, 0.2, 0.7]]}
    assert json.loads(response.article([3.5], None)) == {"prediction": [3.5]}


def test_the_plain_form_leaves_out_what_there_is_not() -> None:
    assert response.plain([3.5], None, None) == {"predictions": [3.5]}
    assert response.plain(["b"], [(0.2, 0.8)], ("a", "b")) == {
        "predictions": ["b"],
        "probabilities": [[0.2, 0.8]],
        "classes": ["a", "b"],
    }


def test_the_articles_text_is_json_with_the_articles_space() -> None:
    assert response.article([1], [[0.25, 0.75]]) == '{"proba": [0.75]}'


def test_the_header_of_odd_names_is_ascii_and_bounded() -> None:
    assert response.flag_headers(Flags({}, {})) == {}
    odd = ["Blood Pressure", "a,b", "größe", "\r\nSet-Cookie: x", "\ud800"]
    assert response.flag_headers(Flags(dict.fromkeys(odd, 1), {})) == {
        "X-Out-Of-Range": "Blood%20Pressure, a%2Cb, gr%C3%B6%C3%9Fe, %0D%0ASet-Cookie%3A%20x, %3F"
    }
    many = response.flag_headers(Flags({}, {f"column {i}": 1 for i in range(1000)}))["X-Unseen-Values"]
    assert len(many) < 1010
    assert many.startswith("column%200, ")
    assert many.endswith(", ...")
