"""Thin rims of asynchrony around the synchronous cores: one module for each kind of actor.

What an actor is, and who supervises whom, is in `docs/actors.md`; the tree is built in `trimon/server/tree.py`.
"""
