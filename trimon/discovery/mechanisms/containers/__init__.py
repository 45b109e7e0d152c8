"""What runs containers, and knows where they are."""
