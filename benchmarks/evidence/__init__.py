# SPDX-License-Identifier: Apache-2.0
"""The evidence behind docs/accuracy.md: what each method costs in quality, measured through exported bundles."""
