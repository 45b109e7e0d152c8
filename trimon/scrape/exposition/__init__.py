"""The body of a scrape, from bytes to samples: two text formats, read to the letter or by what is known of the one before."""
