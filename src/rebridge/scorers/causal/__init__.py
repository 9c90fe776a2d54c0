"""Language models that answer with their next token."""
