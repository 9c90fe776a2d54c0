"""Models that read query and passage together and end in a classification head."""
