"""Clips: the record, its shards on disk, and the batches that training reads."""
