# SPDX-License-Identifier: Apache-2.0
"""Compressed weights: how many bits codes take, and which layers are worth decoding while they are used."""
