"""Settings × entry points, what a terminal may be, and what is refused before any work."""

from hostile import Case

CLEAN = """
import json, os, subprocess, sys
FOREIGN = ("JAX_", "XLA_", "MPL", "MATPLOTLIBRC", "NPY_", "PYTHONIOENCODING", "COLUMNS", "LC_ALL", "TERM")
env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
TINY = ["smoke", "--n-steps", "20", "--n-seeds", "1"]
def clean(*words):
    done = subprocess.run([sys.executable, "-m", "flylab", *words], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
clean("run", "train", *TINY)
"""
ENTRIES = """
from pathlib import Path
Path("sweep.toml").write_text('study = "train"\\npreset = "smoke"\\nn_seeds = 1\\n[fixed]\\nn_steps = 20\\n'
                              '[axes]\\nlearning_rate = [0.01, 0.02]\\n')
Path("model.py").write_text("from sklearn.naive_bayes import GaussianNB\\nnet = GaussianNB()\\n")
TRAINING = {
    "run": ["run", "train", *TINY, "--force"], "sweep": ["sweep", "sweep.toml"],
    "evaluate": ["evaluate", "model.py:net", "smoke", "--n-steps", "4", "--eval-every", "2", "--n-seeds", "1"],
    "doctor": ["doctor"],
}
READING = {
    "report": ["report"], "claims": ["claims"], "claims --json": ["claims", "--json"], "list": ["list"],
    "data": ["data", "-o", "data.npz", "--plot", "data.png"], "leaderboard": ["leaderboard"],
    "plot": ["plot", str(next(Path("runs/train").iterdir())), "--x", "step", "-o", "plot.png"],
    "store": ["store"], "store verify": ["store", "verify"], "help": ["run", "train", "--help"],
}
from flylab.cli import streams
from flylab.cli.main import main
streams.install()  # as the command does before it runs `main`
def tally(allowed):
    entries = {**TRAINING, **READING}
    codes = {name: main(words) for name, words in entries.items()}
    wrong = {name: code for name, code in codes.items() if code not in allowed(name)}
    sys.exit(f"wrong exit codes: {wrong}" if wrong else 0)
def well(name):
    return {"evaluate": (0, 2), "doctor": (0, 1)}.get(name, (0,))  # a weak model is flagged, a full disk is BAD
"""
WELL = CLEAN + ENTRIES + "tally(well)"
REFUSED = CLEAN + ENTRIES + "tally(lambda name: (2,) if name in TRAINING else (0,))"
SAME = (
    CLEAN
    + """
import flylab
results = flylab.run("train", "smoke", out="other", n_steps=20, n_seeds=1)
(path,) = __import__("pathlib").Path("runs/train").glob("*/results.nc")
assert results.checksum == flylab.load(path).checksum
"""
)
OTHER = (
    CLEAN
    + """
from flylab.cli.main import main
assert main(["run", "train", *TINY]) == 0
(path,) = __import__("pathlib").Path("runs/train").glob("*/provenance.json")
provenance = json.loads(path.read_text())
assert provenance["trained"] == 1 and provenance["settings"], provenance
"""
)
PINNED = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_THREEFRY_PARTITIONABLE": "0",
          "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16"}  # fmt: skip
UNHEARD = {  # whatever these are, nothing changes
    "JAX_DEBUG_KEY_REUSE": "1", "JAX_CHECK_TRACER_LEAKS": "1", "JAX_ENABLE_CHECKS": "1", "JAX_LEGACY_PRNG_KEY": "error",
    "JAX_TRANSFER_GUARD": "log", "JAX_TRANSFER_GUARD_DEVICE_TO_HOST": "disallow",  # of that, JAX reads no variable
    "JAX_NUMPY_RANK_PROMOTION": "warn", "JAX_NUM_CPU_DEVICES": "3",
    "JAX_LOG_COMPILES": "1", "JAX_PLATFORMS": "cpu", "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "ascii", "COLUMNS": "20", "TERM": "dumb", "PYTHONHASHSEED": "7",
}  # fmt: skip
NAMED = {
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_USE_DIRECT_LINEARIZE": "0", "JAX_OPTIMIZATION_LEVEL": "O0", "JAX_SOFTMAX_CUSTOM_JVP": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F",
}  # fmt: skip
NOT_ALLOWED = {
    "JAX_PLATFORMS": ("cuda", "tpu", "nonsense"), "JAX_PLATFORM_NAME": ("gpu",), "JAX_NUM_CPU_DEVICES": ("0", "5000"),
    "JAX_DISABLE_JIT": ("1",), "JAX_TRANSFER_GUARD": ("disallow", "disallow_explicit"),
    "JAX_NUMPY_DTYPE_PROMOTION": ("strict",), "JAX_NUMPY_RANK_PROMOTION": ("raise",), "JAX_NO_TRACING": ("1",),
    "JAX_NO_EXECUTION": ("1",), "XLA_FLAGS": ("--nonsense", "--xla_cpu_enable_fast_math=abc", "nowhere"),
    "JAX_HLO_SOURCE_FILE_CANONICALIZATION_REGEX": ("(",),
}  # fmt: skip
MATPLOTLIBRC = "text.usetex: True\naxes.facecolor: red\nfont.family: No Such Font\nbackend: qtagg\nlines.linewidth: 9\n"


def of_products() -> list[Case]:
    """Each setting with all entry points in one process, after a run in a clean one."""

    def case(name: str, value: str, what: str, run: str, says: str = "") -> Case:
        return Case(f"{name}={value} {what}", run, "well", says, env={name: value}, seconds=600)

    everywhere = "× all entry points"
    cases = [case(*setting, everywhere, WELL) for setting in {**PINNED, **UNHEARD}.items()]
    cases += [case(*setting, "has the same bits", SAME) for setting in PINNED.items()]
    cases += [case(*setting, "is part of names and provenance", OTHER) for setting in NAMED.items()]
    for name, values in NOT_ALLOWED.items():
        at_start = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")
        says = f"flylab: .*{name}=" if name in at_start else rf"flylab: {name.lower()}\S*=.* must be"
        says = f"flylab: .*{name}.*: missing" if name.endswith("REGEX") else says
        cases += [case(name, value, everywhere, REFUSED, says) for value in values]
    rc = {"matplotlibrc": MATPLOTLIBRC}
    return [*cases, Case(f"matplotlibrc {everywhere}", WELL, "well", files=rc, seconds=600)]


FIGURES = (
    CLEAN
    + """
from pathlib import Path
(folder,) = Path("runs/train").iterdir()
before = {name: (folder / name).read_bytes() for name in ("figure.png", "figure.svg", "report.html", "claims.json")}
Path("matplotlibrc").write_text(%r)
subprocess.run([sys.executable, "-m", "flylab", "report"], check=True, env={**env, "MPLBACKEND": "tkagg"})
assert {name: (folder / name).read_bytes() for name in before} == before
"""
)
UNDRAWABLE = (
    CLEAN
    + """
import matplotlib.figure
from pathlib import Path
def savefig(*args, **kwargs):
    raise RuntimeError("no font was found")
matplotlib.figure.Figure.savefig = savefig
from flylab.cli.main import main
assert main(["report"]) == 0
(folder,) = Path("runs/train").iterdir()
assert not (folder / "figure.png").exists() and "could not be drawn" in (folder / "report.html").read_text()
"""
)
SHELL = (
    CLEAN
    + """
flylab = f"{sys.executable} -m flylab"
os.makedirs("runs/train/\\x1b[31mred")
open("runs/train/\\x1b[31mred/results.nc", "w").write("\\x1b[2J")
done = subprocess.run(["bash", "-c", %r.replace("flylab", flylab)], capture_output=True, text=True, errors="replace")
print(done.stdout, done.stderr, sep="\\n")
sys.exit(done.returncode)
"""
)
LINES = {  # command line → what it must say
    "set -o pipefail; flylab list | true": "",
    "set -o pipefail; flylab report 2>&1 | head -c 1": "",
    "set -o pipefail; flylab run train smoke --n-steps 20 --force 2>&1 | true": "",
    "flylab claims runs >&- 2>&-": "",
    "flylab list > /dev/full; test $? = 2": "flylab: .*No space left",
    "PYTHONIOENCODING=cp1252 COLUMNS=20 flylab claims": "left out",
    "PYTHONIOENCODING=ascii COLUMNS=1 flylab list": "",
    "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 flylab report": "report.html",
    "PYTHONIOENCODING=latin-1 flylab claims --json": r"\[",
    "script -qec 'stty cols 20; flylab store' /dev/null": "train",
    "MPLBACKEND=nonsense flylab report": "report.html",
    "flylab run train smoke --n-steps 20 --force < /dev/null": "trained 1 members|trained 2 members",
}


def of_terminals() -> list[Case]:
    """Streams that are narrow, closed, full or poor, beside a foreign run with escape sequences in its name."""
    never = "Traceback|Exception ignored|UnicodeEncodeError|\x1b\\[31m|\x1b\\[2J"
    return [Case(line, SHELL % line, "well", says, never=never, seconds=300) for line, says in LINES.items()]


FORK = """
import multiprocessing, sys
import flylab
flylab.initialise()
def train():
    try:
        flylab.initialise()
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=train)
    process.start()
    process.join(60)
    sys.exit(2 if process.exitcode == 3 else 1)
"""
GRID = """
import flylab
from flylab import MNIST1D, Plan, published, supervised, get_model
data = published(MNIST1D(n_train=100, n_valid=0, n_test=100))
try:
    flylab.train_members(supervised(get_model("mlp", width={width})), data, Plan(5), {grid})
except ValueError as error:
    refused(error)
"""
GRIDS = {  # what is said → width, grid
    "seed": ("10", '{"learning_rate": [0.1], "seed": [0.5]}'),
    "seed.*": ("10", '{"learning_rate": [0.1], "seed": [-1]}'),
    "different": ("10", '{"learning_rate": [0.1], "seed": [1, 1]}'),
    "step": ("10", '{"learning_rate": [0.1], "seed": [0], "step": [1]}'),
    "example": ("10", '{"learning_rate": [0.1], "seed": [0], "example": [1]}'),
    "learning_rate": ("10", '{"learning_rate": [[0.1, 0.2], [0.1]], "seed": [0]}'),
    "learning_rate.*": ("10", '{"learning_rate": ["fast"], "seed": [0]}'),
    "memory": ("2147483647", '{"learning_rate": [0.1], "seed": [0]}'),
    "GB": ("10**6", '{"learning_rate": [0.1], "seed": [0]}'),
}
EARLY = {
    "--width 2147483647": ["run", "train", "smoke", "--width", "2147483647"],
    "--width 1000000 --model gru": ["run", "train", "smoke", "--width", "1000000", "--model", "gru"],
    "--batch-size 2147483647": ["run", "train", "smoke", "--batch-size", "2147483647"],
    "--n-train 2000000000": ["run", "train", "smoke", "--n-train", "2000000000"],
    "--final-seq-length 2000000000": ["run", "train", "smoke", "--final-seq-length", "2000000000"],
    "--eval-every 1 --n-steps 2147483647": ["run", "train", "smoke", "--n-steps", "2147483647", "--eval-every", "1"],
    "data --n-train 2000000000": ["data", "-o", "x.npz", "--n-train", "2000000000"],
    "--out /dev/null/x": ["run", "train", "smoke", "--out", "/dev/null/x"],
    "data -o /proc/x.npz": ["data", "-o", "/proc/x.npz"],
    "data --plot to a folder that cannot be": ["data", "--plot", "/dev/null/x.png"],
}

CASES = [
    *of_products(),
    Case("matplotlibrc and backend: the same bytes of figures", FIGURES % MATPLOTLIBRC, "well", seconds=300),
    Case("a figure that cannot be drawn", UNDRAWABLE, "well", "cannot be drawn", never="sense of|damaged", seconds=300),
    *of_terminals(),
    Case("a fork after JAX started", FORK, "refused", "spawn"),
    *[Case(f"train_members: width {width}, {grid}", GRID.format(width=width, grid=grid), "refused", says.rstrip(".*"))
      for says, (width, grid) in GRIDS.items()],
    *[Case(f"SOURCE_DATE_EPOCH={value} {words[0]}", words, "refused", "^\nflylab: SOURCE_DATE_EPOCH=.* must be [^\n]*$",
           env={"SOURCE_DATE_EPOCH": value}, seconds=60)
      for value in ("abc", "", "1e9", "99999999999999999999")
      for words in (["run", "train", "smoke"], ["report"], ["data", "--plot", "x.svg"])],
    *[Case(name, words, "refused", "^\nflylab: [^\n]*\n$", seconds=60) for name, words in EARLY.items()],
]  # fmt: skip
