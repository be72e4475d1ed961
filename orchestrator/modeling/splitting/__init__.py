"""Splitting rows: by which rule some are held out, and folds are made of the others.

``keys`` reads the column that decides, ``holdout`` holds rows out, ``folds`` splits the others for the search,
``summary`` says in words what was done.
"""
