"""What the essay guessed and what came out, for the pages of studies; the role `verdict` writes every number."""

_STUDY = "tickets_at_scale"
_DATA = {"mnist1d": "MNIST-1D", "digits": "digits", "mnist": "MNIST", "cifar10": "CIFAR-10 (JPEG copies)"}
_LONGER = {"mnist1d-80": "MNIST-1D, 80 points", "mnist1d-160": "MNIST-1D, 160 points"}
_TRANSFERS = {
    "mnist-to-digits": "MNIST's ticket on digits", "digits-to-mnist": "the digits' on MNIST",
    "mnist-to-cifar10": "MNIST's on CIFAR-10 (JPEG copies)",
    "cifar10-to-mnist": "that of CIFAR-10 (JPEG copies) on MNIST",
}  # fmt: skip


def _each(claim: str, titles: dict[str, str] = _DATA) -> str:
    """Return a claim on each data set, or pair of them, as a list."""
    return "".join(f"- {title}: {{verdict}}`{_STUDY}/{claim}-{name}`\n" for name, title in titles.items())


ANSWERS = {
    "architectures": """**What was guessed.** On 28×28 MNIST logistic regression, MLP and CNN reach 94, 99+ and
99+ %, so that it tells them apart less well than MNIST-1D, and it costs more to train on.

**What came out.** Tuned on validation data, with few rates and few epochs (see the protocol below), the levels
on MNIST are

- logistic regression: {verdict}`architectures/mnist-logistic`
- MLP: {verdict}`architectures/mnist-mlp`
- CNN: {verdict}`architectures/mnist-cnn`

A level that is refuted is out of reach of this modest tuning, which does not mean of the network. The spread of
accuracies on MNIST-1D, less five times that on MNIST:

- logistic regression to CNN: {verdict}`architectures/discriminates`
- MLP to CNN: {verdict}`architectures/discriminates-cnn`

What training to the best validation accuracy costs on MNIST, in decades of FLOPs beyond MNIST-1D:

- logistic regression: {verdict}`architectures/cost-logistic`
- MLP: {verdict}`architectures/cost-mlp`
- CNN: {verdict}`architectures/cost-cnn`

Training on images ends after a fixed number of steps, at which validation accuracy may still rise: a cost that is
refuted is one of this short training, and the ResNet's accuracy is that after it, too. Is a harder set of images more
telling, in points beyond MNIST's?

- MLP to CNN on CIFAR-10 (JPEG copies): {verdict}`architectures/cifar-discriminates`
- CNN to ResNet: {verdict}`architectures/cifar-discriminates-resnet`
""",
    _STUDY: f"""**What was guessed.** On MNIST-1D, survivors in a ticket's first layer are neighbours more often than
by chance, which the essay reads as a spatial prior that pruning has found. It guesses that tickets of larger networks
have one, too.

**What came out.** Do survivors cluster in the narrowest network? Chance, a ratio of 1, keeps the survivors of every
unit and every input.

{_each("clusters", _DATA | _LONGER)}
And in the widest?

{_each("widest-clusters")}
Does that grow with the network's width? The effect is the change of a coefficient (Cole 1949) that is 0 by chance, and
1 where survivors have as many neighbours as their inputs allow.

{_each("grows-with-width")}
With the training data?

{_each("grows-with-data")}
With sparsity?

{_each("grows-with-sparsity")}
With the points of a signal: {{verdict}}`{_STUDY}/grows-with-length`

What is the ticket of the narrowest network worth, with 92 % of the weights pruned? Its accuracy less that of the dense
network:

{_each("wins", _DATA | _LONGER)}
Its accuracy less that of random masks that differ in the places of survivors only:

{_each("positions-matter", _DATA | _LONGER)}
Its gain over the dense network, less the gain after pixels or points are permuted:

{_each("advantage-is-spatial", _DATA | _LONGER)}
And the widest network's ticket? Its accuracy in the search, less that of the dense network (claims that were written
after these results were seen, and are therefore exploratory):

{_each("widest-wins")}
No random mask was trained at this width, and the rate is the same for all widths, which may suit a wide dense network
badly. The study [lottery](lottery.md) has such controls, for a network of 500 units on the published data. Its ticket,
less

- the dense network: {{verdict}}`lottery/beats-dense-search`
- the dense network at its best rate: {{verdict}}`lottery/beats-tuned`
- random masks, on fresh data: {{verdict}}`lottery/beats-random`

On other images, the narrowest network's ticket less random masks:

{_each("transfers", _TRANSFERS)}
And less the dense network:

{_each("transfer-wins", _TRANSFERS)}
Are two networks that grow from one ticket joined by a line without a barrier (Frankle et al. 2020)? The error's
barrier after the latest rewinding step:

{_each("stable-late")}
And the barrier without rewinding, less this one:

{_each("barrier-falls")}
On images, the figure's last panel has barriers near 0 without rewinding and of dense networks, too: these claims tell
little there.
""",
    "transfer": """**What was guessed.** The learned function "is especially good at producing low training loss early
in optimization", and has a middle rank by final test loss, in a CNN on MNIST and on CIFAR-10.

**What came out.** First or second of nine by training loss over the first epoch:

- MNIST: {verdict}`transfer/transfer-early.mnist`
- CIFAR-10 (JPEG copies): {verdict}`transfer/transfer-early.cifar10`
- digits: {verdict}`transfer/transfer-early.digits`

Rank 4 to 6 by final test loss:

- MNIST: {verdict}`transfer/transfer-final.mnist`
- CIFAR-10 (JPEG copies): {verdict}`transfer/transfer-final.cifar10`
- digits: {verdict}`transfer/transfer-final.digits`
""",
    "regularisation": """**What was guessed.** On MNIST it is "hard to judge the relative effectiveness of different
regularization schemes", which a harder and smaller data set should make easier. (Penalties on weights, those of users
too, are compared by the study [regularisers](regularisers.md); here the data sets are.)

**What came out.** How much larger are differences between eight regularisers on MNIST-1D, in standard errors and
doublings, for equal FLOPs?

- than on MNIST: {verdict}`regularisation/discriminates-regularisers.mnist`
- than on digits: {verdict}`regularisation/discriminates-regularisers.digits`

And for equally many seeds?

- than on MNIST: {verdict}`regularisation/seeds.mnist`
- than on digits: {verdict}`regularisation/seeds.digits`

Would a choice that is made on MNIST-1D be right elsewhere? Kendall's τ of the orders:

- MNIST: {verdict}`regularisation/same-order.mnist`
- digits: {verdict}`regularisation/same-order.digits`

What helps on MNIST-1D, in points of test accuracy:

- weight decay: {verdict}`regularisation/helps.weight_decay`
- dropout: {verdict}`regularisation/helps.dropout`
- batch normalisation: {verdict}`regularisation/helps.batch_norm`
- label smoothing: {verdict}`regularisation/helps.label_smoothing`
- mixup: {verdict}`regularisation/helps.mixup`
- early stopping: {verdict}`regularisation/helps.early_stopping`
- shifted examples: {verdict}`regularisation/helps.augmentation`

Four things to know. The same FLOPs are fewer seeds of equally long trainings; the last panel has shorter trainings,
by which MNIST is told apart for less, so that most of the lead for equal FLOPs is lost. Differences on MNIST-1D are
above all those of two regularisers, shifted examples and early stopping. Equally many steps are more epochs of a
small set than of a large one, and regularisers have less to do where examples are seen less often. And early stopping
takes the evaluation with the lowest validation *loss*: on MNIST-1D that of an overconfident network rises long before
its accuracy has ceased to.
""",
    "regularisers": """This study compares penalties on weights, those of users too, on MNIST-1D. Whether MNIST-1D tells
regularisers of all kinds apart better than images do is asked by the study [regularisation](regularisation.md).
""",
    "activation_at_scale": """**What was guessed.** "Running the same metalearning algorithm on larger models and
datasets would further refine" the function: one that was learned on a small network for early training loss had, it
says, a middle rank by final test loss.

**What came out.** Are functions that are learned on a larger network, by the same goal, better there by final test loss
than those of the published protocol? (The size of the network is not all that differs: here functions have fewer units,
and are learned in fewer outer steps.)

- deep MLP: {verdict}`activation_at_scale/larger-refines.mlp`
- CNN: {verdict}`activation_at_scale/larger-refines.cnn`
- CNN of MNIST: {verdict}`activation_at_scale/larger-refines.cnn2d`

Is the goal to blame? Places gained by learning for the validation loss at the end of an unrolled training, a fraction
of a whole one, in place of the mean training loss over it (0, on the border of the region, says that there was nothing
to gain: with either goal, every seed's function is first):

- deep MLP: {verdict}`activation_at_scale/final-rank.mlp`
- CNN: {verdict}`activation_at_scale/final-rank.cnn`
- CNN of MNIST: {verdict}`activation_at_scale/final-rank.cnn2d`

And test accuracy over the best of eight usual functions. All train at the one rate at which functions are learned,
which is tuned for no usual one:

- deep MLP: {verdict}`activation_at_scale/gain.mlp`
- CNN: {verdict}`activation_at_scale/gain.cnn`
- CNN of MNIST: {verdict}`activation_at_scale/gain.cnn2d`

Truncated unrolls see the first steps only. Places gained by evolution strategies, which see whole trainings (0 again
says that there was nothing to gain):

- deep MLP: {verdict}`activation_at_scale/evolved-rank.mlp`
- CNN: {verdict}`activation_at_scale/evolved-rank.cnn`
- CNN of MNIST: {verdict}`activation_at_scale/evolved-rank.cnn2d`
""",
    "petri_dish": """**What was guessed.** The essay names the Synthetic Petri Dish (Rawal et al. 2020) as its kin:
instead of a small real task, a few synthetic examples are learned on which architectures rank as on the real one.

**What came out.** Kendall's τ of a learned dish less that of the real examples at which it began, at equal cost:

- MNIST-1D: {verdict}`petri_dish/dish-beats-subset.mnist1d`
- digits: {verdict}`petri_dish/dish-beats-subset.digits`
- MNIST: {verdict}`petri_dish/dish-beats-subset.mnist`
- CIFAR-10 (JPEG copies): {verdict}`petri_dish/dish-beats-subset.cifar10`

Less that of training on all data, stopped at equal cost:

- MNIST-1D: {verdict}`petri_dish/dish-beats-early.mnist1d`
- digits: {verdict}`petri_dish/dish-beats-early.digits`
- MNIST: {verdict}`petri_dish/dish-beats-early.mnist`
- CIFAR-10 (JPEG copies): {verdict}`petri_dish/dish-beats-early.cifar10`

Less that of the number of parameters, which costs nothing, so that a dish has to do better to be worth learning:

- MNIST-1D: {verdict}`petri_dish/dish-beats-size.mnist1d`
- digits: {verdict}`petri_dish/dish-beats-size.digits`
- MNIST: {verdict}`petri_dish/dish-beats-size.mnist`
- CIFAR-10 (JPEG copies): {verdict}`petri_dish/dish-beats-size.cifar10`

Doublings of the cost at which all data rank as well as a dish (learning the dish is not counted):

- MNIST-1D: {verdict}`petri_dish/dish-saves.mnist1d`
- digits: {verdict}`petri_dish/dish-saves.digits`
- MNIST: {verdict}`petri_dish/dish-saves.mnist`
- CIFAR-10 (JPEG copies): {verdict}`petri_dish/dish-saves.cifar10`

Is MNIST-1D a dish for images? τ of the order after one whole training on MNIST-1D with the order on images:

- digits: {verdict}`petri_dish/mnist1d-predicts.digits`
- MNIST: {verdict}`petri_dish/mnist1d-predicts.mnist`
- CIFAR-10 (JPEG copies): {verdict}`petri_dish/mnist1d-predicts.cifar10`

That is no proof that MNIST-1D is worth its cost: compare it with the table's row on the number of parameters, which
needs no training.
""",
}
