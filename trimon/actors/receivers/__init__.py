"""Receivers of what older programs push: an actor a protocol, behind the section `trimon_receivers`."""
