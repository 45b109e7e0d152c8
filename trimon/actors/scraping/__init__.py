"""Scraping as actors: from discovered label sets to one actor a target, and the turns that they take."""
