"""The connector for OpenSearch."""
