"""Native histograms one at a time: arithmetic, counter resets, quantiles, trimming, text."""
