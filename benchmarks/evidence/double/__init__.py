# SPDX-License-Identifier: Apache-2.0
"""Double compression (docs/compression.md): what entropy coding saves, coarser steps cost, and decoding takes."""
