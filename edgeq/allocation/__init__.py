# SPDX-License-Identifier: Apache-2.0
"""Mixed precision: which layer gets how many bits, so that the loss rises least within a budget.

From a script, with a budget in bytes of the linear layers::

    table = measure_table(Question(checkpoint, plan, candidates, "noise", calibration))
    problem = build_problem(group_layers(table), [Resource("--bytes", limit)], [stored_bytes])
    chosen = {name: unit.choices[index].scheme
              for unit, index in zip(problem.units, solve(problem)) for name in unit.layers}
    Plan.build(default, layers=chosen, ...)   # or Recipe.layers

`edgeq.allocation.allocate.allocate` does this for a recipe with a budget.
"""
