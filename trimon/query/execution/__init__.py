"""What operators share while they run: context, budget, step grid, values, label codes, reducers, annotations."""
