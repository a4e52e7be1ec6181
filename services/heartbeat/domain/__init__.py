"""When a silent run is a zombie. Pure: facts and times are arguments.

* `last_heard`: when this process heard each run last, by tenant and run.
* `coverage`: the time over which this process could receive pings.
* `judgement`: the meaning of a silence, by the run's rows; when too many are silent at once.
"""
