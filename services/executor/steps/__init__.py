"""What each kind of step does, a function of (act, work) for each: look, act, confirm. The table is in `table`."""
