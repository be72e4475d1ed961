"""Explanations: the Shapley values of a row's answer in the columns that a request has."""
