"""The models that a server serves: their names, the pool that loads and unloads them, the process that holds it."""
