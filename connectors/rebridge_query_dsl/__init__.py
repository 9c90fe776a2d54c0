"""What Elasticsearch and OpenSearch have in common: the Query DSL and the search reply."""
