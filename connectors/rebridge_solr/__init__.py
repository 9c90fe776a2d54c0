"""The connector for Apache Solr."""
