"""Events that Linux counts for perf: tables only, since each count is as it must be or the case has failed."""

from __future__ import annotations

from fencepost.analysis.topics.topic import Topic

TOPIC = Topic("perf", tables_only=("perf/software", "perf/migrations", "perf/tracepoint"))
