"""Priors, splits and samples that come with the package."""
