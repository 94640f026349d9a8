"""Steps done by a Ray cluster: actors hold the networks and the pixels, a foreman hands out the work.

    driver    `hands.py`     asks, waits, hears progress, brings back what is looked at
    foreman   `foreman.py`   one for the cluster: knows what is made (`shelf.py`), who is free (`crew.py`), who died
    worker    `worker.py`    does one step at a time with the networks of its crew

Only facts and references travel between them (`parcels.py`); pixels go from the memory of one node to that of another
when a step needs them there. Keys, order, events and checks are the executor's, as with threads.
"""
