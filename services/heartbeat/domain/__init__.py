"""When a silent run is a zombie. Pure: facts and times are arguments.

* `last_heard`: whom this process heard when, by tenant and run.
* `coverage`: over which time this process was in a position to hear.
* `judgement`: what a silence means, by what the tables say of the run; when too many are silent at once.
"""
