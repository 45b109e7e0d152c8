"""What runs at AWS, one file a service."""
