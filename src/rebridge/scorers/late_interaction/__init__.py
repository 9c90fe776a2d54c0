"""Models that compare every token of the query with every token of the passage."""
