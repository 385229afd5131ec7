"""Hostile data, seeds, objectives and models: converted, or refused before any work; never another result."""

from hostile import Case

START = """
import jax, numpy as np, optax, torch, pandas as pd, xarray, flylab
from flylab.data import MNIST1D, published, Dataset
splits = published(MNIST1D(n_train=100, n_valid=0, n_test=100))
model, plan, grid = flylab.get_model("logistic"), flylab.Plan(5, 50), {"learning_rate": 1e-2, "seed": [0]}
x, y = splits.train
def trained(train=splits.train, test=splits.test, objective=model, plan=plan, **changes):
    data = splits._replace(train=train, test=test)
    return flylab.train_members(objective, data, plan, grid | changes)
def later(test):
    data = lambda seed: splits._replace(test=test) if seed else splits
    return flylab.train_members(model, data, plan, grid | {"seed": [0, 1]})
def tried(function):
    try:
        return function()
    except (ValueError, TypeError) as error:
        refused(error)
"""


def refused(name: str, expression: str, says: str) -> Case:
    return Case(name, f"{START}\ntried(lambda: {expression})", says=says)


def equal(name: str, expression: str, expected: str = "trained()") -> Case:
    """A case in which two populations are the same, bit for bit."""
    check = f"a, b = {expression}.results, {expected}.results\nassert a.identical(b), (a, b)\nprint('the same')"
    return Case(name, f"{START}\n{check}", "well", "the same")


DATA = [
    refused("one label fewer in the test set", "trained(test=(x, y[:-1]))", "test set must have one label for each"),
    refused("one input more in the training set", "trained((np.concatenate([x, x[:1]]), y))", "one label for each"),
    refused("labels in a column", "trained((x, y[:, None]))", "ravel"),
    refused("labels between integers", "trained((x, y + 0.3))", "fractions"),
    refused("labels of a float tensor", "trained((torch.tensor(x), torch.tensor(y).float()))", "astype"),
    refused("labels with a gap in pandas", "trained((x, pd.Series([None, *y[1:]])))", "fractions or is not finite"),
    refused("one-hot labels", "trained((x, np.eye(10)[y]))", "argmax"),
    refused("labels that are words", "trained((x, np.array(list('abcdefghij'))[y]))", "text: give numpy.unique"),
    refused("labels from 1", "trained((x, y + 1), (splits.test.x, splits.test.y + 1))", "label 10 in the train set"),
    refused("labels 2**32 above", "trained((x, y + 2**32))", "label 42949"),
    refused("a label of -1 for unknown", "trained((x, np.where(y == 3, -1, y)))", "label -1"),
    refused("one NaN", "trained((np.where(np.arange(4000).reshape(100, 40) == 77, np.nan, x), y))", "example 1"),
    refused("inputs beyond float32", "trained((1e200 * x, y))", "finite numbers of float32"),
    refused("masked inputs", "trained((np.ma.masked_greater(x, 1), y))", "masked values"),
    refused(
        "test signals of another length", "trained(test=(splits.test.x[:, 1:], splits.test.y))", "one shape in all"
    ),
    refused("an empty test set", "trained(test=([], []))", "n_test=0"),
    *(
        refused(f"{what} of a later seed", f"later({change})", says)
        for what, change, says in (
            ("labels beyond the outputs", "Dataset(x, y + 5)", "label 14 in the test set"),
            ("a smaller test set", "Dataset(x[:50], y[:50])", "data of all seeds must have the same form"),
            ("signals of another length", "Dataset(x[:, 1:], y)", "one shape in all sets"),
        )
    ),
    refused(
        "a pair for a later seed",
        "flylab.train_members(model, lambda s: (x, y) if s else splits, plan, grid | {'seed': [0, 1]})",
        "data must be Splits",
    ),
    refused("a pair in place of splits", "flylab.train_members(model, (x, y), plan, grid)", "data must be Splits"),
    equal("lists", "trained((x.tolist(), y.tolist()))"),
    equal("tensors", "trained((torch.tensor(x, requires_grad=True), torch.tensor(y)))"),
    equal("a frame with another index", "trained((pd.DataFrame(x, index=range(9, 109)), pd.Series(y, dtype='Int64')))"),
    equal("JAX arrays of small integers", "trained((jax.numpy.asarray(x), jax.numpy.asarray(y, 'int8')))"),
]
HYPER = [
    refused("a seed twice", "trained(seed=[0, 1, 0])", "different seeds"),
    refused("half a seed", "trained(seed=[0.5])", r"seed\[0\]=0.5 must be an integer"),
    refused("a seed below 0", "trained(seed=range(-1, 3))", r"seed\[0\]=-1 must be an integer"),
    refused("a number in place of seeds", "trained(seed=3)", r"range\(10\)"),
    refused("a learning rate as text", "trained(learning_rate='1e-2')", "must be a number"),
    refused("a learning rate that is NaN", "trained(learning_rate=[1e-2, float('nan')])", "finite number"),
    *(refused(f"a learning rate that is {what}", f"trained(learning_rate={value})", "must be a finite number")
      for what, value in {
          "masked": "np.ma.array([.1, .2], mask=[0, 1])", "complex": "np.array([.1 + 2j])", "too long": "[10**400]",
          "a date": "np.array(['2020'], 'M8[Y]')", "a time": "np.array([1], 'm8[s]')", "text": "np.array(['.1'])",
      }.items()),
    *(refused(f"a key that is {value}", f"flylab.train_members(model, splits, plan, grid, key={value})",
              "key=.* must be an integer") for value in ("2**32", "-1", "0.5", "True")),
    equal("axes of xarray", "trained(learning_rate=xarray.DataArray([.25, .5]), seed=xarray.DataArray([3, 4]))",
          "trained(learning_rate=[.25, .5], seed=[3, 4])"),
    refused("no learning rate", "flylab.train_members(model, splits, plan, {'seed': [0]})",
            "'learning_rate' is missing"),
    refused("a learning rate by another name", "flylab.train_members(model, splits, plan, {'lr': .1, 'seed': [0]})",
            "missing; there are lr"),
    refused("the name of a model", "trained(objective='mlp')", "objective must be an Objective"),
    refused("the name of a model in supervised", "flylab.supervised('mlp')", "flylab.get_model"),
    refused("an uncalled constructor of optax", "flylab.Plan(5, optimizer=optax.adam)", "such as optax.adam"),
    refused("another optimizer's name", "flylab.Plan(5, optimizer='adamw')", "one of adam, sgd"),
    equal("an objective or its model", "trained(objective=flylab.supervised(model))"),
    equal("a list of one learning rate", "trained(learning_rate=[1e-2]).results.squeeze('learning_rate', drop=True)"
          ".pipe(lambda r: type('P', (), {'results': r}))"),
    equal("an optax transformation", "flylab.train_members(model, splits, flylab.Plan(5, 50, optimizer=optax.sgd(.1)), "
          "{'seed': [0]})", "flylab.train_members(model, splits, flylab.Plan(5, 50, optimizer='sgd'), "
          "{'learning_rate': .1, 'seed': [0]})"),
    Case("a misspelt attribute", "import flylab\ntry: flylab.publised\nexcept AttributeError as e: refused(e)",
         says="did you mean 'published'"),
]  # fmt: skip
RESULTS = [
    Case("300 classes", START + """
many = np.arange(100) % 2 * 299
from flylab.training.learners import of_model
learner = of_model(flylab.get_model("mlp", n_outputs=300), (40,))
data = splits._replace(train=Dataset(x, many), test=Dataset(x, many))
fitted = learner.fit(data, flylab.Plan(400, 50), 1e-2, [0])
accuracy = fitted.results.test_accuracy.isel(step=-1).item()
assert accuracy == 100 * (fitted.predict(x)[0] == many).mean() == 100 * (fitted.results.prediction == many).mean()
print("accuracy", accuracy)""", "well", "accuracy 100.0"),
    Case("equal calls of a module that draws from NumPy", START + """
from flylab.adapters.torch_training import from_torch
class Net(torch.nn.Linear):
    def __init__(self): super().__init__(40, 10); self.a = np.random.random()
    def forward(self, x): return super().forward(x + self.a * torch.tensor(np.random.random(x.shape)).float())
one, two = (from_torch(Net, (40,)).fit(splits, plan, 1e-2, [0]).results for _ in range(2))
assert one.identical(two)
print("the same")""", "well", "the same"),
    Case("a metric of the loss", START + """
objective = flylab.supervised(model)
mine = objective._replace(loss=lambda *a: (objective.loss(*a)[0], {"norm": optax.tree.norm(a[0])}))
print(dict(trained(objective=mine).results.norm.sizes))""", "well", "'update': 5"),
    Case("parameters saved on the way", START + """
population = trained(plan=flylab.Plan(5, 50, save_params_at=(2, 5)), seed=[0, 1])
assert (population.saved_params[1]["w"] == population.params["w"]).all()
print(population.saved_params[0]["w"].shape)""", "well", r"\(2, 10, 40\)"),
]  # fmt: skip

MINE = """
import os, flylab
def net():
    {read}
    return flylab.get_model("mlp", width=WIDTH)
"""
EVALUATE = """
import os, sys, warnings
import flylab, scipy.io
def n_params(width):
    open("neighbour.py", "w").write(f"WIDTH = {width}  # \\n" + "#" * width)
    open("width.txt", "w").write(str(width))
    scipy.io.savemat("w.mat", {"w": width})
    os.environ["WIDTH"] = str(width)
    small = dict(n_seeds=1, n_steps=2, eval_every=1)
    return flylab.evaluate("mine.py:net", name="mine", preset="smoke", **small).row.n_params
assert [n_params(width) for width in (3, 5, 3)] == [175, 295, 175], "stale"
print("current")
"""
READS = {
    "a neighbour imported late": "from neighbour import WIDTH",
    "a neighbour imported by a text": "import importlib; WIDTH = importlib.import_module('neigh' + 'bour').WIDTH",
    "a data file": "WIDTH = int(open('width.txt').read())",
    "a data file by NumPy": "import numpy; WIDTH = int(numpy.loadtxt('width.txt'))",
    "an environment variable": "WIDTH = int(os.environ['WIDTH'])",
    "an environment variable by getenv": "from os import getenv as g; WIDTH = int(g('WIDTH'))",
    "an environment variable by expanding": "WIDTH = int(os.path.expandvars('$WIDTH'))",
    "an environment variable by an operator": "import operator; "
    "WIDTH = int(operator.attrgetter('environ')(os)['WIDTH'])",
    "a raw file": "import io; WIDTH = int(io.FileIO('width.txt').readall())",
    "a file of MATLAB": "import scipy.io; WIDTH = int(scipy.io.loadmat('w.mat')['w'][0, 0])",
    "a file's size": "WIDTH = os.path.getsize('neighbour.py') - 14",
}
EVALUATIONS = [
    Case(f"evaluate reads {what}", EVALUATE, "well", "current", files={"mine.py": MINE.format(read=read)}, seconds=300)
    for what, read in READS.items()
]
SLOT = """
import functools, os, sys
import jax.numpy as jnp, numpy as np
SCALE = [1.0]
class Scale: value = 1.0
class Scaler:
    def __init__(self, f, scale):
        functools.update_wrapper(self, f)
        self.f, self.scale = f, scale
    def __call__(self, left, right): return self.scale * self.f(left, right)
def base(left, right): return jnp.maximum(left, right)
def changed(left, right): return SCALE[0] * base(left, right)
def of_class(left, right): return Scale.value * base(left, right)
def of_file(left, right): return float(np.loadtxt("w.txt")) * base(left, right)
def of_environment(left, right): return float(os.environ["W"]) * base(left, right)
"""
SLOTS = """
import os, flylab, mine
small = dict(n_seeds=1, n_steps=20, eval_every=20, poolings=("none",), train_sizes=(100,), endless=False)
def loss(w, out):
    os.environ["W"], mine.SCALE[0], mine.Scale.value = str(w), w, w
    open("w.txt", "w").write(str(w))
    results = flylab.run("pooling", "smoke", out=out, pooling={given}, **small)
    return results.test_loss.sel(pooling=results.pooling.values[-1]).isel(step=-1).item()
one, other = (loss(w, "runs") for w in (1.0, -3.0))
assert one != other == loss(-3.0, "fresh"), "stale"
print("current")
"""
GIVEN = {
    "a decorator with state": "mine.Scaler(mine.base, w)", "a list that has changed": "mine.changed",
    "a class that has changed": "mine.of_class", "a file": "mine.of_file", "the environment": "mine.of_environment",
}  # fmt: skip
FUNCTIONS = [
    Case(f"a function of {what}", SLOTS.format(given=given), "well", "current", files={"mine.py": SLOT}, seconds=300)
    for what, given in GIVEN.items()
]
DICTIONARY = "from flylab.compat import mnist1d\nargs = mnist1d.get_dataset_args(as_dict=True) | {'num_samples': 50}\n"
COMPAT = [
    Case("get_dataset of a dictionary", DICTIONARY + "print(len(mnist1d.get_dataset(args, download=False)['x']))",
         "well", "^40$|\n40\n"),
    Case("get_dataset of a dictionary with a slip", DICTIONARY + "args['sed'] = args.pop('seed')\n"
         "try: mnist1d.get_dataset(args)\nexcept ValueError as e: refused(e)", says="'sed' is no argument"),
    Case("get_dataset of a path", "from flylab.compat import mnist1d\n"
         "try: mnist1d.get_dataset('mnist1d_data.pkl')\nexcept TypeError as e: refused(e)", says="must be arguments"),
]  # fmt: skip
CASES = [*DATA, *HYPER, *RESULTS, *EVALUATIONS, *FUNCTIONS, *COMPAT]
