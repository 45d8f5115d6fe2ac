"""Maps the rooms of the house to packages and names the cffi script; everything else is in pyproject.toml."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

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


class BuildEngine(build_ext):
    """Keeps the folder of the build out of the engine: an editable installation has one of a random name."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link the engine."""
        ext.extra_compile_args.append(f"-ffile-prefix-map={self.build_temp}=build")
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildEngine},
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
