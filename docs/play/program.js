// A run as a Python program for flylab: the same data, first weights and batches.

import { dataOf } from "./state.js";
import { N_EVALUATED, EVALUATIONS } from "./training.js";

const python = (value) => {
  if (Array.isArray(value)) return `(${value.map(python).join(", ")}${value.length === 1 ? "," : ""})`;
  if (typeof value === "boolean") return value ? "True" : "False";
  return value === null ? "None" : String(value);
};

/** Return a program that trains the networks of a state, and those that are pruned if `sparsity` is a number. */
export function asPython(state, sparsity = null) {
  const data = Object.entries(dataOf(state)).map(([name, value]) => `${name}=${python(value)}`);
  const every = Math.max(Math.floor(state.n_steps / EVALUATIONS), 1);
  const isShuffled = state.arrangements.includes("shuffled");
  const isPruned = sparsity !== null;
  const orders = state.arrangements.map((name) => {
    return name === "plain" ? '"plain": None' : `"shuffled": shuffled(${state.final_seq_length})`;
  });
  const outputs = Math.max(...state.classes.map(Number)) + 1;
  const lines = [
    isPruned && "import jax\n",
    "import flylab",
    isShuffled && "from flylab.data import shuffled",
    `from flylab.models import get_model${isPruned ? ", masks" : ""}`,
    "",
    "flylab.initialise()  # set up JAX for all cores",
    `plan = flylab.Plan(${state.n_steps}, ${state.batch_size}, eval_every=${every}, n_train_evaluated=${N_EVALUATED})`,
    `grid = {"learning_rate": [${state.learning_rate}], "seed": range(${state.n_seeds})}`,
    `orders = {${orders.join(", ")}}`,
    `for name in ${python(state.models.map((model) => `"${model}"`))}:`,
    `    network = get_model(name, length=${state.final_seq_length}, n_outputs=${outputs})`,
    "    for arrangement, order in orders.items():",
    `        splits = flylab.published(flylab.MNIST1D(permutation=order${data.map((text) => `, ${text}`).join("")}))`,
    "        trained = flylab.train_members(flylab.supervised(network), splits, plan, grid)",
    "        accuracy = trained.results.test_accuracy.isel(step=-1)",
    '        print(f"{name}, {arrangement}: {accuracy.mean().item():.2f} % test accuracy, mean over seeds")',
  ];
  if (isPruned) {
    lines.push(
      "        pruned = []",
      '        for i, seed in enumerate(grid["seed"]):',
      "            params = jax.tree.map(lambda leaf: leaf[0, i], trained.params)",
      `            mask = masks.prune(params, masks.full(params), ${sparsity}, prune_biases=False)`,
      "            ticket = masks.masked(network, mask)  # it starts from the first weights",
      '            again = flylab.train_members(flylab.supervised(ticket), splits, plan, {**grid, "seed": [seed]})',
      "            pruned.append(again.results.test_accuracy.isel(step=-1).item())",
      `        print(f"{name}, {arrangement}, ${Math.round(100 * sparsity)} % pruned: {sum(pruned) / len(pruned):.2f} %")`,
    );
  }
  return `${lines.filter((line) => line !== false).join("\n")}\n`;
}
