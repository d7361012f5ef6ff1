"""Studies: a data set, settings, methods and seeds, from a config to tables; and scores of existing outputs.
"""
