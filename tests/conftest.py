"""What all tests share."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the full tier, unless `./dev test --all` asks for it."""
    if os.environ.get("GATEWAY_TEST_ALL") == "1":
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="full tier: ./dev test --all"))
