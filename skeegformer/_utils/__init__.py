"""What several rooms share: writing files, measurement info as JSON."""
