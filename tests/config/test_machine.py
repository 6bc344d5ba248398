"""How much memory the machine or container gives, read from a made-up /proc and /sys."""

from pathlib import Path

import pytest

from respram.config.machine import control_group_limits, memory_bytes


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_container_of_version_2_is_bound_by_its_own_group_and_by_those_above_it(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/pod/box\n")
    write(tmp_path, "sys/fs/cgroup/pod/box/memory.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/pod/memory.max", "268435456\n")
    assert control_group_limits(tmp_path) == [268435456]
    assert memory_bytes(tmp_path) == 268435456


def test_a_container_that_sees_the_path_of_its_host_is_bound_by_the_mount_point(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/system.slice/docker-0123.scope\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", "134217728\n")
    assert memory_bytes(tmp_path) == 134217728


def test_a_container_of_version_1_is_bound_by_its_memory_hierarchy(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/b\n")
    write(tmp_path, "sys/fs/cgroup/memory/docker/b/memory.limit_in_bytes", "67108864\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert control_group_limits(tmp_path) == [67108864]


@pytest.mark.parametrize("content", ["max", "", "9223372036854771712", "0", "many"])
def test_what_sets_no_limit_leaves_the_whole_machine(tmp_path: Path, content: str) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", content)
    assert control_group_limits(tmp_path) == []
    assert memory_bytes(tmp_path) == memory_bytes(tmp_path / "nowhere") > 1 << 26
