"""Acceptance tests of what porttrace says about conntrack: a node, its pods, an outside that swallows everything."""
