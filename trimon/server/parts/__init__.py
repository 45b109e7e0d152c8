"""The parts of a server, each wired by itself; `serverparts` has them all."""
