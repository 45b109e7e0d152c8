"""The memory of the process: its limit, how it is divided, who holds how much, and how it goes back to the system.

`limit.py` finds the limit, `plan.py` divides it. What is reserved before it is allocated stands in `queries.py`, in `series.py`
(new series of scrapes) and in `bodies.py` (requests and answers on their way). `actors/memory.py` compares with what the kernel
counts and relieves the pressure.
"""
