"""One file per source: canonical address, checksum, licence, reader, synthetic twin."""
