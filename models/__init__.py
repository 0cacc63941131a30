"""What a model version is: the one thing that training and serving share."""
