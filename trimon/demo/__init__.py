"""A small fleet of example targets with a past, for people who try the server and for the tests of its pages."""
