"""Acceptance tests of the names: real pods, containers and units, and what porttrace calls them."""
