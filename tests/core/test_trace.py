"""The list of events."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lego.core.trace import Event, Noted, RunDone, StepDone, StepProgress, Trace
from lego.core.values import Image


def test_listeners_hear_every_event_in_order_and_the_dump_is_json() -> None:
    heard: list[Event] = []
    trace = Trace(heard.append)
    trace.add(Noted("turned upright"))
    trace.add(StepProgress("s1", 0.5))
    made: dict[str, Any] = {"image": Image(np.zeros((2, 2, 3), np.uint8)), "text": "a cat"}
    trace.add(StepDone("s1", "blur", "embedded", "best", False, 0.1, 3, made, ["soft"]))
    trace.add(RunDone("done", 0.2))
    assert heard == trace.events
    data = json.loads(trace.json())
    assert [item["event"] for item in data] == ["noted", "step_done", "run_done"]  # progress is for the moment only
    assert data[1]["outputs"] == {"image": made["image"].digest, "text": "'a cat'"}
    assert "values" not in data[1]
    assert trace.notes == ["turned upright", "s1: soft"]
    assert [event.step for event in trace.of(StepDone)] == ["s1"]


def test_a_listener_that_fails_is_heard() -> None:
    def listener(event: Event) -> None:
        raise RuntimeError("broken listener")

    with pytest.raises(RuntimeError, match="broken listener"):
        Trace(listener).add(Noted("x"))
