"""Remote read as the one who asks: requests and answers as bytes, and who is asked what."""
