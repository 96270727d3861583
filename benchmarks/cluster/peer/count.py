"""One of twenty small steps, as a plain script that needs numpy alone: ``python count.py NUMBER``.

Comes in: the file of the step before, below `PEER_URL`. Goes out: its numbers, one larger.
"""

import io
import os
import sys
from typing import Any

import numpy as np
import obstore
from obstore.store import from_url

ROWS = 1000

if __name__ == "__main__":
    place: Any = from_url(os.environ["PEER_URL"], client_options={"allow_http": True})
    number = int(sys.argv[1])
    rows = np.zeros(ROWS)
    if number:
        rows = np.load(io.BytesIO(obstore.get(place, f"{number - 1}.npy").bytes())) + 1
    buffer = io.BytesIO()
    np.save(buffer, rows)
    obstore.put(place, f"{number}.npy", buffer.getvalue())
