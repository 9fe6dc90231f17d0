"""Values that the manifest left to us, each with the reason a person can read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that the manifest left to us."""

    field: str
    value: int | float | str | bool
    reason: str


@dataclass(slots=True)
class Notes:
    """Collects the reasons while the plan is made."""

    choices: list[Choice] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def chose(self, name: str, value: int | float | str | bool, reason: str) -> None:
        """Note one resolved value."""
        self.choices.append(Choice(name, value, reason))


def parameter_count(parameters: int) -> str:
    """A number of parameters as people say it: 8.0B, 135M."""
    if parameters >= 1e9:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M" if parameters >= 1e6 else f"{parameters / 1e3:.0f}k"
