"""Tests of one group run on one worker: what they share takes a minute to make."""

import os

import pytest

pytestmark = pytest.mark.xdist_group("groups")


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="runs on several workers only")
def test_the_group_of_a_test_is_told_to_those_who_deal_tests_out(request):
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("tests are not dealt out by group")
    assert request.node.nodeid.endswith("@groups"), (
        "this pytest and this pytest-xdist ignore groups: see pyproject.toml"
    )
