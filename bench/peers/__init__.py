"""Other engines beside ours, each a process of its own that answers jobs line by line (see `job.py`)."""
