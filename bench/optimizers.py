"""Write the table of optimisers and their curves against seconds: `python bench/optimizers.py`.

    python bench/optimizers.py RUN [--rounds 3] [--figure FILE.png] [--out FILE.md]

RUN is the folder of a run of `flylab run optimizers paper`, such as `docs/results/optimizers/paper`. `flylab time`
shows the same of any contest, those with users' functions included.
"""

import argparse
from pathlib import Path

from flylab.evaluation.timing import time_run


def main() -> None:
    """Time, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table, figure = time_run(options.run, n_rounds=options.rounds)
    rows = [table.columns, ["---"] * len(table.columns), *table.rows]
    text = f"{table.title}.\n\n" + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)
    print(text)
    if options.out:
        options.out.write_text(text)
    if options.figure:
        figure.savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
