"""Edits for agents: the Model Context Protocol over its official SDK, on stdio or over HTTP.

Pictures come as base64, or as paths in folders that whoever starts it has opened; they go back as image content, and
into a file of such a folder if one is named.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import anyio
import anyio.from_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver import Image as Content
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field

from lego import __version__
from lego.core import codec
from lego.core.errors import LegoError
from lego.core.trace import Event, StepDone, StepStarted
from lego.core.values import Image
from lego.editor import Cancel, Editor, EditResult
from lego.server.asked import ROUNDS
from lego.server.guard import Guard
from lego.server.keys import Keys
from lego.server.options import Options

LONG_SIDE = 1568  # px of what is shown to a model: larger pictures are shrunk by whoever reads them anyway
QUALITY = 90
INSTRUCTIONS = (
    "lego edits pictures by plain words (English or Chinese): it plans calls of its tools and runs them. Say all that "
    "is wanted in one instruction. `plan_edit` shows a plan without running it, `run_workflow` runs one, also changed."
)
Picture: TypeAlias = Annotated[str, Field(description="the picture: a path in an open folder, a data: URI, or base64")]
Words: TypeAlias = Annotated[str, Field(description="what to do, in plain words", max_length=4000)]
Where: TypeAlias = Annotated[str, Field(description="where to edit: a mask as large as the picture, white = edit")]
Rounds: TypeAlias = Annotated[
    int, Field(ge=0, le=ROUNDS, description="how often a critic may send the result round again; 2 are worth the time")
]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32, description="the same seed gives the same bytes")]
Output: TypeAlias = Annotated[str, Field(description="a path in an open folder, for the picture in full size")]


def create(editor: Editor, folders: Sequence[Path] = ()) -> MCPServer:
    """Return the server, ready to run on stdio or to be mounted.

    Args:
        editor: who edits.
        folders: from which pictures are read, and into which they are written; none for neither.
    """
    server = MCPServer("lego", version=__version__, instructions=INSTRUCTIONS, log_level="ERROR")
    desk = _Desk(editor, folders)
    for tool in (desk.edit_image, desk.plan_edit, desk.run_workflow, desk.list_tools):
        server.tool(structured_output=False)(tool)
    return server


def guarded(server: MCPServer, options: Options) -> Guard:
    """Return the server as an app for HTTP, at ``/mcp``, behind the guard of all our doors.

    Raises:
        SettingsError: the keys cannot be read.
    """
    keys = Keys.load(options.keys) if options.keys else None
    open_ = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the guard does that
    app = server.streamable_http_app(max_request_body_size=options.max_body_mb << 20, transport_security=open_)
    return Guard(app, options, keys)


class _Desk:
    def __init__(self, editor: Editor, folders: Sequence[Path]) -> None:
        self.editor = editor
        self.folders = [folder.resolve() for folder in folders]

    async def edit_image(
        self, image: Picture, instruction: Words, context: Context, mask: Where = "", seed: Seed = 0,
        rounds: Rounds = 0, output: Output = "",
    ) -> list[Content | str]:  # fmt: skip
        """Edit a picture as the words say, and return it with the workflow that was run."""
        path = self._output(output)
        given = self._given(image, mask)
        return await self._done(
            context, path, partial(Editor.edit, instruction=instruction, seed=seed, rounds=rounds, **given)
        )

    async def run_workflow(
        self,
        image: Picture,
        workflow: Annotated[dict[str, Any], Field(description="as `plan_edit` gives it, or changed")],
        context: Context,
        mask: Where = "",
        seed: Seed = 0,
        output: Output = "",
    ) -> list[Content | str]:
        """Run a workflow on a picture, and return the picture."""
        path = self._output(output)
        given = self._given(image, mask)
        return await self._done(context, path, partial(Editor.run, workflow=workflow, seed=seed, **given))

    async def plan_edit(self, image: Picture, instruction: Words, mask: Where = "") -> str:
        """Return the workflow for an instruction, as JSON, without running it."""
        given = self._given(image, mask)
        plan = await _told(partial(self.editor.plan, instruction=instruction, **given))
        return json.dumps({"workflow": plan.workflow.dump(), "thought": plan.thought}, ensure_ascii=False)

    async def list_tools(self) -> str:
        """Return the cards of the tools that can run here: name, what it does, JSON schema of its arguments."""
        cards = await _told(lambda: [tool.card for tool in self.editor.registry.running(self.editor.pool)])
        shown = ("name", "description", "parameters", "outputs")
        return json.dumps([{key: card[key] for key in shown} for card in cards], ensure_ascii=False)

    async def _done(self, context: Context, path: Path | None, work: Any) -> list[Content | str]:
        """Run an edit in a thread, tell how far it is, and stop it when the client does."""
        cancel, steps = Cancel(), 0

        def hear(event: Event) -> None:
            nonlocal steps
            if isinstance(event, StepStarted | StepDone):
                steps += isinstance(event, StepDone)
                said = f"{event.step}: {event.tool}" + (" done" if isinstance(event, StepDone) else "")
                anyio.from_thread.run(context.report_progress, steps, None, said)

        try:
            result = await _told(partial(work, self.editor.twin(on_event=hear), cancel=cancel))
        except anyio.get_cancelled_exc_class():
            cancel.cancel()
            raise
        reply: list[Content | str] = await _told(partial(_reply, result, path))
        return reply

    def _given(self, image: str, mask: str) -> dict[str, Any]:
        return {"image": self._bytes(image), "mask": self._bytes(mask) if mask else None}

    def _bytes(self, text: str) -> bytes:
        """A picture as it was sent, or the file that it names."""
        if text.startswith("data:"):
            text = text.partition(",")[2]
        elif self.folders and len(text) < 4096 and (path := self._inside(text)) is not None and path.is_file():
            return path.read_bytes()
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ToolError(f"this is neither base64 nor a file that may be read; {self._open}") from None

    def _output(self, text: str) -> Path | None:
        if not text:
            return None
        path = self._inside(text)
        if path is None or not path.parent.is_dir():
            raise ToolError(f"the output '{text}' may not be written; {self._open}")
        _wrapped(partial(codec.check_suffix, path))
        return path

    def _inside(self, text: str) -> Path | None:
        """The path that a text names, if it leads into an open folder; links are followed first."""
        try:
            found = [(folder / text).resolve() for folder in self.folders]
        except (OSError, ValueError):
            return None
        return next((path for path in found if any(path.is_relative_to(folder) for folder in self.folders)), None)

    @property
    def _open(self) -> str:
        names = ", ".join(str(folder) for folder in self.folders)
        return f"open folders: {names}" if names else "no folder is open (start with --folder)"


def _reply(result: EditResult, path: Path | None) -> list[Content | str]:
    facts: dict[str, Any] = {"workflow": result.workflow.dump(), "notes": result.notes, "texts": result.texts}
    if result.verdict:
        facts["verdict"] = result.verdict.dump()
    shown: list[Content | str] = []
    if result.pictured:
        picture = result.image
        facts["size"] = list(picture.size)
        if path is not None:
            result.write(path, False)
            facts["written"] = str(path)
        shown.append(_content(picture))
    return [*shown, json.dumps(facts, ensure_ascii=False)]


def _content(picture: Image) -> Content:
    """A picture as a model is shown it: PNG if it is small, else shrunk and JPEG."""
    drawn, file = picture.pil(), io.BytesIO()
    if max(drawn.size) <= LONG_SIDE:
        drawn.save(file, "PNG")
        return Content(data=file.getvalue(), format="png")
    drawn.thumbnail((LONG_SIDE, LONG_SIDE))
    drawn.convert("RGB").save(file, "JPEG", quality=QUALITY)
    return Content(data=file.getvalue(), format="jpeg")


async def _told(work: Any) -> Any:
    """Do something in a thread; what the user can mend becomes the tool's error, with the hint."""
    return await anyio.to_thread.run_sync(partial(_wrapped, work), abandon_on_cancel=True)


def _wrapped(work: Any) -> Any:
    try:
        return work()
    except LegoError as error:
        raise ToolError(f"{error}{f' ({error.hint})' if error.hint else ''}") from None
