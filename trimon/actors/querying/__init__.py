"""What stands between a request and the query engine: turns, costs, the query log and the file of active queries."""
