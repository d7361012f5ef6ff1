"""Studies: a data set, settings, methods and seeds, from config to tables; and scores of existing outputs."""
