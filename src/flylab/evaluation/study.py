"""The study of a user's model. Its members are named by all that this file reaches, and by the digest of the model."""

import uuid
from dataclasses import replace

from flylab.base.usercode import user_code
from flylab.evaluation.load import UserModel
from flylab.studies import continuum
from flylab.study.study import Study


def study_of(base: Study, model: UserModel) -> Study:
    """Return the study `continuum` with the user's model as its only one."""
    digest = model.digest or uuid.uuid4().hex  # what has no digest is never found in the store

    def run(protocol, condition, seeds, *, key, artifacts=None, progress=None, resume=None):
        with user_code(f"{model.name}, in training,"):  # a dropout that needs a key, a batch that is too small, …
            return continuum.learn(model.learner, protocol, condition, seeds, key=key, progress=progress)

    return replace(
        base, name=model.name, conditions=lambda protocol: continuum.conditions_of(protocol, model.name), run=run,
        input_digest=lambda protocol: lambda condition: digest, artifacts={}, resources=None,
    )  # fmt: skip
