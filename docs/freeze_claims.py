"""Freeze the claims of all studies: `python docs/freeze_claims.py`, before anything is run on held-out seeds.

The digests of their definitions go into `flylab/artifacts/claims.json`. A verdict is confirmatory only if the claim had
this digest when the run was first finished, and has it still. So freeze again only with a reason, which the changelog
states.
"""

import json

from flylab.base.files import write_atomic
from flylab.results.frozen import FROZEN, digests
from flylab.study.registry import get_study, list_studies

if __name__ == "__main__":
    found = {name: digests(get_study(name).claims) for name in list_studies()}
    write_atomic(FROZEN, json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{sum(map(len, found.values()))} claims are frozen in {FROZEN}")
