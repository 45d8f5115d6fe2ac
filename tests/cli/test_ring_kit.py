"""The kit for queues: `fencepost new --ring`, `fencepost peers FILE`, and the picture."""

from __future__ import annotations

import functools
import json
import math
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from compile import UNTIMED
from kernels.own import PLAIN, write
from runs import measure as runtime

from fencepost.analysis.compare.peers import Cell, PeerComparison, Ring
from fencepost.analysis.compare.peers_picture import draw_peers
from fencepost.analysis.stats.interval import Interval
from fencepost.bench import engine as engines
from fencepost.bench import objects, sources
from fencepost.bench.catalog import read_catalog
from fencepost.bench.errors import UsageError
from fencepost.bench.peers_plan import find_peers, require_rings

two_cpus = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a queue between threads needs two CPUs")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # One for all tests of this file: the same text is compiled once.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "ring-cache"))


def fencepost(*arguments: str, cwd: Path) -> runtime.Answer:
    return runtime.fencepost_inside(*arguments, cwd=cwd, load=functools.partial(engines.load_from, engines.load().path))


def written(folder: Path, *options: str) -> Path:
    """The file that `fencepost new --ring mine` writes."""
    done = fencepost("new", "--ring", "mine", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("mine.c*")
    assert f"fencepost peers {file.name}" in done.stdout
    return file


@pytest.mark.parametrize("options", [(), pytest.param(("--cxx",), marks=pytest.mark.slow)])
def test_a_new_ring_compiles_without_a_warning(options: tuple[str, ...], tmp_path: Path) -> None:
    file = written(tmp_path, *options)
    built = objects.build(file, file.name, UNTIMED)
    assert built.warnings == ""
    engine = engines.load_from(engines.load().path)
    engine.load_object(file.name, built.path)
    catalog = read_catalog(engine, [file.name])
    assert {name for name in catalog.kernels if name.startswith("peer/")} == {
        "peer/mine_spsc",
        "peer/mine_spsc_round_trip",
        "peer/mine_spsc_latency",
    }
    require_rings(catalog, {file.name: file})
    again = fencepost("new", "--ring", "mine", *options, cwd=tmp_path)
    assert again.returncode == 2 and "exists already and was not changed" in again.stderr


@pytest.mark.parametrize("name", ["Mine", "a/b", "1st", "x-y"])
def test_a_ring_has_a_plain_name(name: str, tmp_path: Path) -> None:
    done = fencepost("new", "--ring", name, cwd=tmp_path)
    assert done.returncode == 2 and "not a name for a ring" in done.stderr and not list(tmp_path.iterdir())


def test_a_file_without_a_ring_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path)
    engine = engines.load_from(engines.load().path)
    engine.load_object(file.name, objects.build(file, file.name).path)
    with pytest.raises(UsageError, match=r"mine\.c: no queue in it: its kernels are own/one"):
        require_rings(read_catalog(engine, [file.name]), {file.name: file})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.c",), "none.c: no such file or folder"),
        (("--include", "none"), "none: no such file or folder"),
        (("a", "b"), "b: a second folder"),
        (("--picture", "x.png"), "write a name that ends in .svg"),
        (("--from", "latest", "--label", "rack=b12"), "--label with --from"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    done = fencepost("peers", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""


def test_headers_are_found_in_a_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.c").write_text("/* peer: header no_such_ring.h package none */\n")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "no_such_ring.h").touch()
    assert find_peers(tmp_path).files == ()
    before = dict(os.environ)
    with sources.headers_in([tmp_path / "there"]):
        assert find_peers(tmp_path).files == (tmp_path / "other.c",)
    assert dict(os.environ) == before
    # What is stored with a run names no folder.
    write(tmp_path, "uses.c", text="#include <no_such_ring.h>\n" + PLAIN)
    with sources.headers_in([tmp_path / "there"]):
        assert str(tmp_path) not in str(objects.build(tmp_path / "uses.c", "uses.c", UNTIMED).as_json())


STAND_IN = """
#include <cstddef>
#include <deque>
#include <mutex>
namespace deaod {
template <class T, std::size_t slots> struct spsc_queue {
    std::mutex lock;
    std::deque<T> items;
    bool push(const T &item) { return write(1, &item) == 1; }
    bool pop(T &item) { return read(1, &item) == 1; }
    std::size_t write(std::size_t count, const T *from)
    {
        const std::lock_guard<std::mutex> guard(lock);
        std::size_t done = 0;
        for (; done < count && items.size() < slots - 1; done++)
            items.push_back(from[done]);
        return done;
    }
    std::size_t read(std::size_t count, T *to)
    {
        const std::lock_guard<std::mutex> guard(lock);
        std::size_t done = 0;
        for (; done < count && !items.empty(); done++, items.pop_front())
            to[done] = items.front();
        return done;
    }
};
}
"""
"""In place of a header that no package has: a slow queue of the same form."""


@two_cpus
@pytest.mark.slow
def test_capacities_that_are_compiled_in_have_an_instance_each(tmp_path: Path) -> None:
    header = tmp_path / "include" / "deaod" / "spsc_queue.hpp"
    header.parent.mkdir(parents=True)
    header.write_text(STAND_IN)
    file = runtime.ROOT / "examples" / "peers" / "deaod.cc"
    capacities = ("-p", "peer/deaod_spsc.capacity=64,128,1024,65536", "-p", "peer/deaod_spsc.batch=1,8")
    trips = ("-p", "peer/deaod_spsc_round_trip.capacity=64,1024,65536")
    with sources.headers_in([tmp_path / "include"]):
        done = fencepost(
            "run", "peer/*", "--kernel", str(file), *capacities, *trips, "--rounds", "1", "--json", cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    refused = [row for row in rows if row["reason"]]
    assert {row["parameters"]["capacity"] for row in refused} == {128}
    assert all("needs capacity=64, 1024 or 65536" in row["reason"] for row in refused)
    of_each = {(row["kernel"], row["parameters"]["capacity"]) for row in rows if not row["reason"]}
    assert {capacity for kernel, capacity in of_each if kernel == "peer/deaod_spsc"} == {64, 1024, 65536}
    assert {kernel for kernel, _ in of_each} == {
        "peer/deaod_spsc",
        "peer/deaod_spsc_round_trip",
        "peer/deaod_spsc_latency",
    }


@two_cpus
@pytest.mark.slow
def test_a_queue_that_loses_an_item_fails_alone(tmp_path: Path) -> None:
    """Both files have rows in the tables and in the picture. The one that loses an item of a stream says so."""
    file = written(tmp_path)
    lossy = file.read_text().replace("mine", "lossy")
    planted = "    static size_t calls;\n\n    if (++calls == 777)\n        return true;\n"
    at = lossy.index("    __atomic_store_n(&ring->pushed")
    (tmp_path / "lossy.c").write_text(lossy[:at] + planted + lossy[at:])
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "other.c").write_text("/* peer: header no_such_ring.h package none */\n")
    words = ("--rounds", "2", "--picture", "p.svg", "--label", "rack=b12")
    done = fencepost("peers", "none", "mine.c", "lossy.c", *words, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (run,) = (tmp_path / "results" / "runs").glob("*/run.json")
    assert json.loads(run.read_text())["labels"]["rack"] == "b12"
    assert re.search(
        r"^fencepost: lossy\.c: peer/lossy_spsc\w* failed in \d+ rows?: check failed: .+$", done.stderr, re.MULTILINE
    )
    assert "fencepost: mine.c" not in done.stderr
    assert re.search(r"peer/mine_spsc +[\d.]+", done.stdout) and "time of your queue ÷ the fastest other" in done.stdout
    assert "ring/spsc_lazy" in (tmp_path / "p.svg").read_text() and ">mine<" in (tmp_path / "p.svg").read_text()


def comparison_of(times: dict[str, tuple[float, float]], mine: tuple[str, ...] = ()) -> PeerComparison:
    """Queues by name, each with the time of a round trip and of an item, in raw round trips; 0 where it failed."""

    def ring(name: str, ns: float) -> Ring:
        value = Interval(ns or math.nan, ns * 0.9, ns * 1.1, 0.95, 20)
        return Ring(name, name, value, value, 0.0, 0.0, 0, 0, None)

    given: dict[str, str | int] = {"capacity": 1024, "bytes": 8, "batch": 1, "pause": "yes"}
    nothing = Interval(math.nan, math.nan, math.nan, 0.0, 0)
    trips = [ring(f"{name}_round_trip", trip) for name, (trip, _) in times.items()]
    items = [ring(name, item) for name, (_, item) in times.items()]
    cells = [Cell("round trip", given, "xraw", trips, None, nothing), Cell("SPSC", given, "xraw", items, None, nothing)]
    return PeerComparison(cells, [], 0, 0, mine=mine)


def test_the_picture_has_a_point_for_each_queue_with_both_times() -> None:
    times = {"ring/spsc": (1.2, 0.01), "peer/ck_spsc": (2.0, 0.05), "peer/mine_spsc": (2.5, 0.1)}
    figure = draw_peers(comparison_of({**times, "peer/lossy_spsc": (2.5, 0.0)}, mine=("peer/mine_spsc",)))
    assert figure is not None
    assert figure.table.rows == (("ring/spsc", "1.2", "100"), ("ck", "2", "20"), ("mine", "2.5", "10"))
    text = figure.standalone()
    ElementTree.fromstring(text.encode())
    assert all(f">{name}<" in text for name in ("ring/spsc", "ck", "mine")) and "var(" not in text
    # Three kinds of queues have three colours, as attributes.
    assert len(set(re.findall(r'fill="(#[0-9a-f]{6})"', text))) >= 4
    assert draw_peers(comparison_of({"ring/spsc": (1.2, 0.0)})) is None
