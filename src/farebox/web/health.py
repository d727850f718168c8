"""Liveness and readiness; never behind authentication, never revealing more than names and yes or no."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from farebox.dialects.codec import encode

Check = Callable[[], Awaitable[bool]]


class Readiness:
    """Whether this node can serve: every check must hold."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """Take the checks by name."""
        self._checks = checks
        self._is_stopping = False

    def stop(self) -> None:
        """Be ready no more, so that a balancer sends nobody while requests in flight are finished."""
        self._is_stopping = True

    async def report(self, *, verbose: bool) -> tuple[int, bytes]:
        """Give status and JSON body; `verbose` names the checks."""
        results = {"running": not self._is_stopping}
        for name, check in self._checks.items():
            try:
                results[name] = await check()
            except Exception:  # a check that cannot be made does not hold
                results[name] = False
        is_ready = all(results.values())
        answer: dict[str, object] = {"status": "ready" if is_ready else "not_ready"}
        if verbose:
            answer["checks"] = results
        return (200 if is_ready else 503), encode(answer)
