"""kernels/straight.h: the line through times of several sizes, and how well it fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.program import program


def test_the_line_is_that_of_its_points(tmp_path: Path) -> None:
    """Points on a line of 500 ns and 64 ns a KiB, and then the last one off it."""
    body = """
    const double sizes[] = {1, 64, 1024, 4096, 16384, 65536, 262144, 1048576};
    double ns[8];
    for (int off = 0; off < 2; off++) {
        struct straight line;
        for (int i = 0; i < 8; i++)
            ns[i] = 500 + sizes[i] / 16;
        ns[7] *= off ? 2 : 1;
        line = straight_through(sizes, ns, 8);
        printf("%.3f %.4f %.4f %.3f\\n", line.start, line.slope * 1024, line.fit, line.spread);
    }
"""
    found = [
        [float(word) for word in line.split()] for line in program(tmp_path, "straight.h", body, '#include "kernel.h"')
    ]
    assert found[0] == pytest.approx([500, 64, 1, (500 + 65536) / 500.0625], abs=1e-3)
    assert found[1][2] < 0.99 and found[1][1] > 64


def test_equal_times_make_a_flat_line(tmp_path: Path) -> None:
    body = """
    const double sizes[] = {1, 2, 4}, ns[] = {7, 7, 7};
    const struct straight line = straight_through(sizes, ns, 3);
    printf("%.3f %.3f %.3f\\n", line.start, line.slope, line.spread);
"""
    (line,) = program(tmp_path, "straight.h", body, '#include "kernel.h"')
    assert [float(word) for word in line.split()] == [7, 0, 1]
