"""Live deployment, candidate and traffic split, without calling Azure."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.deploy.azure import online_state
from orchestrator.deploy.azure.online_state import CANDIDATE, NUMBER, TESTED, EndpointState, OnlineDeployment, Route
from orchestrator.deploy.azure.traffic import ALL, Share, share_of

BLUE, GREEN = (OnlineDeployment(name, "Succeeded", {NUMBER: f"number of {name}"}) for name in ("blue", "green"))


def seen(
    traffic: Mapping[str, int], candidate: str = "", *tested: str, mirror: Mapping[str, int] | None = None
) -> EndpointState:
    tags = {
        **({CANDIDATE: f"number of {candidate}"} if candidate else {}),
        **({TESTED: ",".join(f"number of {name}" for name in tested)} if tested else {}),
    }
    return EndpointState("https://x/score", "Key", tags, traffic, {"blue": BLUE, "green": GREEN}, mirror or {})


@pytest.mark.parametrize(
    ("traffic", "mirror", "share"),
    [(None, 0, ALL), (100, 0, ALL), (20, 0, Share(20, 0)), (0, 0, Share(0, 0)), (None, 5, Share(0, 5))],
)
def test_the_share_of_two_keys(traffic: int | None, mirror: int, share: Share) -> None:
    assert share_of(traffic, mirror) == share


@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_the_candidate_takes_over_from_the_live_one_whatever_its_share(share: int) -> None:
    both = seen({"blue": 100 - share, "green": share}, "green", "blue", "green")
    assert (both.live, both.candidate) == (BLUE, GREEN)
    assert both.base_of(GREEN) == BLUE
    assert both.base_of(BLUE) is None
    assert (both.share_of(BLUE), both.share_of(GREEN)) == (Share(100 - share, 0), Share(share, 0))
    assert not both.abandoned
    assert online_state.next_colour(both) == "green"


def test_with_all_requests_or_without_its_deployment_there_is_no_candidate() -> None:
    assert seen({"green": 100}, "green").candidate is None
    assert seen({"green": 100}, "green").live == GREEN
    assert seen({"blue": 100}, "red").candidate is None


def test_an_untested_live_deployment_may_go_back_to_the_one_beside_it() -> None:
    untested = seen({"green": 100}, "", "blue")
    assert untested.abandoned
    assert untested.base_of(GREEN) == BLUE
    assert seen({"green": 100}, "", "green").base_of(GREEN) is None


def test_requests_are_shared_and_the_tags_say_so() -> None:
    number = {CANDIDATE: "number of green"}
    assert online_state.route(GREEN, BLUE, Share(20, 0)) == Route({"blue": 80, "green": 20}, {}, number)
    assert online_state.route(GREEN, BLUE, Share(0, 0)) == Route({"blue": 100}, {}, number)
    assert online_state.route(GREEN, BLUE, Share(0, 30)) == Route({"blue": 100}, {"green": 30}, number)
    assert online_state.route(GREEN, BLUE, ALL) == Route({"green": 100}, {}, {CANDIDATE: ""})
    assert online_state.route(GREEN, None, Share(20, 0)) == Route({"green": 100}, {}, {CANDIDATE: ""})


def test_a_candidate_that_passed_its_test_is_tested_beside_the_live_one() -> None:
    shared = seen({"blue": 80, "green": 20}, "green", "blue")
    assert shared.passed(GREEN) == "number of blue,number of green"
    assert seen({"green": 100}, "", "blue").passed(GREEN) == "number of green"


def test_the_status_shows_both_with_their_shares() -> None:
    shown = online_state.describe(seen({"blue": 100}, "green", "blue", mirror={"green": 30}))
    assert shown["live"] == "blue, Succeeded, 100 % of the requests"
    assert shown["candidate"] == "green, Succeeded, 0 % of the requests, a copy of 30 %"
    assert (shown["tested"], shown["candidate tested"]) == ("yes", "no")
    assert online_state.describe(seen({"blue": 100}))["waiting"] == "green, Succeeded"
