# SPDX-License-Identifier: Apache-2.0
"""Power meters: readers of the interfaces that boards really have.

Standard library only, but for ``external``, which is read where the report is made.
One file per interface. There is no estimate from processor load: a machine without a readable sensor has no energy.
"""
