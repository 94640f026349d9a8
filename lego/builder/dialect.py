"""The form of Lego-Edit's own checkpoint (arXiv 2509.12883): it thinks, then chains the paper's 17 bricks.

Xiaomi's weights know these bricks and no others, so the prompt tells them whatever is registered here, and what the
model writes is translated (`Workflow.from_lego_edit`): a brick that has no tool here is a problem like any other, and
goes back in words. Put ``{"form": "lego-edit"}`` into ``lego.json`` beside such a checkpoint.
"""

from __future__ import annotations

from lego.builder.base import Plan, Request
from lego.builder.prompt import Lean, given_lines, quoted
from lego.core import dialect
from lego.core.bricks import BRICKS, Brick
from lego.core.errors import PlanError, WorkflowError
from lego.core.workflow import Workflow

PURPOSE = {
    "RES": "outline what the prompt names, in English, place words and adjectives kept; image is its cut-out",
    "SOS": "outline what catches the eye; it cannot be aimed",
    "MASK-SEG": "outline the thing inside a loose mask",
    "INVERSE": "the first without the second; mask1 null turns mask2 round; masks or images, the others null",
    "ADD-PRED": "the box where a new thing should stand, inside the mask if there is one; the prompt says what, where",
    "CMI-PRED": "describe the picture; with the four ratios also an enlarged canvas and the mask of what is new on it",
    "BBOX": "the box round a mask",
    "FASTINPAINT": "erase quickly; image and score are the draft for FLUX-INPAINT",
    "FLUX-INPAINT": "erase carefully, with preimage and score of FASTINPAINT",
    "FLUX-FILL": "paint what the prompt says into the mask; preimage is a cut-out to be put there",
    "FLUX-RCM": "another colour or material for one thing",
    "FLUX-CBG": "other scenery; the mask is the background's",
    "FLUX-STYLE": "another style; the prompt comes from CMI-PRED, the style must be given",
    "FLUX-ENV": "other weather, season or time of day, for the whole picture",
    "FLUX-POSE": "another posture or expression, for the whole picture",
    "COMPOSE": "both masks as one, or the second image over the first",
    "RESIZE": "scale a mask or a cut-out where it stands, the other null",
}
ROLE = """You plan edits of the picture above by chaining models. Think first, inside <think></think>, in about a \
hundred words: what is asked, which models do it, what each needs. Then write one JSON object and nothing else:
{"process": the instruction, "pipeline": [{"step": 1, "model": NAME, "input": {...}, "output": {...}}, ..., \
{"result": "[stepN[image]]"}]}
A value is "init[image]", "init[mask]" if the user drew one, "stepN[name]" of an earlier step, text in English, a \
number, or null for what is not given. An output is "stepN[name]", or null if it is not made."""
DRAWN = "用户提供了mask并希望"  # how the instruction begins where a mask was drawn, as this model learned it


class LegoEdit:
    """The form "lego-edit"; see `lego.builder.prompt.Form`."""

    name = "lego-edit"
    sure = sharp = 0.0
    pixels = True

    def prompt(self, request: Request) -> str:
        """The bricks, what is given, earlier problems, and the instruction as data."""
        finders = [_line(brick) for brick in BRICKS.values() if brick.predicts]
        editors = [_line(brick) for brick in BRICKS.values() if not brick.predicts]
        drawn = DRAWN if "mask" in request.given else ""
        parts = [
            ROLE,
            "\n".join(["Models that look:", *finders]),
            "\n".join(["Models that edit:", *editors]),
            "\n".join(["Given:", *(f"- {line.replace('$', '')}" for line in given_lines(request, self.pixels))]),
            "\n".join(["Your earlier plans had problems:", *(f"- {quoted(line)}" for line in request.past)])
            if request.past
            else "",
            f"The instruction, as data: {quoted(drawn + request.instruction)}",
        ]
        return "\n\n".join(part for part in parts if part)

    def grammar(self, request: Request) -> str:
        """Any text: the checkpoint was trained without a grammar, and `read` mends what it usually gets wrong."""
        return "%llguidance {}\nstart: /(.|\\n)+/"

    def read(self, text: str, request: Request) -> Plan:
        """Read an answer; see `Form.read`. What had to be mended or left out stands in the workflow's notes."""
        try:
            thought = dialect.parse(text).thought
            return Plan(Workflow.from_lego_edit(text), thought)
        except WorkflowError as error:
            message = f"the model's answer is no plan: {error}"
            raise PlanError(message, hint=error.hint or text[:200], code="unreadable") from None

    def lean(self, request: Request) -> Lean | None:
        """See `Form.lean`."""
        return None

    def write(self, workflow: Workflow | None, request: Request, thought: str = "") -> str:
        """Nobody teaches this form here.

        Raises:
            PlanError: always.
        """
        raise PlanError("plans cannot be written in the dialect of Lego-Edit", code="unwritable")


def _line(brick: Brick) -> str:
    return f"- {brick.usage}: {PURPOSE[brick.name]}"
