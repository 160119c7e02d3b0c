# SPDX-License-Identifier: Apache-2.0
"""Bundles on disk: manifest, configuration, integrity."""
