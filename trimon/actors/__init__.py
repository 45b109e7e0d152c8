"""The actors: thin rims around the engines, one module per kind."""
