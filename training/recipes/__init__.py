"""One short file per model: data, learner, settings."""
