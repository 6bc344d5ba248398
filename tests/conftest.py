"""For all tests: generated ones say how much they want, not how fast.

On a machine with other work, and under the sanitizers, ten inputs may well take longer than Hypothesis thinks healthy. It
called a test of the native engine a failure for that.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
