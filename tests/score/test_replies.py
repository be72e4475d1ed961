from __future__ import annotations

import json

from score import replies


def test_the_articles_form_is_one_number_for_two_classes_and_all_for_more() -> None:
    assert json.loads(replies.article([1], [[0.2, 0.8]])) == {"proba": [0.8]}
    assert json.loads(replies.article([2], [[0.1, 0.2, 0.7]])) == {"proba": [[0.1, 0.2, 0.7]]}
    assert json.loads(replies.article([3.5], None)) == {"prediction": [3.5]}


def test_the_plain_form_leaves_out_what_there_is_not() -> None:
    assert replies.plain([3.5], None, None) == {"predictions": [3.5]}
    assert replies.plain(["b"], [(0.2, 0.8)], ("a", "b")) == {
        "predictions": ["b"],
        "probabilities": [[0.2, 0.8]],
        "classes": ["a", "b"],
    }
