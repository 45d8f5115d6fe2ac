"""What a question costs, by who is asked and by how many keys are there."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count
from fencepost.analysis.topics.pictures import lines_by
from fencepost.analysis.topics.topic import Topic

BY = {"keys": "nobody asked", "set": "set", "filter": "filter alone", "two_stages": "filter, then set"}


def _asked(row: Row) -> str:
    by = str(row.parameter("by"))
    return f"{BY.get(by, by)}, {count(row.number('keys'))} keys"


BLOOM = lines_by(
    "filter/bloom",
    "hits_pct",
    title="A question whether a key is in a set",
    says="From {least} ({least_of}) to {most} ({most_of}). Two stages pay where their line lies below that of the set.",
    unit="question",
    caption="A question by the share of keys that are there",
    groups=_asked,
    group_heading="asked",
    x_label="questions for a key that is there",
    x_format=lambda value: f"{count(value)} %",
)


TOPIC = Topic("filter", figures=(BLOOM,), rungs=())
