"""How often a law is tried: on a part of its examples, unless the run has `--hypothesis-profile whole`.

Both draw the same examples each time, so that a run that fails does so for the change that it tests. New ones are drawn
with `--hypothesis-profile hunt`, three times as many: what it finds becomes a test of its own.

Hypothesis's own deadline and its check for slow data fail on a busy machine rather than on a fault: no law has them.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SHARES = {"light": 0.2, "whole": 1.0, "hunt": 3.0}  # conftest.py loads the first; `.ci/run` asks for the second
LEAST = 4
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


def load_profiles() -> None:
    """Make the profiles known to Hypothesis, and take the light one."""
    for name in SHARES:
        fixed = name != "hunt"
        settings.register_profile(name, deadline=None, suppress_health_check=SLOW, derandomize=fixed)
    settings.load_profile("light")


def tried(examples: int, *suppressed: HealthCheck) -> settings:
    """The settings of a law that a whole run tries on so many examples.

    `tried(100)` is 20 examples in the light run, and 100 with `--hypothesis-profile whole`.
    """
    share = SHARES[settings.get_current_profile_name()]
    count = max(round(examples * share), min(examples, LEAST))
    return settings(max_examples=count, deadline=None, suppress_health_check={*SLOW, *suppressed})
