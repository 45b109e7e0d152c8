"""What mechanisms have in common that ask a source: requests, typed answers, the loop, names of labels."""
