# SPDX-License-Identifier: Apache-2.0
"""Bundles whose weights are compressed a second time: which tensors, how each is stored, and what that costs."""
