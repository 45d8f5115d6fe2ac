"""What a control group costs, by its hierarchy."""

from __future__ import annotations

from fencepost.analysis.topics.pictures import bars_by
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

CREATE = bars_by(
    "cgroup/create",
    "hierarchy",
    title="A new control group",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="group",
    heading="in",
    labels={
        "folder": "a folder in memory",
        "v2": "version 2",
        "pids": "version 1, pids",
        "memory": "version 1, memory",
    },
    metrics={"remove_ns": "taking it down, ns"},
    order="cheapest",
)


TOPIC = Topic(
    "cgroup",
    figures=(CREATE,),
    rungs=(step("make a control group", "cgroup/create", with_values(hierarchy="v2"), cycles=False),),
)
