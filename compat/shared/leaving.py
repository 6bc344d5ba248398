"""A plugin for pytest that skips what the list of a suite leaves out; loaded by `suite.py`, nowhere else."""

import os


def pytest_collection_modifyitems(items):
    import pytest
    from suite import listed, reason_for

    pairs = listed(os.environ["SUITE_LEFT"])
    for item in items:
        owner = item.nodeid.split("::")[-2].removesuffix(".py").split("/")[-1]
        if reason := reason_for(f"{owner}.{item.name}", pairs):
            item.add_marker(pytest.mark.skip(reason=reason))
