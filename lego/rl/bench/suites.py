"""The suites by name."""

from __future__ import annotations

from lego.core.errors import RecordError
from lego.rl.bench.compbench import CompBench
from lego.rl.bench.gedit import GEdit
from lego.rl.bench.imgedit import ImgEdit
from lego.rl.bench.kris import Kris
from lego.rl.bench.rise import Rise
from lego.rl.bench.suite import Suite

SUITES: dict[str, Suite] = {suite.name: suite for suite in (GEdit(), ImgEdit(), Kris(), Rise(), CompBench())}


def find(name: str) -> Suite:
    """Return the suite of a name: gedit, imgedit, kris, rise or compbench.

    Raises:
        RecordError: there is none.
    """
    if name not in SUITES:
        hint = f"there are {', '.join(SUITES)}"
        raise RecordError(f"there is no suite '{name}'", hint=hint, code="unknown_suite")
    return SUITES[name]
