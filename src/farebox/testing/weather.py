"""How rough a run is: how long things take, and how often they go wrong."""

from __future__ import annotations

from dataclasses import dataclass

from farebox.testing.clock import SeededRandomness, pause
from farebox.testing.scheduler import Process, Scheduler


@dataclass(frozen=True, slots=True)
class Weather:
    """Probabilities of trouble at each await of a process, and at each message of a network."""

    crash: float = 0.0
    """The process dies here."""
    pause: float = 0.0
    """The process stands still for a while: a stopped virtual machine, a full disk, a long collection."""
    pause_max_s: float = 60.0
    busy: float = 0.0
    """The database refuses a transaction."""
    commit_unknown: float = 0.0
    """Nobody hears whether a transaction was committed; half of them were."""
    late_request: float = 0.0
    """A request is on its way for longer than its sender waits."""
    latency_max_s: float = 0.3
    stalled_write: float = 0.0
    """The sender stands still between its last look at the clock and the first byte (R6)."""


CALM = Weather()
ROUGH = Weather(
    crash=0.006,
    pause=0.02,
    busy=0.01,
    commit_unknown=0.01,
    late_request=0.05,
    stalled_write=0.05,
)


class Sky:
    """The weather over one process."""

    def __init__(self, scheduler: Scheduler, weather: Weather, process: Process) -> None:
        """Take whose awaits these are."""
        self._scheduler = scheduler
        self._process = process
        self.weather = weather

    @property
    def dice(self) -> SeededRandomness:
        """Give the seed's dice."""
        return self._scheduler.dice

    async def point(self) -> None:
        """Be an await: others run, time passes, the process may stand still or die."""
        dice, weather = self.dice, self.weather
        if dice.chance(weather.crash):
            self._scheduler.crash(self._process)
        await pause(self._delay_s())

    def _delay_s(self) -> float:
        if self.dice.chance(self.weather.pause):
            return self.dice.between(0.5, self.weather.pause_max_s)
        return self.dice.between(0, 0.02)
