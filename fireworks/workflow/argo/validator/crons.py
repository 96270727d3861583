"""When a CronWorkflow runs.

Source: `workflow/validate` of Argo 3.7.18, and robfig/cron's `ParseStandard`.

Comes in: CronWorkflows. Goes out: findings about schedules.
"""

from zoneinfo import ZoneInfo

from .durations import is_duration
from .findings import Findings
from .manifests import Manifest
from .reading import mapping, number, text

__all__ = ["check_cron"]

_POLICIES = ("", "Allow", "Forbid", "Replace")
_NAMED = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: index for index, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: index for index, name in enumerate(_DAYS)}),
)


def check_cron(manifest: Manifest, found: Findings) -> None:
    """Check the schedules of a CronWorkflow."""
    spec, place = mapping(manifest.content, "spec"), manifest.place
    single, many = spec.get("schedule"), spec.get("schedules")
    if single and many:
        found.add("cron-schedule", place, "A CronWorkflow has either `schedule` or `schedules`", "both")
    listed = [single] if single else many if isinstance(many, list) else []
    if not listed:
        found.add("cron-schedule", place, "A CronWorkflow needs `schedules`")
    for schedule in listed:
        if isinstance(schedule, str) and not _is_schedule(schedule):
            rule = "A schedule has five fields, minute to weekday, as `0 3 * * 1-5`"
            found.add("cron-schedule", place, rule, schedule or "an empty text")
    zone = text(spec, "timezone")
    if zone and not _is_zone(zone):
        found.add("cron-timezone", place, "`timezone` must be a name of the time zone database", zone)
    policy = text(spec, "concurrencyPolicy")
    if policy not in _POLICIES:
        found.add("cron-policy", place, f"`concurrencyPolicy` must be one of {', '.join(_POLICIES[1:])}", policy)
    deadline = number(spec, "startingDeadlineSeconds")
    if deadline is not None and deadline < 0:
        found.add("cron-deadline", place, "`startingDeadlineSeconds` must not be negative", deadline)


def _is_schedule(schedule: str) -> bool:
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        zone, _, schedule = schedule.partition("=")[2].partition(" ")
        if not _is_zone(zone):
            return False
        schedule = schedule.strip()
    if schedule.startswith("@every "):
        return is_duration(schedule.removeprefix("@every "), seconds=False)
    if schedule.startswith("@"):
        return schedule in _NAMED
    fields = schedule.split()
    return len(fields) == len(_FIELDS) and all(
        _is_range(part, *bounds)
        for field, bounds in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
        if part
    )


def _is_range(part: str, least: int, most: int, names: dict[str, int]) -> bool:
    span, slash, step = part.partition("/")
    low, hyphen, high = span.partition("-")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if low in ("*", "?"):
        return not hyphen or "-" not in high
    start = _value(low, names)
    end = _value(high, names) if hyphen else most if slash else start
    return start is not None and end is not None and least <= start <= end <= most


def _value(word: str, names: dict[str, int]) -> int | None:
    if word.lower() in names:
        return names[word.lower()]
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None


def _is_zone(zone: str) -> bool:
    if zone in ("Local", "UTC"):
        return True
    try:
        ZoneInfo(zone)
    except (ValueError, OSError):
        # ZoneInfoNotFoundError is a KeyError: only then the name is unknown for sure.
        return False
    except KeyError:
        return not _has_zones()
    return True


def _has_zones() -> bool:
    """Whether this machine has the database at all."""
    try:
        ZoneInfo("Europe/Berlin")
    except KeyError:
        return False
    return True
