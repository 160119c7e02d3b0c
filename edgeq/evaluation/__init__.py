# SPDX-License-Identifier: Apache-2.0
"""How good an exported model is: perplexity, distance from the original, similarity of texts."""
