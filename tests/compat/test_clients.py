"""Client code as it is published, run with the reference and with ours: one import line changed, the same outcome."""

import random

import numpy as np
import pytest

IMPORTS = {  # the reference's line → ours
    "import mnist1d\n": "import flylab.compat.mnist1d as mnist1d\n",
    "from mnist1d.data import": "from flylab.compat.mnist1d.data import",
    "from mnist1d.utils import": "from flylab.compat.mnist1d.utils import",
    "from mnist1d.transform import": "from flylab.compat.mnist1d.transform import",
}
CLIENTS = {
    "textbook": """
import mnist1d
args = mnist1d.data.get_dataset_args()
args.num_samples = 800
args.train_split = 0.5
args.corr_noise_scale = 0.25
args.iid_noise_scale=2e-2
data = mnist1d.data.get_dataset(args, path='./sample_data/x.pkl', download=False, regenerate=False)
weights = np.random.randn(40, 100)
again = mnist1d.data.get_dataset(args, path='./sample_data/x.pkl', download=False, regenerate=False)
order = np.random.permutation(len(again['x']))
out = [data['x'], data['y'], data['x_test'], data['y_test'], data['t'], again['x'], weights, order]
""",
    "textbook, noisy labels": """
from mnist1d.data import get_dataset_args, make_dataset
args = get_dataset_args()
args.num_samples, args.train_split, args.seed = 300, 0.5, 7
data = make_dataset(args)
for c_y in range(len(data['y'])):
    random_number = random.random()
    if random_number < 0.15:
        random_int = int(random.random() * 10)
        data['y'][c_y] = random_int
flips = np.random.rand(len(data['y'])) < 0.2
data['y'][flips] = np.random.randint(10, size=flips.sum())
out = [data['x'], data['y'], data['y_test'], flips]
""",
    "continual learning": """
import mnist1d
args = mnist1d.get_dataset_args()
args.num_samples, args.final_seq_length, args.seed = 300, 360, 3
data = mnist1d.get_dataset(args, path='./all.pkl', download=False, regenerate=True, verbose=False)
tasks = []
for classes in ([0, 1], [2, 3], [8, 9]):
    keep = np.isin(data['y'], classes)
    tasks += [data['x'][keep], data['y'][keep] - classes[0]]
out = [*tasks, data['x_test'].astype(np.float32)]
""",
    "a script": """
from mnist1d.data import make_dataset, get_templates
from mnist1d.utils import ObjectView, set_seed
kwargs = {'num_samples': 90, 'train_split': 0.9, 'template_len': 16, 'padding': [10, 30], 'scale_coeff': .2,
          'max_translation': 20, 'corr_noise_scale': 0.1, 'iid_noise_scale': 0.01, 'shear_scale': 0.5,
          'shuffle_seq': True, 'final_seq_length': 50, 'seed': 0}
template = get_templates()
template = {'x': template['x'][:3], 't': template['t'], 'y': np.array([7, 8, 9])}
out = []
for seed in range(2):
    kwargs['seed'] = seed
    data = make_dataset(ObjectView(kwargs), template)
    out += [data['x'], data['y'], data['t'], data['templates']['y'], np.random.rand(3)]
set_seed(5)
out.append(np.random.choice(100, 10))
""",
    "one's own pipeline": """
import mnist1d
from mnist1d.transform import pad, shear, translate, corr_noise_like, iid_noise_like, interpolate
from mnist1d.utils import set_seed
templates, args = mnist1d.get_templates(), mnist1d.get_dataset_args()
set_seed(args.seed)
out = []
for x, t in zip(templates['x'], [templates['t']] * 10):
    x = pad(x, args.padding)
    x = interpolate(x, args.template_len + args.padding[-1])
    x = translate(x, args.max_translation)
    x = x + corr_noise_like(x, args.corr_noise_scale) + iid_noise_like(x, args.iid_noise_scale)
    out.append(interpolate(shear(x, args.shear_scale), args.final_seq_length))
    out += mnist1d.transform(templates['x'][0], t, args)
""",
    "saved and loaded": """
import mnist1d
args = mnist1d.get_dataset_args(as_dict=True)
args.update(num_samples=60, seed=11)
data = mnist1d.data.make_dataset(mnist1d.ObjectView(args))
mnist1d.to_pickle(data, 'mine.pkl')
data = mnist1d.from_pickle('mine.pkl')
np.random.shuffle(data['x'])
out = [data['x'], data['templates']['x'], data['templates']['y']]
""",
}


def run(source, folder, monkeypatch):
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "sample_data").mkdir()
    ours_or_theirs = {"np": np, "random": random}
    random.seed(1)
    np.random.seed(1)
    exec(compile(source, "client", "exec"), ours_or_theirs)
    return [*ours_or_theirs["out"], np.random.rand(2), np.array([random.random()])]


@pytest.mark.parametrize("source", CLIENTS.values(), ids=CLIENTS)
def test_client_code_gives_the_same(source, tmp_path, monkeypatch):
    translated = source
    for theirs, ours in IMPORTS.items():
        translated = translated.replace(theirs, ours)
    assert translated != source
    want = run(source, tmp_path / "theirs", monkeypatch)
    got = run(translated, tmp_path / "ours", monkeypatch)
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12, strict=True)
