"""The connector for Elasticsearch."""
