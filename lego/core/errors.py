"""The tree of errors.

    LegoError                 everything that a user can mend
    ├── ImageError            a picture or a mask cannot be read, or does not fit
    ├── SettingsError         a setting has a wrong value
    ├── ToolDefinitionError   a function cannot become a tool; lists every fault
    ├── PlanError             no workflow could be made from the instruction
    ├── WorkflowError         a workflow is not valid; lists every problem
    ├── RecordError           a row of a data set cannot be read or written
    ├── RecipeError           a recipe of the training has a wrong value or an unknown key
    ├── TrainingError         training cannot go on: a reward is no number, a judge does not answer
    └── StepError             a step failed while it ran
        ├── RefusedError      a tool declined rather than edit the wrong thing
        ├── StepTimeoutError  a step or the run took longer than allowed
        └── CancelledError    somebody stopped the run

Every error says what went wrong (``message``), where (``where``), what to do next (``hint``), and has a
stable ``code`` for programs. Errors survive pickling, so they can cross process borders.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class LegoError(Exception):
    """Base of all errors that a user can mend.

    Args:
        message: what went wrong, one sentence.
        where: the file, step or parameter concerned.
        hint: what to do next.
        code: stable name for programs; the class has a default.
        details: further facts for programs (they must pickle), e.g. the rejected mask of a refusal.
    """

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, where: str = "", hint: str = "", code: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.code = code or self.default_code
        self.details = details

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"where": self.where, "hint": self.hint, "code": self.code, **self.details}
        return _rebuild, (type(self), self.message, state)


def _rebuild(kind: type[LegoError], message: str, state: dict[str, Any]) -> LegoError:
    return kind(message, **state)


class ImageError(LegoError):
    """A picture or mask cannot be read, is too large, or does not fit the others."""

    default_code = "image_error"


class SettingsError(LegoError):
    """A setting has a wrong value."""

    default_code = "settings_error"


class ToolDefinitionError(LegoError):
    """A function cannot become a tool; the message lists every fault with its line."""

    default_code = "tool_definition"


class PlanError(LegoError):
    """No workflow could be made from the instruction."""

    default_code = "plan_error"


class WorkflowError(LegoError):
    """A workflow is not valid; ``details["problems"]`` holds every `Problem`."""

    default_code = "workflow_error"


class RecordError(LegoError):
    """A row of a data set cannot be read or written; ``where`` is the file and its line."""

    default_code = "bad_record"


class RecipeError(LegoError):
    """A recipe of the training cannot be read, or has a wrong value or an unknown key; ``where`` is its file."""

    default_code = "bad_recipe"


class TrainingError(LegoError):
    """Training cannot go on: a reward is no number, a judge does not answer; ``where`` is the reward and the sample."""

    default_code = "bad_reward"


class StepError(LegoError):
    """A step failed while it ran; ``where`` is the step's id and tool."""

    default_code = "step_failed"


class RefusedError(StepError):
    """A tool declined rather than edit the wrong thing; ``details`` may carry what it found."""

    default_code = "refused"


class StepTimeoutError(StepError):
    """A step or the whole run took longer than allowed."""

    default_code = "timeout"


class CancelledError(StepError):
    """The run was stopped."""

    default_code = "cancelled"


def writing_code(error: OSError) -> str:
    """Return the code for a file that cannot be written: "disk_full" where there is no room, else "cannot_write"."""
    return "disk_full" if error.errno in NO_ROOM else "cannot_write"
