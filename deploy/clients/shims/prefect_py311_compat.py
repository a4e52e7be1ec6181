"""Give `collections` back the abstract classes that Python 3.10 took out of it.

Prefect Core <= 0.14 still reads them there (`collections.Iterable`); without them a run of 0.8 or
0.9 dies at its final flow state. The `.pth` file beside this one imports it as the interpreter
starts, so the prefect package itself stays as its authors published it.
"""

import collections
import collections.abc

for _name in collections.abc.__all__:
    if not hasattr(collections, _name):
        setattr(collections, _name, getattr(collections.abc, _name))
