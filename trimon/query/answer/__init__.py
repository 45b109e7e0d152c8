"""From a value to the text of an answer: JSON of values, labels and statistics."""
