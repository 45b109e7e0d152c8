"""The newest samples, in memory: scrape groups, loose samples, the index of series and where each one lives."""
