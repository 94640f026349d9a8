"""Whatever OpenAPI allows, and much that it does not: no request makes the server fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from lego import Editor
from lego.server.app import create
from lego.server.options import Options
from tests.server.running import running

CHECKS = (not_a_server_error, content_type_conformance, response_schema_conformance)
DOORS = 14
TRIES = 30  # requests a door


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    with running(tmp_path_factory.mktemp("schema")) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        yield [cast(Any, found).ok() for found in schema.get_all_operations()]


def test_no_request_makes_the_server_fail(operations: list[Any]) -> None:
    assert len(operations) == DOORS + 2  # two paths have two methods
    for operation in operations:

        @settings(max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, timeout=30)

        ask()


def test_every_door_is_described_with_what_it_answers(tmp_path: Path) -> None:
    app = create(Options(tmp_path), {"rules": Editor("rules")})
    doors = app.openapi()["paths"]
    assert len(doors) == DOORS
    for path, methods in doors.items():
        for method, door in methods.items():
            assert door["summary"], path
            assert any(status.startswith("2") for status in door["responses"]), (path, method)
            if path not in ("/healthz", "/metrics"):
                assert "401" in door["responses"], path
    app.state.house.store.close()
