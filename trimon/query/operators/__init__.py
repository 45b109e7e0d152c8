"""The operators of a plan, a family to a file. Each turns the values of its inputs into a value for all
series and all steps at once.
"""
