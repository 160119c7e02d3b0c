# SPDX-License-Identifier: Apache-2.0
"""Meters in a board's supply, read where the results are made: recordings as CSV, and lines on a serial port.

Their clocks are not the board's. The agent makes a pattern of load and rest before each measurement; where the recorded
power follows it best is the offset between the clocks.
"""
