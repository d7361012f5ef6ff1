"""Recipes in YAML."""
