"""What a namespace costs, by its kind."""

from __future__ import annotations

from fencepost.analysis.topics.pictures import bars_by
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

UNSHARE = bars_by(
    "namespace/unshare",
    "kind",
    title="A new namespace for a process",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="namespace",
    heading="of",
    labels={
        "none": "nothing",
        "uts": "its host name",
        "ipc": "System V IPC",
        "cgroup": "its control groups",
        "pid": "its children's numbers",
        "user": "its users",
        "mount": "its mounts",
        "net": "its network",
    },
    metrics={"end_ns": "end of the child, ns"},
    order="cheapest",
)


TOPIC = Topic(
    "namespace",
    figures=(UNSHARE,),
    tables_only=("namespace/capability",),
    rungs=(step("make a network namespace", "namespace/unshare", with_values(kind="net"), cycles=False),),
)
