"""Events on Kafka: CloudEvents in binary mode, in by a sink, out by a consumer group."""
