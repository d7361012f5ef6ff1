"""Tests of `medrestore.mri`."""
