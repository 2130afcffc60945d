"""Places of a request where a token is found and a secret is put: one file per kind."""

from gateway.core.places.base import Outgoing, Place
from gateway.core.places.basic import Basic
from gateway.core.places.form import FormField
from gateway.core.places.header import Header
from gateway.core.places.json import JsonField
from gateway.core.places.path import Path
from gateway.core.places.query import Query

__all__ = ["Basic", "FormField", "Header", "JsonField", "Outgoing", "Path", "Place", "Query"]
