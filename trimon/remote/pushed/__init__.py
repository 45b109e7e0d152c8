"""What older programs push: lines of Graphite and StatsD, read into series."""
