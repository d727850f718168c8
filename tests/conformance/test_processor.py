"""The sandbox acquirer holds what every processor must; one that breaks a rule is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.adapters.processors.test_tables import CountingClock, request

from farebox.adapters.processors.sandbox import SandboxProcessor
from farebox.domain.operations import Outcome
from farebox.ports.processors import ProcessorRequest
from farebox.testing import exercise_processor as exercise


@pytest.mark.parametrize("check", exercise.CHECKS)
@pytest.mark.parametrize("where", ["file", "memory"])
async def test_the_sandbox_is_a_processor(tmp_path: Path, check: exercise.Check, where: str) -> None:
    """Section 9 of the architecture: the exercise defines done."""
    path = tmp_path / "books.sqlite3" if where == "file" else None
    processor = SandboxProcessor(path, clock=CountingClock())
    await check(processor, lambda: request("native"))
    await processor.close()


class Forgetful(SandboxProcessor):
    """Breaks every rule: acknowledges reversals without making them, and authorizes each repetition anew."""

    async def reverse(self, request: ProcessorRequest) -> bool:
        return True

    async def submit(self, request: ProcessorRequest) -> Outcome:
        self._count = getattr(self, "_count", 0) + 1
        anew: Any = {"reference": f"{request.reference}-{self._count}"}
        return await super().submit(ProcessorRequest(**{**_fields(request), **anew}))


def _fields(request: ProcessorRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ProcessorRequest.__slots__}


@pytest.mark.parametrize(
    "check",
    [
        exercise.knows_what_it_answered,
        exercise.answers_a_repetition_as_the_first_time,
        exercise.declines_an_original_that_comes_after_its_reversal,
    ],
)
async def test_a_processor_that_breaks_a_rule_is_found(check: exercise.Check) -> None:
    """The control: what claims a capability and does not have it fails the exercise."""
    processor = Forgetful(None, clock=CountingClock())
    with pytest.raises(AssertionError):
        await check(processor, lambda: request("native"))
    await processor.close()
