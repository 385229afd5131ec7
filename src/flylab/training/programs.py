"""Programs for groups of members, one group on each device."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flylab.base import runtime
from flylab.training.groups import of_group
from flylab.training.step import Member

# An option of programs that run once for each member: to compile the drawing of parameters takes as long as all of
# training, and half as long at this level of LLVM. Numbers are the same.
ONCE = ("xla_backend_optimization_level", 1)


class OnEach:
    """Makes programs that compute the same function on each device."""

    def __init__(self, devices: tuple[Any, ...]):
        self.mesh, self.each = Mesh(np.array(devices), ("member",)), PartitionSpec("member")
        self.sharding = NamedSharding(self.mesh, self.each)

    def __call__(self, function: Callable, options: tuple, n_shared: int = 0, **kwargs) -> Any:
        """Return the program of a function of arrays that are split among devices; the last `n_shared` are not."""

        def program(*args):
            specs = (self.each,) * (len(args) - n_shared) + (PartitionSpec(),) * n_shared
            mapped = jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=self.each, check_vma=False)
            return mapped(*args)

        return jax.jit(program, compiler_options=runtime.compiler_options(options), **kwargs)

    def made(self, lowered: Any) -> Any:
        """Return the shapes of what a lowered program makes."""
        return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=self.sharding), lowered.out_info)


class Drawing:
    """The program that draws initial parameters for groups of members.

    Attributes:
        drawn: the members with the shapes of these parameters.
    """

    def __init__(self, lowered: Any, members: Member, params: Any):
        self.lowered, self.drawn = lowered, members._replace(params=params)

    @functools.cached_property
    def program(self) -> Callable[[Member], Any]:
        """The compiled program."""
        return self.lowered.compile()

    def compiled(self) -> Callable[[Member], Member]:
        """Return the function from members to the same with parameters."""
        program = self.program
        return lambda members: members._replace(params=program(members))


@functools.cache
def drawings(initial: Callable, options: tuple, devices: tuple[Any, ...], width: int) -> Callable[[Member], Drawing]:
    """Return a function from members to the program that draws their parameters, one for all plans and data.

    Args:
        initial: member → parameters.
        options: compiler options of the training run.
        devices: that train.
        width: members that one device trains at once.
    """
    on_each, made = OnEach(devices), {}
    draw = on_each(of_group(initial, width), (*options, ONCE))

    def drawing(members: Member) -> Drawing:
        shapes = shapes_of(members)
        if shapes not in made:
            lowered = draw.lower(members)
            made[shapes] = Drawing(lowered, members, on_each.made(lowered))
        return made[shapes]

    return drawing


def shapes_of(tree: Any) -> tuple:
    """Return the structure of a tree of arrays, with their shapes and types."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, *((leaf.shape, leaf.dtype) for leaf in leaves)
