# SPDX-License-Identifier: Apache-2.0
"""Do the operators compute what the formats say, on this machine, with the kernels chosen here?"""
