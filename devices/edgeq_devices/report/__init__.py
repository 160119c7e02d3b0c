# SPDX-License-Identifier: Apache-2.0
"""Results read back, compared, and put on one page."""
