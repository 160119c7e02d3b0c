# SPDX-License-Identifier: Apache-2.0
"""Running bundles through ONNX Runtime; no PyTorch."""
