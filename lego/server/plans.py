"""Doors that make no picture: plans, the check of a workflow, tools, builders, health, metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from lego import __version__
from lego.core.errors import WorkflowError
from lego.core.workflow import Workflow
from lego.server import documents, waiting
from lego.server.documents import Checked, Health, ModelList, ModelShown, PlanShown
from lego.server.errors import problem_of
from lego.server.house import house_of
from lego.server.metrics import TYPE

router = APIRouter()


class Doubt(BaseModel):
    """A workflow that is to be checked."""

    workflow: Annotated[dict[str, Any], Field(examples=[documents.WORKFLOW])]
    given: Annotated[dict[str, str], Field(description="kinds of what is given, by name")] = {"image": "image"}


@router.post("/v1/plans", tags=["plans"], summary="Plan an edit without running it",
             openapi_extra=documents.FORM_OF_PLAN, responses=documents.ERRORS)  # fmt: skip
async def plan(request: Request) -> PlanShown:
    """Return the workflow for an instruction."""
    house = house_of(request)
    _, job = await house.admit(request, "plan")
    done = await waiting.until_over(house.work, job, request)
    made = dict(done.made or {})
    return PlanShown(job_id=done.id, **made)


@router.post("/v1/workflows/validate", tags=["plans"], summary="Check a workflow", responses=documents.ERRORS)
async def validate(request: Request, doubt: Doubt) -> Checked:
    """Return every problem of a workflow; nothing is run."""
    try:
        problems = Workflow.load(doubt.workflow).check(house_of(request).registry, doubt.given)
    except WorkflowError as error:
        problems = error.details.get("problems", [])
    return Checked(valid=not problems, problems=[problem_of(problem) for problem in problems])


@router.get("/v1/tools", tags=["tools"], summary="List the tools", responses=documents.ERRORS)
async def tools(request: Request) -> dict[str, Any]:
    """Return the cards of the tools that can run here, with the JSON schema of their arguments."""
    house = house_of(request)
    pool = next(iter(house.work.editors.values())).pool
    found = await run_in_threadpool(lambda: [tool.card for tool in house.registry.running(pool)])
    return {"object": "list", "data": found}


@router.get("/v1/models", tags=["tools"], summary="List the builders", responses=documents.ERRORS)
async def models(request: Request) -> ModelList:
    """Return the builders that may be asked for as `model`; the first is the default."""
    return ModelList(data=[ModelShown(id=name) for name in house_of(request).options.builders])


@router.get("/healthz", tags=["server"], summary="Is it alive?")
async def health(request: Request) -> Health:
    """Return the version, and how many jobs wait and run; takes no key."""
    house = house_of(request)
    waits = await run_in_threadpool(house.store.waiting)
    return Health(version=__version__, waiting=waits, running=house.work.running)


@router.get("/metrics", tags=["server"], summary="Counters for Prometheus", response_model=None,
            responses={200: {"content": {"text/plain": {}}}})  # fmt: skip
async def metrics(request: Request) -> Response:
    """Return what was counted, in Prometheus' text format."""
    return Response(await run_in_threadpool(house_of(request).metrics.text), media_type=TYPE)
