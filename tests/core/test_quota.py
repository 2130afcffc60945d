"""What a bot is told of its limits."""

from __future__ import annotations

import pytest

from gateway.core.limits import SECOND
from gateway.core.model import Limit
from gateway.core.quota import policy, quota, sentence

MINUTE = Limit("requests", 60, "limits[0]", 60)
EVENLY = Limit("requests", 1, "limits[1]", 3_600, burst=5)
AT_ONCE = Limit("concurrency", 4, "limits[2]")


@pytest.mark.parametrize(
    ("scope", "limit", "said"),
    [
        ("bot:support", MINUTE, "Bot support may make 60 requests per minute"),
        ("bot:support", EVENLY, "Bot support may make 1 request per hour, up to 5 at once"),
        ("bot:support", AT_ONCE, "Bot support may make 4 requests at once"),
        (
            "label:team-a",
            MINUTE,
            "All bots of label team-a together may make 60 requests per minute",
        ),
        ("route:openai", MINUTE, "Route openai takes 60 requests per minute"),
        ("route:openai", AT_ONCE, "Route openai takes 4 requests at once"),
        ("all", MINUTE, "All bots together may make 60 requests per minute"),
        (
            "all",
            Limit("requests", 9, "limits[3]", 90),
            "All bots together may make 9 requests per 90 seconds",
        ),
    ],
)
def test_a_limit_is_said_in_words(scope: str, limit: Limit, said: str) -> None:
    assert sentence(scope, limit) == said


def test_the_fields_are_lists_of_strings_with_parameters() -> None:
    assert policy([MINUTE, EVENLY]) == '"minute";q=60;w=60, "hour";q=1;w=3600'
    assert policy([]) == ""
    assert quota("minute", 12, 33 * SECOND + 1) == '"minute";r=12;t=34'
    assert quota("minute", 60, 0) == '"minute";r=60;t=0'
