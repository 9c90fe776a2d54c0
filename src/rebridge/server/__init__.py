"""``rebridge serve``: the rerank API, proxies in front of engines, and the process that holds the models."""
