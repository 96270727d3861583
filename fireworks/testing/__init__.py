"""Conformance suites: what any implementation of an interface must do. Needs pytest.

Comes in: an implementation, yours or ours. Goes out: tests, collected by pytest.
"""

import pytest

pytest.register_assert_rewrite("fireworks.testing.stores")
