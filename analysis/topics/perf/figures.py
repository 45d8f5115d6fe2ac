"""Events that Linux and the CPU count for perf: tables only, since a count is as it must be or the case failed."""

from __future__ import annotations

from fencepost.analysis.topics.topic import Topic

TOPIC = Topic("perf", tables_only=("perf/software", "perf/migrations", "perf/tracepoint", "perf/hardware"))
