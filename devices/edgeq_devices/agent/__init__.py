# SPDX-License-Identifier: Apache-2.0
"""What runs on a board: standard library, NumPy and ONNX Runtime only.

The host sends these modules as one file (:mod:`edgeq_devices.agent_file`) and starts it over a transport; it reads
JSON from stdin and writes JSON lines to stdout.
"""

PROTOCOL = 1
"""Changes whenever a host and an agent of different versions would misunderstand each other."""
