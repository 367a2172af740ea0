"""Robustness tests of porttrace on the kernel that they run on: real software, storms, size, faults, refusals."""
