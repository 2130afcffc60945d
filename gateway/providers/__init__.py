"""Upstream APIs: one file each, which exports PLUGIN and is named as the configuration names it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from gateway.core.model import Provider


def known() -> tuple[str, ...]:
    """Return the names of all providers."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def load(name: str) -> Provider:
    """Return the provider called `name`; LookupError names the known ones."""
    if name not in known():
        raise LookupError(f"{name!r} is not a provider; it must be one of {', '.join(known())}")
    plugin = import_module(f"gateway.providers.{name}").PLUGIN
    if not isinstance(plugin, Provider):
        raise TypeError(f"gateway.providers.{name} must export a Provider as PLUGIN")
    return plugin
