# SPDX-License-Identifier: Apache-2.0
"""What each scheme costs each layer: measured errors, and how much the loss minds them."""
