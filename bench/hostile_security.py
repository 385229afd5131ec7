"""Nobody in, nothing deleted, no bombs: the app, local processes, files, readers and pickles."""

import gzip
import json

from hostile import Case

APP = """
import http.client, os, re, signal, socket, subprocess, sys, time
server = subprocess.Popen([sys.executable, "-m", "flylab", "app", "--port", "0", "--no-browser", *OPTIONS], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
said = ""
while "Ctrl-C" not in said:
    said += server.stdout.readline()
links = re.findall(r"http://([\\d.]+):(\\d+)/([^/]*)/", said)
(own, port, secret), teacher = links[0], links[-1][2]
def ask(path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection(own, int(port), timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, headers)
    except BrokenPipeError:
        pass  # refused before all of it was sent; the answer says how
    answer = connection.getresponse()
    answer.read()
    return answer
def connect(path, **headers):
    upgrade = dict(Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==",
                   Sec_WebSocket_Version="13")
    return ask(path, **upgrade, **headers).status
home = f"http://{own}:{port}"
page, ws = f"/{secret}/studies/", f"/{secret}/studies/ws?session_id=s_abcdef"
try:
    CHECKS
finally:
    server.terminate()
"""


CLASS = ["--host", "127.0.0.2", "--class"]  # Linux has it, too


def app(name: str, checks: str, options: list[str] | None = None) -> Case:
    source = APP.replace("CHECKS", checks.replace("\n", "\n    ")).replace("*OPTIONS", f"*{options or []}")
    return Case(f"{'class' if options else 'app'}: {name}", source, "well")


DOORS = {
    "its own page, and nothing without the secret": """\
assert ask(page).status == 200 and connect(ws, Origin=home) == 101
assert len(secret) >= (32 if own == "127.0.0.1" else 11) and len(teacher) >= 32
for path in ("/", "/studies/", "/playground/", "/studies/ws", f"/{secret[:-1]}/studies/", f"/{secret}x/studies/",
             f"/x/{secret}/", f"//{secret}x/", f"/%2e%2e/{secret}/", "/studies/api/kernel/set_ui_element_value"):
    assert ask(path).status in (403, 404), path
    assert ask(path, "POST", "{}").status in (403, 404), path""",
    "foreign hosts, also within names of this machine": """\
for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.nip.io", "localhost.evil.example", "[::1]", "0.0.0.0",
             "127.0.0.1:80:80", "127.1", "2130706433", "localhost.", "127.0.0.3", ""):
    assert ask(page, Host=host).status in (400, 403), host
    assert connect(ws, Host=host) in (400, 403), host
for host in ("localhost", "127.0.0.1"):
    assert ask(page, Host=f"{host}:{port}").status == (200 if own == "127.0.0.1" else 403)""",
    "foreign origins for HTTP, WebSocket and preflight": """\
for origin in ("https://evil.example", "null", "", "http://localhost:1", f"https://{own}:{port}", "file://",
               f"{home}.evil.example", f"http://localhost:{port}", f"{home}, {home}", f"http://{own}"):
    assert ask(page, Origin=origin).status == 403, origin
    assert connect(ws, Origin=origin) == 403, origin
    assert ask(page, "OPTIONS", Origin=origin, Access_Control_Request_Method="POST").status == 403, origin""",
    "no header opens it to other websites": """\
answers = [ask(page), ask(page, Origin=home), ask(f"/{secret}/assets/none.js"), ask(f"/{secret}/"), ask("/")]
for answer in answers:
    names = {name.lower() for name, _ in answer.getheaders()}
    assert not any(name.startswith("access-control") for name in names), names
policy = answers[0].getheader("Content-Security-Policy")
assert "unsafe-eval" not in policy and "unsafe-inline" not in policy.split("style-src")[0], policy
assert "frame-ancestors 'none'" in policy""",
    "bodies without an end": """\
values = page + "api/kernel/set_model_value"
assert ask(values, "POST", b"a" * (2**20 + 1), Content_Length=str(2**20 + 1)).status == 413
assert ask(values, "POST", iter([b"a"] * 9), Transfer_Encoding="chunked").status == 411""",
    "no editor, terminal, files or code": """\
for path in ("api/kernel/run", "api/kernel/instantiate", "api/kernel/read_code", "api/kernel/scratchpad/run",
             "api/ai/chat", "api/files/update", "api/home/workspace_files", "api/export/html", "api/packages/add",
             "api/kernel/shutdown"):
    assert ask(page + path, "POST", "{}", Origin=home, Marimo_Session_Id="s_abcdef").status == 404, path
for path in ("sse", "studies.py", "public/../studies.py", "assets/..%2f..%2fstudies.py",
             "@file/9-..%2f..%2fetc%2fpasswd", "api/files/download?path=/etc/passwd", "api/status/connections"):
    assert ask(page + path).status == 404, path
for path in ("terminal/ws", "ws_sync", "lsp/pylsp"):
    assert connect(page + path, Origin=home) in (400, 403), path""",
    "another user cannot see the secret in the list of processes": """\
import glob
words = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/cmdline") if os.path.exists(path)]
assert not any(secret.encode() in line or teacher.encode() in line for line in words)""",
}
APPS = [
    *(app(name, checks, options) for options in ([], CLASS) for name, checks in DOORS.items()),
    app("the teacher's page is the teacher's", """\
assert ask(f"/{teacher}/class/").status == 200 and ask(f"/{teacher}/studies/").status == 200
assert ask(f"/{secret}/class/").status == 404
assert connect(f"/{secret}/class/ws?session_id=s_abcdef", Origin=home) in (403, 404)
assert teacher != secret""", CLASS),
    *(Case(f"app: --host {host} without a class", ["app", "--no-browser", "--host", host], "refused", says=says)
      for host, says in (("0.0.0.0", "one address"), ("192.0.2.1", "without --class"), ("::", "IPv4 address"))),
]  # fmt: skip

LISTENERS = """
import os, threading, time
from pathlib import Path
def listeners():
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    return {line.split()[9] for line in lines if line.split()[3] == "0A"}
def of(pid):
    found = set()
    for task in Path("/proc").glob("[0-9]*"):
        try:
            group = task.joinpath("stat").read_text().rpartition(")")[2].split()[2]
            if group == str(os.getpgid(0)):
                found |= {os.readlink(fd)[8:-1] for fd in task.joinpath("fd").iterdir() if "socket:" in os.readlink(fd)}
        except OSError:
            pass
    return found
if __name__ == "__main__":
    os.setpgid(0, 0)
    from flylab.runs.executors import Processes
    pool = Processes(2)
    futures = [pool.submit(time.sleep, 3) for _ in range(2)]
    time.sleep(1.5)
    assert not listeners() & of(0)
    [future.result() for future in futures]
    pool.shutdown()
"""

FILES = [
    Case("files: nothing deleted in a cache folder of the user's", """
import os
from pathlib import Path
folder = Path("cache"); folder.mkdir()
for name in ("notes-cache", "jit_f-cache", "jit_f-atime"):
    (folder / name).write_text("mine")
os.environ["JAX_COMPILATION_CACHE_DIR"] = "cache"
from flylab.base import runtime
runtime.initialise()
assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(
    ("notes-cache", "jit_f-cache", "jit_f-atime"), "mine")
""", "well"),
    Case("files: the folder of a cache set to ~ is the home", ["doctor"], "either", never=r"Traceback",
         env={"JAX_COMPILATION_CACHE_DIR": "~/jax", "XDG_CACHE_HOME": "~/.cache", "HOME": "/tmp/flylab-hostile-home"}),
    Case("files: no folder called ~", """
import os
os.environ["HOME"] = os.path.abspath("home")
os.environ["XDG_CACHE_HOME"] = "~/cache"  # matplotlib takes that as it is
os.environ["MPLCONFIGDIR"] = os.path.abspath("home")
os.environ["JAX_COMPILATION_CACHE_DIR"] = "~/jax"
from flylab.cli.main import main
from flylab.compat import mnist1d
import flylab
flylab.initialise()
assert main(["data", "-o", "~/a.npz", "--n-train", "10"]) == 0
assert main(["run", "train", "smoke", "--out=~/runs", "--n-steps", "2", "--eval-every", "2", "--n-train", "10"]) == 0
mnist1d.get_dataset(mnist1d.get_dataset_args(), "~/set.pkl", verbose=False)
flylab.data.load("~/a.npz"); mnist1d.from_pickle("~/set.pkl")
assert not os.path.exists("~"), os.listdir()
assert os.listdir() == ["home"], os.listdir()
""", "well"),
    *(Case(f"files: {' '.join(words[:1])} -o onto {kind}", f"""
import os, pathlib, socket, subprocess, sys
pathlib.Path("mine").write_text("mine")
{make}
before = os.lstat("target.{ending}")
ended = subprocess.run([sys.executable, "-m", "flylab", *{words!r}, "-o", "target.{ending}"], capture_output=True,
                       text=True, timeout=60)
after = os.lstat("target.{ending}")
assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
assert pathlib.Path("mine").read_text() == "mine"
print(ended.stderr.strip(), file=sys.stderr)
sys.exit(ended.returncode)
""", "refused", says=kind)
      for ending, words in (("csv", ["data", "--n-train", "10"]),)
      for kind, make in {
          "a pipe": 'os.mkfifo("target.csv")', "a link": 'os.symlink("mine", "target.csv")',
          "a folder": 'os.mkdir("target.csv")', "a device": 'os.mknod("target.csv", 0o20666, os.makedev(1, 3))',
          "a socket": 's = socket.socket(socket.AF_UNIX); s.bind("target.csv")',
      }.items()),
    Case("files: a live writer of another container keeps its temporary file", """
import os, sys, threading
from pathlib import Path
from flylab.base import files
seen, replace = [], os.replace
def meanwhile(*paths):  # its process number is nothing here
    files.remove_leftovers(Path("."))
    seen.extend(Path(".").glob(".flylab-*"))
    replace(*paths)
os.replace = meanwhile
files.write_atomic(Path("a"), "x")
assert len(seen) == 1 and Path("a").read_text() == "x"
""", "well"),
    Case("files: what looks like flylab's and is not stays", """
import os
from pathlib import Path
from flylab.runs.store import Store
mine = [".123-a.tmp", ".1-b.tmp", "x.tmp", ".flylab.tmp", "flylab.sqlite.copy", "flylab-notes.txt"]
for name in mine: Path(name).write_text("mine")
os.symlink("x.tmp", ".flylab-link.tmp"); os.mkfifo(".flylab-pipe.tmp")
Store(Path(".")).close()
assert all(Path(name).read_text() == "mine" for name in mine)
assert os.path.lexists(".flylab-link.tmp") and os.path.lexists(".flylab-pipe.tmp")
""", "well"),
    Case("files: the umask is honoured everywhere", """
import os, stat
from pathlib import Path
os.umask(0o077)
import flylab
flylab.run("train", preset="smoke", out="runs", n_steps=2, eval_every=2)
for path in Path("runs").rglob("*"):
    assert not stat.S_IMODE(path.stat().st_mode) & 0o077, (path, oct(path.stat().st_mode))
""", "well"),
    *(Case(f"files: {' '.join(words)} with {kind} as the store", f"""
import os, subprocess, sys
os.mkdir("runs"); open("mine", "w").write("mine")
{make}
ended = subprocess.run([sys.executable, "-m", "flylab", *{words!r}], capture_output=True, text=True, timeout=60)
assert open("mine").read() == "mine"
print(ended.stderr.strip(), file=sys.stderr)
sys.exit(ended.returncode)
""", "refused", says=f"flylab: .*it is {kind}")
      for words in (["store"], ["run", "train", "smoke"], ["store", "verify"])
      for kind, make in {
          "a pipe": 'os.mkfifo("runs/flylab.sqlite")', "a link": 'os.symlink("../mine", "runs/flylab.sqlite")',
      }.items()),
    Case("files: an export through a link", """
import os, subprocess, sys
from pathlib import Path
import flylab
flylab.run("train", preset="smoke", out="runs", n_steps=2, eval_every=2)
(folder,) = Path("runs/train").iterdir()
run = folder.relative_to("runs")
Path("mine.txt").write_text("mine")
os.makedirs(Path("target") / run); os.symlink(os.path.abspath("mine.txt"), Path("target") / run / "figure.png")
words = ["store", "export", str(folder), "target", "--out", "runs"]
ended = subprocess.run([sys.executable, "-m", "flylab", *words], capture_output=True, text=True)
assert Path("mine.txt").read_text() == "mine"
print(ended.stderr.strip(), file=sys.stderr)
sys.exit(ended.returncode)
""", "refused", says="figure.png: it is a link"),
    Case("files: a store with a trigger", """
import sqlite3
from pathlib import Path
from flylab.runs.store import Store
with Store(Path(".")) as store: store.names(["a"])
base = sqlite3.connect("flylab.sqlite")
base.execute("CREATE TRIGGER t AFTER INSERT ON member BEGIN DELETE FROM run; END"); base.commit(); base.close()
try: Store(Path(".")).names(["a"])
except OSError as error: refused(error)
""", "refused", says="code of its own"),
    Case("workers: they listen on nothing", "open('w.py', 'w').write(" + repr(LISTENERS) + ")\n"
         "import subprocess, sys\nsys.exit(subprocess.run([sys.executable, 'w.py']).returncode)", "well"),
]  # fmt: skip

READ = """
import sys
from pathlib import Path
import flylab
from flylab.base import netcdf
from flylab.compat import pickles
from flylab.data.images.files import read_idx
readers = {".nc": netcdf.open_checked, ".pkl": pickles.load, ".idx": lambda path: read_idx(path, 3)}
path = Path(NAME)
try:
    readers.get(path.suffix, flylab.data.load)(path)
except (ValueError, OSError) as error:
    assert len(str(error)) < 600
    refused(error)
"""
LONG = "a" * 300_000
ARRAY = b"cnumpy\nndarray\n(J\xe0\x93\x04\x00\x85U\x02u1h\x01tR"
ABOUT = json.dumps({"format": "flylab data 1", "config": None, "checksum": "", "shape": [1], "x": "<f8", "y": "<i8",
                    "t": [], "t_type": "<f8"})  # fmt: skip
TUPLES = b")" + b"2\x86" * 60


def hdf5(source: str) -> str:
    begin = "import h5py\nfile = h5py.File('a.nc', 'w')\ntext, long = h5py.string_dtype(), 'a' * 300_000\n"
    return f"{begin}{source}\nfile.close()\n"


def read(name: str, path: str, content: bytes | str = b"", source: str = "", ends: str = "refused") -> Case:
    files = {path: content} if content else {}
    return Case(f"bombs: {name}", source + READ.replace("NAME", repr(path)), ends, files=files, seconds=30, gigabytes=6)


BOMBS = [
    read("netCDF, one text as the fill value of many", "a.nc", source=hdf5(
        "file.create_dataset('m', (10**5,), text, fillvalue=long)")),
    read("netCDF, one text of a table", "a.nc", source=hdf5(
        "file.create_dataset('m', (400, 300), text, fillvalue=long)")),
    read("netCDF, one long text among short ones", "a.nc", source=hdf5(
        "m = file.create_dataset('m', (10**5,), text); m[:1] = long")),
    read("netCDF, texts of a fixed length", "a.nc", source=hdf5(
        "file.create_dataset('m', (2**25,), 'S7', fillvalue=b'abcdefg').attrs['_Encoding'] = 'utf-8'")),
    read("netCDF, many letters", "a.nc", source=hdf5(
        "file.create_dataset('m', (2**27,), 'S1', fillvalue=b'a').attrs['_Encoding'] = 'utf-8'")),
    read("netCDF, texts that JSON makes longer", "a.nc", source=hdf5(
        "file.create_dataset('m', (3_600_000,), text, fillvalue='\\x01' * 16)")),
    read("netCDF, times", "a.nc", source=hdf5(
        "file.create_dataset('m', (2**25,), 'i4').attrs['units'] = 'days since 2000-01-01'")),
    read("netCDF, a compressed terabyte", "a.nc", source=hdf5(
        "file.create_dataset('m', (10**12,), 'u1', chunks=(2**20,), compression='gzip')")),
    read("netCDF, a chunk larger than its array", "a.nc", source=hdf5(
        "file.create_dataset('m', (1,), 'f8', maxshape=(None,), chunks=(2**27,), compression='gzip')")),
    read("netCDF, an array of lists", "a.nc", source=hdf5(
        "file.create_dataset('m', (2**20,), h5py.vlen_dtype('f8'))")),
    read("netCDF, a link to another file", "a.nc", source=hdf5("file['m'] = h5py.ExternalLink('/etc/passwd', '/')")),
    read("netCDF, bytes of another file", "a.nc", source=hdf5(
        "file.create_dataset('m', (9,), 'u1', external=[('/etc/passwd', 0, 9)])")),
    read("netCDF, groups", "a.nc", source=hdf5("file.create_group('a/b/c')")),
    read("netCDF, a group that contains itself", "a.nc", source=hdf5("file['m'] = file['/']")),
    read("CSV, one long name of a set", "a.csv", "\n".join(
        [f"# flylab {ABOUT}", "split,label,x0", f"{LONG},0,1", *["train,0,1"] * 10**5])),
    read("CSV, one long line", "a.csv", f"# flylab {ABOUT}\nsplit,label,x0\ntrain,0," + "1," * 10**6),
    read("CSV, text as wide as its type says", "a.csv", f"# flylab {ABOUT}\nsplit,label,x0\ntrain,0,1\n".replace(
        '"<f8", "y"', '"<U99999999", "y"')),
    *(read(f"parquet, one text in the column {column}", "a.parquet", source=f"""
import pyarrow, pyarrow.parquet
table = {{"split": ["train"] * 10**5, "label": [0] * 10**5, "x0": [0.0] * 10**5}}
table[{column!r}] = pyarrow.DictionaryArray.from_arrays([0] * 10**5, ["a" * 300_000])
pyarrow.parquet.write_table(pyarrow.table(table).replace_schema_metadata({{"flylab": {ABOUT!r}}}), "a.parquet")
""") for column in ("split", "label", "x0")),
    read("parquet, texts that share their beginning", "a.parquet", source=f"""
import pyarrow, pyarrow.parquet
table = {{"split": ["a" * 300_000 + str(i) for i in range(1000)], "label": [0] * 1000, "x0": [0.0] * 1000}}
pyarrow.parquet.write_table(pyarrow.table(table).replace_schema_metadata({{"flylab": {ABOUT!r}}}), "a.parquet",
                            use_dictionary=False, column_encoding={{"split": "DELTA_BYTE_ARRAY"}})
"""),
    read("npz, a gigabyte of zeros", "a.npz", source="""
import numpy as np
np.savez_compressed("a.npz", flylab=np.array("{}"), x=np.zeros(2**27))
"""),
    read("IDX, a gigabyte of zeros", "a.idx", source="""
import gzip
gzip.open("a.idx", "wb", 1).write(bytes([0, 0, 8, 3]) + (2**10).to_bytes(4, "big") * 3 + bytes(2**30))
"""),
    read("pickle, tuples in an argument", "a.pkl", b"\x80\x02cbuiltins\ncomplex\n" + TUPLES + b"\x85R."),
    read("pickle, tuples as the name of a type", "a.pkl", b"\x80\x02cnumpy\ndtype\n" + TUPLES + b"\x85R."),
    read("pickle, tuples as a time", "a.pkl", b"\x80\x02cdatetime\ndate\n" + TUPLES + b"\x85R."),
    read("pickle, tuples as a key", "a.pkl", b"\x80\x02}" + TUPLES + b"Ns."),
    read("pickle, tuples in a set", "a.pkl", b"\x80\x04\x8f(" + TUPLES + b"\x90."),
    read("pickle, tuples as a default's function", "a.pkl",
         b"\x80\x02ccollections\ndefaultdict\n" + TUPLES + b"\x85R."),
    read("pickle, tuples as an external object", "a.pkl", b"\x80\x02" + TUPLES + b"Q."),
    read("pickle, a deep key", "a.pkl", b"\x80\x02})" + b"\x85" * 10**6 + b"Ns."),
    read("pickle, a deep frozen set", "a.pkl", b"\x80\x04(" * 10**5 + b"\x91" * 10**5 + b"."),
    read("pickle, a set of a range", "a.pkl",
         b"\x80\x02cbuiltins\nset\ncbuiltins\nrange\nJ\xff\xff\xff\x7f\x85R\x85R."),
    read("pickle, one text as a thousand arrays", "a.pkl",
         b"\x80\x02X" + (300_000).to_bytes(4, "little") + LONG.encode() + b"q\x010](" + ARRAY * 30_000 + b"e."),
    read("pickle, a list of a million lists", "a.pkl", b"\x80\x02](" + b"]" * 10**6 + b"e."),
    read("pickle, a name that runs code", "a.pkl", b"cos\nsystem\n(S'touch ran'\ntR."),
    read("pickle, what a call of a default's function would do", "a.pkl",
         b"ccollections\ndefaultdict\n(cos\ngetcwd\ntR."),
    read("pickle, a class by way of a view", "a.pkl", b"\x80\x02ccollections\nOrderedDict\n)\x81}b."),
    read("a pipe", "a.nc", source="import os\nos.mkfifo('a.nc')\n"),
    read("a device without an end", "zero.npz", source="import os\nos.symlink('/dev/zero', 'zero.npz')\n"),
    read("a pipe of an image set", "a.idx", source="import os\nos.mkfifo('a.idx')\n"),
    Case("bombs: a store with a computed column", """
import os, resource, sqlite3, warnings
from pathlib import Path
from flylab.runs.store import Store, _SCHEMA, VERSION
warnings.simplefilter("ignore")
if not (child := os.fork()):  # forging it takes memory, too
    base = sqlite3.connect("flylab.sqlite")
    base.executescript(_SCHEMA.replace("provenance TEXT NOT NULL", "provenance TEXT AS (hex(zeroblob(200000000)))"))
    base.execute(f"PRAGMA user_version = {VERSION}")
    base.execute("INSERT INTO run (folder, study, protocol, members, declaration, digest, seal) "
                 "VALUES ('','','','','','','')")
    base.commit(); base.close()
    os._exit(0)
os.waitpid(child, 0)
with Store(Path(".")) as store: assert store.runs() == []
assert len(list(Path(".").glob("*.damaged-*"))) == 1
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 600_000
""", "well", gigabytes=6),
    Case("bombs: a member with one long label", """
import json, numpy as np
from flylab.runs.content import decode, DamagedError
from safetensors.numpy import save
labels = ["a" * 300_000] + ["b"] * 10**5
data = save({}, {"flylab": json.dumps({"dims": {}, "text": {"model": labels}, "attrs": {}})})
try: decode(data)
except DamagedError as error: refused(error)
""", seconds=30, gigabytes=6),
]  # fmt: skip

COMPAT = [
    Case("compat: what people pickle is read", """
import datetime, pickle, sys
from collections import OrderedDict, defaultdict
import numpy as np
from flylab.compat import mnist1d
from flylab.compat.mnist1d import ObjectView
things = [OrderedDict(a=np.arange(2)), defaultdict(list, a=[1]), range(5), datetime.datetime.now(datetime.UTC),
          datetime.date.today(), datetime.timedelta(1), datetime.time(1), np.array(["2020"], "M8[Y]"),
          np.timedelta64(3, "s")]
for protocol in range(6):
    for thing in things:
        open("a.pkl", "wb").write(pickle.dumps(thing, protocol))
        back = mnist1d.from_pickle("a.pkl")
        assert type(back) is type(thing) and str(back) == str(thing), (thing, back)
    open("a.pkl", "wb").write(pickle.dumps(ObjectView({"seed": [1]}), protocol))
    assert vars(mnist1d.from_pickle("a.pkl")) == {"seed": [1]}
""", "well"),
    Case("compat: a trusted pickle is read, and only on request", """
import fractions, pickle
from flylab.compat import mnist1d
open("a.pkl", "wb").write(pickle.dumps(fractions.Fraction(1, 3)))
assert mnist1d.from_pickle("a.pkl", trusted=True) == fractions.Fraction(1, 3)
try: mnist1d.from_pickle("a.pkl")
except ValueError as error: refused(error)
""", "refused", says="trusted=True"),
    *(Case(f"compat: trusted={value!r} is no yes", f"""
from flylab.compat import mnist1d
open("a.pkl", "wb").write(b"N.")
try: mnist1d.from_pickle("a.pkl", trusted={value!r})
except ValueError as error: refused(error)
""", "refused", says="trusted=") for value in ("no", 1, None)),
    *(Case(f"compat: a cache file that is {kind} is replaced", """
import warnings
from pathlib import Path
from flylab.compat import mnist1d
warnings.simplefilter("ignore")
before = Path("mnist1d_data.pkl").read_bytes()
assert len(mnist1d.get_dataset(mnist1d.get_dataset_args(), verbose=False)["y"]) == 4000
assert Path("mnist1d_data.pkl.broken").read_bytes() == before
warnings.simplefilter("error")
assert len(mnist1d.get_dataset(mnist1d.get_dataset_args(), verbose=False)["y"]) == 4000
""", "well", files={"mnist1d_data.pkl": content})
      for kind, content in {"empty": b"", "cut off": b"\x80\x03}q\x00(X\x01", "a page": b"<html></html>",
                            "a gzip": gzip.compress(b"x"), "zeros": bytes(9000)}.items()),
]  # fmt: skip

CASES = [*APPS, *FILES, *BOMBS, *COMPAT]
