"""How declared rules are kept: a table is turned into one whose every row keeps them, and learnt in that form.

`declaration.py` refuses rules that cannot be, `codec.py` puts the parts together, `checks.py` says which rows of a
finished table break a rule. Each other file is one sort of rule.
"""
