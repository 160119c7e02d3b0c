# SPDX-License-Identifier: Apache-2.0
"""Power meters: readers of the interfaces that boards really have.

Standard library only: boards run this. One file per interface; :mod:`edgeq_devices.external` has meters in the supply.
There is no estimate from processor load: a machine without a readable sensor has no energy.
"""
