# SPDX-License-Identifier: Apache-2.0
"""What `allocation.py` compares."""
