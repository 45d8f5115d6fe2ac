"""Maps the rooms of the house to packages and names the cffi script; everything else is in pyproject.toml."""

import concurrent.futures
import gzip
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

ROOMS = ("bench", "analysis", "cli")
SOURCES, WORDS, EXAMPLES = "fencepost.csrc", "fencepost.docs", "fencepost.examples"

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    raise SystemExit(
        "fencepost: this Python is a free-threaded build, and the extension uses the stable ABI, which such a build "
        "lacks; install fencepost with the usual build"
    )

# Made of the commands' own words, so it is never older than they are.
MAN_PAGE = "build/man/fencepost.1"
subprocess.run([sys.executable, str(Path(__file__).with_name("tools") / "man_page.py"), MAN_PAGE], check=True)


MOST_COMPILERS = 8
"""As many sources are compiled at once as there are CPUs, and no more than these: each compiler takes up to 0.2 GB."""


def side_by_side(compile_in_turn: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The compiler of setuptools, which compiles the sources of an extension one after the other, for all at once."""

    def compile_all(sources: list[str], **options: Any) -> list[str]:
        processes = min(MOST_COMPILERS, len(os.sched_getaffinity(0)))
        with concurrent.futures.ThreadPoolExecutor(processes) as pool:
            objects = [pool.submit(compile_in_turn, [source], **options) for source in sources]
            try:
                return [name for made in objects for name in made.result()]
            except BaseException:
                pool.shutdown(cancel_futures=True)  # after a first error the others tell nothing new
                raise

    return compile_all


class BuildEngine(build_ext):
    """Keeps the folder of the build out of the engine: an editable installation has one of a random name."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link the engine."""
        ext.extra_compile_args.append(f"-ffile-prefix-map={self.build_temp}=build")
        self.compiler.compile = side_by_side(self.compiler.compile)
        super().build_extension(ext)


class SourceOfCommit(sdist):
    """Packs the same bytes for the same files, wherever and by whomever. A wheel does so by itself."""

    def make_archive(
        self,
        base_name: Any,
        format: str,  # noqa: A002 -- the name that setuptools calls it by
        root_dir: Any = None,
        base_dir: Any = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        """Write the archive, with SOURCE_DATE_EPOCH as the time of everything if that is set."""
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if format != "gztar" or epoch is None or base_dir is None:
            return str(super().make_archive(base_name, format, root_dir, base_dir, owner, group))

        def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
            info.mtime, info.uid, info.gid, info.uname, info.gname = int(epoch), 0, 0, "", ""
            info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            return info

        path = f"{base_name}.tar.gz"
        with (
            open(path, "wb") as file,  # noqa: PTH123 -- beside what setuptools names as text
            gzip.GzipFile("", "wb", fileobj=file, mtime=int(epoch)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name in sorted(map(str, [base_dir, *Path(base_dir).rglob("*")])):
                archive.add(name, recursive=False, filter=plain)
        return path


setup(
    cmdclass={"build_ext": BuildEngine, "sdist": SourceOfCommit},
    packages=[
        *(f"fencepost.{room}{rest}" for room in ROOMS for rest in ("", *(f".{name}" for name in find_packages(room)))),
        SOURCES,
        WORDS,
        EXAMPLES,
    ],
    package_dir={**{f"fencepost.{room}": room for room in ROOMS}, SOURCES: "csrc", WORDS: "docs", EXAMPLES: "examples"},
    package_data={
        "": ["py.typed", "*.pyi", "templates/*", "static/*"],
        # What `fencepost fleet` sends to other machines.
        "fencepost.cli.fleet_hosts": ["roles/**/*.yml", "roles/**/*.sh"],
        # Headers for kernels of a user's own, and the sources that `fencepost show` prints.
        SOURCES: ["**/*.[ch]", "own/*"],
        # The report takes the words of its sections from these pages, and the sentences that have no verdict.
        WORDS: ["topics/*.md", "lecture.md", "mechanisms.md"],
        # The queues of other libraries that `fencepost peers` measures.
        EXAMPLES: ["peers/*"],
    },
    data_files=[("share/man/man1", [MAN_PAGE])],
    include_package_data=False,
    cffi_modules=["csrc/build_kernels.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    zip_safe=False,
)
