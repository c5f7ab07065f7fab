"""Everything that can happen to a machine, one function for each kind of event; the keyword arguments are the event's
keys.

`t` is the device of the pair: "nic", "vf", "vf2", or "master", which is the paravirtual NIC where no bond has been
made. An event whose device does not exist does nothing. Interference with failoverd's own devices is noted as
"touched": such a machine is judged less hard (invariants.py).
"""
