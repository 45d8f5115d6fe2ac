"""What it costs to send a signal, by what is done about it."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.topics.pictures import bars_by
from fencepost.analysis.topics.rungs import first, step, with_values
from fencepost.analysis.topics.topic import Topic

THEN = {
    "check": "none sent, only checked",
    "ignored": "ignored",
    "sigwaitinfo": "taken by sigwaitinfo",
    "signalfd": "read from a signalfd",
    "handler": "handled by a function",
    "fault": "of a fault, handled",
}


def _what(row: Row) -> str:
    return THEN.get(str(row.parameter("then")), "") if row.kernel == "signal/send" else "sigaction"


SEND = bars_by(
    ("signal/send", "signal/install"),
    _what,
    title="A signal that a thread sends itself",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="signal",
    caption="A signal by what is done about it",
    heading="signal",
    columns={"cycles": lambda row: row.cycles.text()},
)


TOPIC = Topic(
    "signal",
    figures=(SEND,),
    rungs=(
        step("send oneself a signal and handle it", "signal/send", with_values(then="handler")),
        step("meet a page that may not be read, and go on", "signal/send", with_values(then="fault")),
        step("say which function handles a signal", "signal/install", first),
    ),
)
