"""One file per family: network, loss, one training step, graphs to export."""
