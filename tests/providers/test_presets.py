"""Presets of all providers: what they never hold, and that each entry holds something."""

from __future__ import annotations

import pytest

from gateway.core.operations import Asked, Calls, operations
from gateway.providers import known, load
from tests.providers.forbidden import FORBIDDEN, forbidden

WITH_PRESETS = [name for name in known() if load(name).presets]


def asked(name: str, operation: str) -> Asked:
    """Return what a request for `operation` asks of the provider `name`."""
    method, _, path = operation.partition(" ")
    path = path or {"telegram": f"/bot1:T/{method}", "slack": f"/api/{method}"}[name]
    return Calls(load(name)).asked(method.encode(), path.replace("ID", "x1").encode())


def test_all_providers_with_presets_have_a_list_of_what_is_forbidden() -> None:
    assert set(WITH_PRESETS) == set(FORBIDDEN) == set(known()) - {"generic"}


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_no_preset_holds_what_administers_bills_makes_keys_or_trains(name: str) -> None:
    provider = load(name)
    for preset, texts in provider.presets.items():
        for one in operations(texts):
            for operation in forbidden(name):
                held = asked(name, operation)
                assert held.method is not None, operation
                assert not one.fits(held), f"{preset} holds {operation} by {one.text}"


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_what_is_forbidden_is_known_to_no_free_list_either(name: str) -> None:
    for subject in load(name).subjects:
        for one in operations(subject.free):
            assert not any(one.fits(asked(name, operation)) for operation in forbidden(name))


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_every_entry_is_an_operation_of_the_provider_and_stands_once(name: str) -> None:
    provider = load(name)
    for preset, texts in provider.presets.items():
        assert len(set(texts)) == len(texts), preset
        for text in texts:
            (one,) = operations([text])
            assert one.fits(asked(name, text.replace("v1*", "v1beta").replace("*", "10"))), text


@pytest.mark.parametrize("name", WITH_PRESETS)
def test_no_preset_leads_past_the_gateway(name: str) -> None:
    provider = load(name)
    for one in operations(provider.uncarried):
        for texts in provider.presets.values():
            assert not any(one.meets(other) for other in operations(texts)), one.text
