"""Keys of AWS from wherever they come, and signatures with them."""
