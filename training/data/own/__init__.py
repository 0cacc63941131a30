"""Data of the user's own: readers of a ratings file and of a folder of pictures, with their stated rules."""
