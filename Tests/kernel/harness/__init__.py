"""Exactness tests of porttrace on the kernel that they run on."""
