"""How many jobs there are in each phase, and for how long: what the watch tells, kept for whoever asks for metrics.

Asking the API server at each scrape would be a listing of all jobs every few seconds. Only the leader watches, so every other
replica counts none and the sum over all is right. kopf does not tell of a job that was deleted in a gap of its watch: whom the
listing after it does not name is doubted, and asked for by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from finetune_api.v1alpha1.status import TERMINAL_PHASES, Phase
from finetune_operator.queue import Key

NEW = "New"
"""The phase of a job that nobody has taken up yet."""
_PHASES = (NEW, *(str(phase) for phase in Phase))


class Census:
    """Jobs and their phases.

    Args:
        monotonic: seconds that only rise.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._jobs: dict[Key, tuple[str, float]] = {}
        self._doubted: set[Key] = set()

    def note(self, key: Key, phase: str | None) -> None:
        """A job was seen in this phase."""
        self._doubted.discard(key)
        told = phase if phase in _PHASES else NEW
        if self._jobs.get(key, ("", 0.0))[0] != told:
            self._jobs[key] = (told, self._monotonic())

    def forget(self, key: Key) -> None:
        """A job is gone."""
        self._jobs.pop(key, None)
        self._doubted.discard(key)

    def doubt(self, namespace: str | None) -> None:
        """A listing of this namespace, or of all, has begun: whoever it does not name may be gone."""
        self._doubted |= {key for key in self._jobs if namespace in (None, key.namespace)}

    def doubted(self, namespace: str | None) -> list[Key]:
        """Who was not seen since the listing began."""
        return sorted(key for key in self._doubted if namespace in (None, key.namespace))

    def counts(self) -> dict[str, float]:
        """Jobs per phase, of every phase that there is."""
        found = Counter(phase for phase, _ in self._jobs.values())
        return {phase: float(found[phase]) for phase in _PHASES}

    def oldest_seconds(self) -> dict[str, float]:
        """Per phase in which jobs do not stay, how long one has been in it at most, as far as was seen since the start."""
        now, oldest = self._monotonic(), {phase: 0.0 for phase in _PHASES if phase not in TERMINAL_PHASES}
        for phase, since in self._jobs.values():
            if phase in oldest:
                oldest[phase] = max(oldest[phase], now - since)
        return oldest
