"""Range vectors: operators over the samples in a window, all series and steps at once."""
