"""fencepost as a test of ReFrame, one for each node:

reframe -c reframe_fencepost.py -r --distribute=idle --performance-report
"""

import json
from pathlib import Path

import reframe as rfm
import reframe.utility.sanity as sn
from reframe.core.builtins import run_before, sanity_function, variable


@rfm.simple_test
class Fencepost(rfm.RunOnlyRegressionTest):
    """The median time of each case, in ns. It needs fencepost with its analysis on the nodes."""

    kernels = variable(str, value="clock/read")
    valid_systems = ["*"]
    valid_prog_environs = ["*"]
    executable = "fencepost"
    exclusive_access = True

    @run_before("run")
    def give_words(self):
        self.executable_opts = ["run", "--profile=quick", *self.kernels.split(), "--json", "--out=runs"]

    @sanity_function
    def nothing_failed(self):
        return sn.assert_found(r'"failed": \[\]', self.stdout)

    @run_before("performance")
    def read_rows(self):
        rows = json.loads((Path(self.stagedir) / str(self.stdout)).read_text())["rows"]
        self.perf_variables = {
            row["case"]: sn.make_performance_function(sn.defer(row["ns"]), "ns") for row in rows if row["ns"] is not None
        }
